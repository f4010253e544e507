package patchset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"splicelab/images/kernel"
)

// fromFile takes the series out of one file.
func fromFile(path string, f file, version int) (Set, error) {
	messages, plain := parseFile(f.data)
	if plain {
		set, err := plainSet(path, []file{f})
		if err == nil && version > 0 {
			err = problem(path, "is a plain patch, which has no versions: leave out --patch-version")
		}
		return set, err
	}
	if len(messages) == 1 {
		messages[0].file = f.name
		return single(path, messages[0], version)
	}
	if !slices.ContainsFunc(messages, func(m message) bool { return m.id != "" }) {
		return fromGit(path, messages, version)
	}
	return fromThreads(path, messages, version)
}

// parseFile returns a mailbox's mails, or a mail; plain says that the file is
// neither.
func parseFile(data []byte) (messages []message, plain bool) {
	texts := splitMbox(data)
	if texts == nil && isMail(data) {
		texts = []string{string(data)}
	}
	for i, text := range texts {
		messages = append(messages, parseMail(text, i))
	}
	return messages, texts == nil
}

// plainSet is the series of files that hold diffs and nothing to tell their
// order but the files' own.
func plainSet(path string, files []file) (Set, error) {
	set := Set{Version: 1}
	for _, f := range files {
		if !hasDiff.Match(f.data) {
			return Set{}, problem(path, "%s holds no diff: a patch is what git diff, git format-patch or diff -u writes", f.name)
		}
		set.Patches = append(set.Patches, kernel.Text{Name: f.name, Text: string(f.data)})
	}
	return set, nil
}

// single takes a mail that was named by itself, whatever series it belongs to.
func single(path string, m message, version int) (Set, error) {
	switch {
	case m.damage != "":
		return Set{}, problem(path, "can't be read as a mail: %s", m.damage)
	case !m.diff:
		return Set{}, problem(path, "%q holds no diff: save the mail as it was sent, or name the whole thread's mailbox", m.subjects)
	case version > 0 && version != m.version:
		return Set{}, problem(path, "there is no v%d in it: it is v%d of %q", version, m.version, m.title)
	}
	return Set{
		Title: m.title, Version: m.version,
		Patches: []kernel.Text{{Name: m.fileName(max(1, m.number)), Text: m.text()}},
	}, nil
}

// fromFolder takes the series out of a folder's files, in their order.
func fromFolder(path string, files []file, version int) (Set, error) {
	var messages []message
	for i, f := range files {
		in, plain := parseFile(f.data)
		switch {
		case plain && isCover(f.name):
			continue
		case plain: // plain diffs among them: the files' names alone tell the order
			set, err := plainSet(path, files)
			if err == nil && version > 0 {
				err = problem(path, "holds plain patches, which have no versions: leave out --patch-version")
			}
			return set, err
		case len(in) > 1:
			return Set{}, problem(path, "%s holds %d mails: name it with a --patch of its own", f.name, len(in))
		}
		in[0].position, in[0].file = i, f.name
		messages = append(messages, in[0])
	}
	if len(messages) == 0 {
		return Set{}, problem(path, "holds a cover letter alone")
	}
	return fromGit(path, messages, version)
}

// isCover tells git format-patch's name of a cover letter.
func isCover(name string) bool { return strings.Contains(name, "0000-cover-letter") }

// fromGit takes the series out of what git format-patch wrote: all of one
// version belongs together.
func fromGit(path string, messages []message, version int) (Set, error) {
	var all []*candidate
	for _, m := range messages {
		if m.damage != "" {
			return Set{}, problem(path, "%s can't be read as a mail: %s", cmp.Or(m.file, fmt.Sprintf("mail %d", m.position+1)), m.damage)
		}
		if m.total == 0 && !m.diff {
			continue // a cover letter without numbers
		}
		i := slices.IndexFunc(all, func(c *candidate) bool { return c.version == m.version })
		if i < 0 {
			i = len(all)
			all = append(all, &candidate{version: m.version, total: m.total})
		}
		c := all[i]
		if c.total != m.total || m.number > m.total || m.total > 0 && c.has(m.number) {
			return Set{}, problem(path, "holds patches of more than one series in v%d, such as %q and %q: keep one series a folder or mailbox, or name the files one by one, each with --patch",
				m.version, c.mails[0].subjects, m.subjects)
		}
		c.add(m)
	}
	for _, c := range all {
		c.numberUnnumbered()
	}
	if len(all) == 0 {
		return Set{}, problem(path, "holds no patch: none of its mails has a diff")
	}
	return pick(path, all, version)
}

// candidate is a series as far as its mails are there.
type candidate struct {
	rfc, resend bool
	version     int
	total       int // patches it should have; 0 until numberUnnumbered
	mails       []message
	cover       *message
	again       []string // notes on patches that were sent twice
}

func (c *candidate) has(number int) bool { return c.find(number) != nil }

func (c *candidate) find(number int) *message {
	if number == 0 {
		return c.cover
	}
	for i := range c.mails {
		if c.mails[i].number == number && !c.mails[i].cover() {
			return &c.mails[i]
		}
	}
	return nil
}

func (c *candidate) add(m message) {
	c.rfc, c.resend = c.rfc || m.rfc, c.resend || m.resend
	c.mails = append(c.mails, m)
	if m.cover() {
		c.cover = &m
	}
}

// numberUnnumbered gives mails without 1/2 their order as numbers.
func (c *candidate) numberUnnumbered() {
	if c.total > 0 {
		return
	}
	for i := range c.mails {
		c.mails[i].number = i + 1
	}
	c.total = len(c.mails)
}

// missing returns the numbers of the patches that aren't there.
func (c *candidate) missing() []int {
	var list []int
	for n := 1; n <= c.total; n++ {
		if m := c.find(n); m == nil || !m.diff {
			list = append(list, n)
		}
	}
	return list
}

func (c *candidate) complete() bool { return len(c.missing()) == 0 }

// name is the cover letter's, else the first patch's that is there.
func (c *candidate) name() string {
	if c.cover != nil {
		return c.cover.title
	}
	first := c.mails[0]
	for _, m := range c.mails {
		if m.number < first.number {
			first = m
		}
	}
	return first.title
}

// lacks says what is missing of an incomplete series.
func (c *candidate) lacks() string {
	var parts []string
	for _, n := range c.missing() {
		part := fmt.Sprintf("%d/%d", n, c.total)
		if m := c.find(n); m != nil && m.damage != "" {
			part += " (" + m.damage + ")"
		} else if m != nil {
			part += " (there, but without a diff)"
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("v%d of %q lacks %s", c.version, c.name(), shorten(parts))
}

// shorten joins a list, the first of a long one.
func shorten(list []string) string {
	const most = 8
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// newer orders versions of one series, the newest first: a v2 is newer than a
// v1, a PATCH than the RFC of the same version, a numbered series than a patch
// that one mail of its thread proposed, the later than the earlier.
func newer(a, b *candidate) int {
	return cmp.Or(
		cmp.Compare(b.version, a.version),
		compareBools(a.rfc, b.rfc),
		compareBools(a.unnumbered(), b.unnumbered()),
		b.date().Compare(a.date()),
		cmp.Compare(b.mails[0].position, a.mails[0].position),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// pick takes the version that was asked for, else the newest complete one, of
// the versions of one series.
func pick(path string, versions []*candidate, version int) (Set, error) {
	slices.SortStableFunc(versions, newer)
	var notes []string
	for _, c := range versions {
		if version > 0 && c.version != version {
			continue
		}
		if !c.complete() {
			notes = append(notes, c.lacks())
			continue
		}
		set := c.set()
		for _, lack := range notes {
			set.Notes = append(set.Notes, fmt.Sprintf("%s: v%d is taken, because %s", path, c.version, lack))
		}
		for _, again := range c.again {
			set.Notes = append(set.Notes, path+": "+again)
		}
		return set, nil
	}
	if len(notes) == 0 {
		return Set{}, problem(path, "there is no v%d of %q in it: there is %s", version, versions[0].name(), versionList(versions))
	}
	return Set{}, problem(path, "%s: save what is missing too%s", strings.Join(notes, "; "), otherVersions(versions, version))
}

// otherVersions is the other way out of an incomplete version.
func otherVersions(versions []*candidate, version int) string {
	for _, c := range versions {
		if c.version != version && c.complete() {
			return fmt.Sprintf(", or take --patch-version %d", c.version)
		}
	}
	return ""
}

func versionList(versions []*candidate) string {
	var names []string
	for _, c := range versions {
		if v := fmt.Sprintf("v%d", c.version); !slices.Contains(names, v) {
			names = append(names, v)
		}
	}
	slices.Reverse(names)
	return strings.Join(names, ", ")
}

// set is the complete series.
func (c *candidate) set() Set {
	set := Set{Title: c.name(), Version: c.version}
	for n := 1; n <= c.total; n++ {
		m := c.find(n)
		set.Patches = append(set.Patches, kernel.Text{Name: m.fileName(n), Text: m.text()})
	}
	return set
}
