package kernel

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hunk is where one hunk of a patch expects to be.
type hunk struct {
	file string // the old name
	line int    // counted from 1
}

// patchFiles is what a patch's headers say.
type patchFiles struct {
	names []string // every file it reads, writes, makes or removes; sorted
	hunks []hunk
}

// parsePatch reads the headers of a patch as git apply -p1 would: git's own
// and plain unified diffs, with any text before, between and behind them.
func parsePatch(text string) (patchFiles, error) {
	p := patchParser{names: make(map[string]bool)}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := p.line(strings.TrimSuffix(line, "\n")); err != nil {
			return patchFiles{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if p.old > 0 || p.new > 0 {
		return patchFiles{}, fmt.Errorf("the last hunk is cut off")
	}
	if len(p.names) == 0 {
		return patchFiles{}, fmt.Errorf("no diff in it")
	}
	out := patchFiles{hunks: p.hunks}
	for name := range p.names {
		out.names = append(out.names, name)
	}
	slices.Sort(out.names)
	return out, nil
}

// patchParser is the state between two lines.
type patchParser struct {
	names    map[string]bool
	hunks    []hunk
	file     string // the old name, or the new one of a new file
	before   string // the line before, if it may be a header's first half
	old, new int    // lines that the hunk still has to come
}

func (p *patchParser) line(line string) error {
	if p.old > 0 || p.new > 0 {
		return p.body(line)
	}
	before := p.before
	p.before = ""
	switch {
	case strings.HasPrefix(line, "diff --git "):
		return p.gitHeader(strings.TrimPrefix(line, "diff --git "))
	case strings.HasPrefix(line, "--- "):
		p.before = line // a message may hold such a line too
	case before != "" && strings.HasPrefix(line, "+++ "):
		p.file = ""
		if err := p.name(before[4:], 1); err != nil {
			return err
		}
		return p.name(line[4:], 1)
	case strings.HasPrefix(line, "@@ -") && p.file != "":
		return p.hunkHeader(line)
	}
	for _, head := range []string{"rename from ", "rename to ", "copy from ", "copy to "} {
		if rest, ok := strings.CutPrefix(line, head); ok && p.file != "" {
			return p.name(rest, 0)
		}
	}
	return nil
}

// gitHeader takes "a/NAME b/NAME". Where the two differ the lines that follow
// name them alone.
func (p *patchParser) gitHeader(rest string) error {
	half := len(rest) / 2
	if len(rest)%2 == 1 && rest[half] == ' ' {
		a, b := rest[:half], rest[half+1:]
		if strip(a, 1) == strip(b, 1) || strings.HasPrefix(a, `"`) {
			p.file = ""
			return p.name(a, 1)
		}
	}
	p.file = rest
	return nil
}

func (p *patchParser) hunkHeader(line string) error {
	ranges := strings.Fields(line)
	if len(ranges) < 4 || ranges[3] != "@@" {
		return fmt.Errorf("hunk header %q", line)
	}
	start, old, err := parseRange(ranges[1], "-")
	if err != nil {
		return err
	}
	_, new, err := parseRange(ranges[2], "+")
	if err != nil {
		return err
	}
	p.old, p.new = old, new
	p.hunks = append(p.hunks, hunk{file: p.file, line: start})
	return nil
}

func (p *patchParser) body(line string) error {
	switch {
	case strings.HasPrefix(line, "+"):
		p.new--
	case strings.HasPrefix(line, "-"):
		p.old--
	case line == "" || strings.HasPrefix(line, " "): // mailers strip blank lines
		p.old--
		p.new--
	case strings.HasPrefix(line, `\`):
	default:
		return fmt.Errorf("the hunk is cut off before %q", line)
	}
	if p.old < 0 || p.new < 0 {
		return fmt.Errorf("the hunk is longer than its header says")
	}
	return nil
}

// parseRange reads "-12,5" or "+12".
func parseRange(text, sign string) (start, count int, err error) {
	rest, ok := strings.CutPrefix(text, sign)
	first, second, two := strings.Cut(rest, ",")
	start, err = strconv.Atoi(first)
	count = 1
	if err == nil && two {
		count, err = strconv.Atoi(second)
	}
	if !ok || err != nil || start < 0 || count < 0 {
		return 0, 0, fmt.Errorf("hunk range %q", text)
	}
	return start, count, nil
}

// name notes one file name, with depth leading folders to be dropped. Names
// that would leave the tree are refused.
func (p *patchParser) name(raw string, depth int) error {
	raw, _, _ = strings.Cut(raw, "\t") // a plain diff's time stamp
	raw = strings.TrimSuffix(raw, "\r")
	if raw == "/dev/null" {
		return nil
	}
	if strings.HasPrefix(raw, `"`) {
		unquoted, err := strconv.Unquote(raw)
		if err != nil {
			return fmt.Errorf("file name %s: %w", raw, err)
		}
		raw = unquoted
	}
	name := strip(raw, depth)
	if name == "." || path.Clean(name) != name || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("file name %q: a file below the tree is needed, as in a/fs/splice.c", raw)
	}
	p.names[name] = true
	if p.file == "" {
		p.file = name
	}
	return nil
}

// strip drops depth leading folders; the result is empty if there are fewer.
func strip(name string, depth int) string {
	for range depth {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return ""
		}
		name = rest
	}
	return name
}
