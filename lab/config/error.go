package config

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with a configuration: always one line, with
// the place, the key, and the way out.
type Error struct {
	// Where is a file with its line, an environment variable or a flag.
	Where string
	// Key is the key within the file, such as kernels[2].series.
	Key string
	// Problem says what is wrong and what would be right.
	Problem string
	// own says that Where already names what was set: no key is printed.
	own bool
}

func (e *Error) Error() string {
	text := e.Where + ": "
	if e.Key != "" && !e.own {
		text += e.Key + ": "
	}
	// Parts of a foreign message could bring line breaks.
	return strings.Join(strings.Fields(text+e.Problem), " ")
}

// problem returns an Error whose place isn't known yet.
func problem(key, format string, args ...any) *Error {
	return &Error{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// unknown says that a name isn't one of those that exist, and which was
// probably meant.
func unknown(key, what, name string, exist []string) *Error {
	return problem(key, "unknown %s %q%s", what, name, Hint(name, exist))
}

// Hint names the existing name that was probably meant, else all of them.
func Hint(name string, exist []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, e := range exist {
		if d := distance(strings.ToLower(name), strings.ToLower(e)); d < least {
			best, least = e, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf(": did you mean %s?", best)
	case len(exist) == 0:
		return ": there are none"
	}
	return ": there are " + strings.Join(exist, ", ")
}

// distance is the number of letters to insert, delete, change or swap with
// their neighbour that turn a into b.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// ExitStatus is the process's exit status after the error.
func (e *Error) ExitStatus() int { return 2 }
