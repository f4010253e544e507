package patchset

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	gomessage "github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mails in other character sets than UTF-8
	"github.com/emersion/go-message/mail"
)

// message is one mail, decoded.
type message struct {
	subject
	position int    // in the mailbox, from 0
	file     string // the file's name, where the mail has one of its own
	id       string // Message-ID; empty in what git format-patch writes
	parent   string // In-Reply-To
	refs     []string
	from     string // the address, in lower case
	sender   string // the whole field, decoded
	date     time.Time
	subjects string // the whole subject, decoded
	body     string
	diff     bool   // body holds one
	damage   string // why the body isn't whole
}

// fromLine separates the mails of a mailbox: "From ", an address or what stands
// for it, and a date with a time of day and a year. git's, mail clients' and
// list archives' differ in the rest.
var fromLine = regexp.MustCompile(`^From \S.*\d\d?:\d\d(?::\d\d)?\b.* (?:19|20)\d\d\b`)

var (
	headerLine = regexp.MustCompile(`^[!-9;-~]+:`)
	mailHeader = regexp.MustCompile(`(?im)^(?:From|Subject):[ \t]*\S`)
	hasDiff    = regexp.MustCompile(`(?m)^(?:diff --git \S|--- \S.*\n\+\+\+ \S)`)
	quotedFrom = regexp.MustCompile(`(?m)^>(>*From )`)
)

// splitMbox cuts a mailbox into its mails. A line of a mail that begins with
// "From " has a > before it in the formats mboxo and mboxrd; it is taken away
// (in a diff no line begins with >). In a format that quotes nothing, a From
// line counts only where a header field follows. nil: data isn't a mailbox.
func splitMbox(data []byte) []string {
	if !fromLine.Match(firstLine(data)) {
		return nil
	}
	var mails []string
	start := -1
	cut := func(end int) {
		if start >= 0 {
			mails = append(mails, quotedFrom.ReplaceAllString(string(data[start:end]), "$1"))
		}
	}
	for at := 0; at < len(data); {
		line := firstLine(data[at:])
		next := min(at+len(line)+1, len(data))
		if bytes.HasPrefix(line, []byte("From ")) && fromLine.Match(line) && headerLine.Match(firstLine(data[next:])) {
			cut(at)
			start = next
		}
		at = next
	}
	cut(len(data))
	return mails
}

func firstLine(data []byte) []byte {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return line
}

// isMail reports whether data is one mail without a From line, as mail clients
// save it.
func isMail(data []byte) bool {
	header, _, _ := bytes.Cut(data, []byte("\n\n"))
	return headerLine.Match(firstLine(data)) && !hasDiff.Match(header) && mailHeader.Match(header)
}

// parseMail decodes one mail. A mail that can't be read has damage and no diff.
func parseMail(text string, position int) message {
	m := message{position: position, subject: subject{version: 1}}
	e, err := gomessage.Read(strings.NewReader(text))
	if e == nil || err != nil && !gomessage.IsUnknownCharset(err) {
		m.damage = fmt.Sprint(err)
		return m
	}
	m.header(mail.Header{Header: e.Header})
	var body strings.Builder
	if err := bodyText(e, &body); err != nil {
		m.damage = err.Error()
	}
	m.body = unixLines(body.String())
	m.diff = m.damage == "" && hasDiff.MatchString(m.body)
	return m
}

// header reads the fields; those that can't be read stay empty.
func (m *message) header(h mail.Header) {
	m.subjects, _ = h.Subject()
	m.subjects = strings.Join(strings.Fields(m.subjects), " ")
	m.subject = parseSubject(m.subjects)
	m.sender, _ = h.Text("From")
	m.sender = strings.Join(strings.Fields(m.sender), " ")
	m.from = strings.ToLower(m.sender)
	if list, err := h.AddressList("From"); err == nil && len(list) > 0 {
		m.from = strings.ToLower(list[0].Address)
	}
	m.date, _ = h.Date()
	m.id, _ = h.MessageID()
	if parents, _ := h.MsgIDList("In-Reply-To"); len(parents) > 0 {
		m.parent = parents[0]
	}
	m.refs, _ = h.MsgIDList("References")
	if m.parent == "" && len(m.refs) > 0 {
		m.parent = m.refs[len(m.refs)-1]
	}
	if m.parent != "" {
		m.refs = append(m.refs, m.parent)
	}
}

// bodyText writes the text of a mail: all parts that are text, inline or
// attached, but for HTML.
func bodyText(e *gomessage.Entity, out *strings.Builder) error {
	if parts := e.MultipartReader(); parts != nil {
		for {
			part, err := parts.NextPart()
			if err == io.EOF {
				return nil
			}
			if part == nil || err != nil && !gomessage.IsUnknownCharset(err) {
				return fmt.Errorf("a part of it is damaged: %w", err)
			}
			if err := bodyText(part, out); err != nil {
				return err
			}
		}
	}
	if !isText(e) {
		return nil
	}
	text, err := io.ReadAll(e.Body)
	if err != nil {
		return fmt.Errorf("its encoding is damaged: %w", err)
	}
	out.WriteString(unixLines(string(text)))
	if n := len(text); n > 0 && text[n-1] != '\n' {
		out.WriteByte('\n')
	}
	return nil
}

// isText tells a part with text, or a patch attached as something else.
func isText(e *gomessage.Entity) bool {
	kind, params, err := e.Header.ContentType()
	if err != nil || kind == "" {
		return true // RFC 2045, section 5.2
	}
	if strings.HasPrefix(kind, "text/") {
		return kind != "text/html"
	}
	_, disposition, _ := e.Header.ContentDisposition()
	name := strings.ToLower(params["name"] + " " + disposition["filename"])
	return strings.Contains(name, ".patch") || strings.Contains(name, ".diff")
}

// key is the mail's id, or stands for it.
func (m message) key() string {
	if m.id == "" {
		return fmt.Sprintf("mail %d", m.position)
	}
	return m.id
}

// text is the mail as a patch: what git am would show of its header, and the
// decoded body.
func (m message) text() string {
	var out strings.Builder
	for _, field := range []struct{ name, value string }{
		{"From", m.sender}, {"Subject", m.subjects}, {"Message-ID", m.id},
	} {
		if field.value != "" {
			fmt.Fprintf(&out, "%s: %s\n", field.name, field.value)
		}
	}
	return out.String() + "\n" + m.body
}

var notSlug = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// fileName is the name of the file, else that which git format-patch would give
// the patch.
func (m message) fileName(number int) string {
	if m.file != "" {
		return m.file
	}
	slug := strings.Trim(notSlug.ReplaceAllString(m.title, "-"), "-.")
	slug = strings.TrimRight(slug[:min(len(slug), 52)], "-.")
	return fmt.Sprintf("%04d-%s.patch", number, slug)
}
