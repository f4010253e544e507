// Package patchset reads patches as people hand them round: a file, a folder
// that git format-patch filled, a mailbox that a mail client or an archive
// saved. Out of whatever else lies there it takes one series, whole, and says
// which.
package patchset

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"splicelab/images/kernel"
)

// Set is one patch series.
type Set struct {
	// Name is made of the path's last part and the version: vmsplice-v3. It can
	// be a part of a file's name.
	Name string
	// Title is the cover letter's subject, else the first patch's; empty for
	// plain diffs.
	Title   string
	Version int // 1 where none is given
	Patches []kernel.Text
	// Origin says in one line what was taken, from where.
	Origin string
	// Notes say, a line each, what else was there and is not in the Set.
	Notes []string
}

// Error is a path that no series can be taken from: always one line.
type Error struct {
	Path   string
	Detail string // what is wrong, and the way out
}

func (e *Error) Error() string {
	// Subjects are other people's text.
	return strings.Join(strings.Fields(e.Path+": "+e.Detail), " ")
}

// ExitStatus is 2.
func (e *Error) ExitStatus() int { return 2 }

func problem(path, format string, args ...any) *Error {
	return &Error{Path: path, Detail: fmt.Sprintf(format, args...)}
}

// maxSize bounds what is read of one file, unpacked, in bytes: an archive of a
// list's month has some tens of megabytes.
const maxSize = 512 << 20

// Read returns the series at path, which is a patch, a mailbox (gzip'd or not),
// a single mail, or a folder of patches. version chooses among several
// versions of a series; 0 means the newest that is complete. Every error is an
// *Error.
func Read(path string, version int) (Set, error) {
	files, folder, err := load(path)
	if err != nil {
		return Set{}, err
	}
	var set Set
	if folder {
		set, err = fromFolder(path, files, version)
	} else {
		set, err = fromFile(path, files[0], version)
	}
	if err != nil {
		return Set{}, err
	}
	set.Name = Name(path)
	if v := fmt.Sprintf("v%d", set.Version); set.Version > 1 && !strings.Contains(set.Name, v) {
		set.Name += "-" + v
	}
	set.Origin = origin(path, set)
	return set, nil
}

func origin(path string, s Set) string {
	what := count(len(s.Patches), "patch", "patches")
	if s.Title != "" {
		what = fmt.Sprintf("v%d of %q, %s", s.Version, s.Title, what)
	}
	return what + ", from " + filepath.ToSlash(path)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

var (
	extension = regexp.MustCompile(`(?i)\.(patch|diff|mbox|mbx|eml|txt|gz)$`)
	// What git format-patch and b4 put before the name itself.
	prefix = regexp.MustCompile(`^(?:(?:v\d+-)?\d{4}-|(?:v\d+_)?\d{8}_[^_]+_)`)
	unsafe = regexp.MustCompile(`[^a-z0-9.+]+`)
)

// Unnamed is the name of what has none that would say anything.
const Unnamed = "patched"

// maxName is the length of a name that still leaves room for tables.
const maxName = 24

// Name is the name of what lies at path, by the path alone: "mine" for
// mine.mbox and for v2-0001-mine.patch; Unnamed for a message id or a number.
func Name(path string) string {
	base := filepath.Base(filepath.Clean(path))
	for extension.MatchString(base) {
		base = extension.ReplaceAllString(base, "")
	}
	if strings.Contains(base, "@") {
		return Unnamed
	}
	name := unsafe.ReplaceAllString(strings.ToLower(prefix.ReplaceAllString(base, "")), "-")
	if len(name) > maxName {
		if cut := strings.LastIndexByte(name[:maxName+1], '-'); cut > maxName/2 {
			name = name[:cut]
		}
		name = name[:min(len(name), maxName)]
	}
	name = strings.Trim(name, "-.+")
	if len(name) < 2 || strings.Trim(name, "0123456789.-") == "" {
		return Unnamed
	}
	return name
}
