package patchset

import (
	"regexp"
	"strconv"
	"strings"
)

// subject is what a patch mail's subject says.
type subject struct {
	title  string // without what stands in brackets before it
	reply  bool   // Re:, Fwd: and their like
	patch  bool   // [PATCH …], or the like without that word
	rfc    bool
	resend bool
	// version is 1 where none is given; minor is the 1 of v3.1, one patch of v3
	// that was sent again.
	version, minor int
	// number and total are those of 2/5; 0 where there are none. number 0 of a
	// total is the cover letter.
	number, total int
}

func (s subject) cover() bool { return s.total > 0 && s.number == 0 }

var (
	replied = regexp.MustCompile(`(?i)^(?:re|aw|sv|vs|antw|antwort|fwd?|wg|tr|rv|enc|odp|回复|答复|转发)(?:\[\d+\]|\(\d+\))?\s*[:：]`)
	// A word of a tag: what git, b4, Patchwork and people write.
	numbered  = regexp.MustCompile(`^(\d{1,4})/(\d{1,4})$`)
	versioned = regexp.MustCompile(`(?i)^(?:PATCH|RFC)?-?v(\d{1,3})(?:\.(\d{1,3}))?$`)
)

// parseSubject reads a decoded subject.
func parseSubject(text string) subject {
	text = strings.Join(strings.Fields(text), " ")
	s := subject{version: 1}
	for m := replied.FindString(text); m != ""; m = replied.FindString(text) {
		s.reply = true
		text = strings.TrimSpace(text[len(m):])
	}
	rest := text
	for {
		tag, after, ok := cutTag(rest)
		if !ok {
			break
		}
		all := s.read(tag)
		if s.patch && !all && s.title != "" {
			break // [media], of the title
		}
		rest = after
		if s.patch {
			s.title = rest
		}
	}
	if !s.patch {
		s.title = text
	}
	return s
}

// cutTag takes one [tag] from the front.
func cutTag(text string) (tag, rest string, ok bool) {
	if !strings.HasPrefix(text, "[") {
		return "", "", false
	}
	tag, rest, ok = strings.Cut(text[1:], "]")
	return tag, strings.TrimSpace(rest), ok
}

// read takes one tag's words and reports whether it knows each of them.
func (s *subject) read(tag string) bool {
	all := true
	for _, word := range strings.FieldsFunc(tag, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		if m := numbered.FindStringSubmatch(word); m != nil {
			s.patch = true
			s.number, _ = strconv.Atoi(m[1]) // at most four digits
			s.total, _ = strconv.Atoi(m[2])
			continue
		}
		if m := versioned.FindStringSubmatch(word); m != nil {
			s.patch = true
			s.version, _ = strconv.Atoi(m[1])
			s.minor, _ = strconv.Atoi(m[2])
			s.rfc = s.rfc || strings.HasPrefix(strings.ToUpper(word), "RFC")
			continue
		}
		switch strings.ToUpper(word) {
		case "PATCH", "PATCHES":
			s.patch = true
		case "RFC", "RFT", "WIP":
			s.rfc = true
		case "RESEND", "REPOST", "RESENT":
			s.resend = true
		default:
			all = false
		}
	}
	return all
}
