// Package exit gives errors the status that the process ends with.
package exit

import (
	"errors"
	"fmt"
	"strings"
)

// The statuses. Scripts rely on them.
const (
	Done  = 0
	Wrong = 1 // done, and something is wrong: a kernel doesn't compile, boots lost
	Usage = 2 // usage, configuration, or a patch that doesn't apply
	Host  = 3 // the host can't: missing tool, no space, wrong architecture
)

// Statuser is an error that knows the status it ends the process with.
type Statuser interface {
	error
	ExitStatus() int
}

// Error is an error that was given a status.
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitStatus implements Statuser.
func (e *Error) ExitStatus() int { return e.Status }

// Errorf returns an error with a status; the rest is as in fmt.Errorf.
func Errorf(status int, format string, args ...any) error {
	return &Error{Status: status, Err: fmt.Errorf(format, args...)}
}

// With gives err a status. A nil err stays nil, and a status that err already
// has stands: what failed knows better than its caller.
func With(status int, err error) error {
	var s Statuser
	if err == nil || errors.As(err, &s) {
		return err
	}
	return &Error{Status: status, Err: err}
}

// StatusOf returns the status that err ends the process with; an error that
// knows none is Wrong.
func StatusOf(err error) int {
	var s Statuser
	switch {
	case err == nil:
		return Done
	case errors.As(err, &s):
		return s.ExitStatus()
	}
	return Wrong
}

// Excerpter is an error with lines to be shown below it: a hunk that doesn't
// apply, what the compiler said.
type Excerpter interface {
	error
	Excerpt() string
}

// Text is an error as people are shown it: its one line, and below it the
// excerpts of all that it wraps.
func Text(err error) string {
	text := strings.TrimSuffix(err.Error(), "\n")
	for _, e := range excerpts(err) {
		text += "\n" + strings.TrimSuffix(e, "\n")
	}
	return text
}

func excerpts(err error) []string {
	if e, ok := err.(Excerpter); ok && e.Excerpt() != "" {
		return []string{e.Excerpt()}
	}
	var list []string
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			list = excerpts(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			list = append(list, excerpts(inner)...)
		}
	}
	return list
}
