package patchset

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"splicelab/images/kernel"
)

// letter is a mail to be written into a mailbox.
type letter struct {
	subject string
	id      string // without brackets and domain
	reply   string // the parent's id
	from    string
	day     int // of June 2026
	body    string
	headers string // more fields, each with its line end
}

// diff changes one line of fs/splice.c.
func diff(from, to string) string {
	return "---\n fs/splice.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n" +
		"diff --git a/fs/splice.c b/fs/splice.c\nindex 0123456789ab..ba9876543210 100644\n--- a/fs/splice.c\n+++ b/fs/splice.c\n" +
		"@@ -3,3 +3,3 @@ int splice_flags;\n \n-" + from + "\n+" + to + "\n \n-- \n2.39.5\n\n"
}

func (l letter) String() string {
	var b strings.Builder
	from := l.from
	if from == "" {
		from = "Ann Author <ann@example.com>"
	}
	fmt.Fprintf(&b, "From: %s\nDate: Mon, %d Jun 2026 12:00:00 +0200\nSubject: %s\nTo: linux-fsdevel@example.org\n", from, l.day, l.subject)
	if l.id != "" {
		fmt.Fprintf(&b, "Message-ID: <%s@example.com>\n", l.id)
	}
	if l.reply != "" {
		fmt.Fprintf(&b, "In-Reply-To: <%s@example.com>\nReferences: <%[1]s@example.com>\n", l.reply)
	}
	return b.String() + l.headers + "\n" + l.body + "\n"
}

// box writes a mailbox, each From line like another program's.
func box(letters ...letter) string {
	separators := []string{
		"From mboxrd@z Thu Jan  1 00:00:00 1970\n",
		"From - Mon Jun 01 12:00:00 2026\n",
		"From ann at example.com  Mon Jun  1 12:00:00 2026\n",
		"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n",
	}
	var b strings.Builder
	for i, l := range letters {
		b.WriteString(separators[i%len(separators)] + l.String())
	}
	return b.String()
}

// series are the mails of a version: the cover letter, and its patches in
// reply to it.
func series(version, total, day int) []letter {
	tag := "PATCH"
	if version > 1 {
		tag = fmt.Sprintf("PATCH v%d", version)
	}
	letters := []letter{{
		subject: fmt.Sprintf("[%s 0/%d] splice: copy", tag, total), id: fmt.Sprintf("v%d-0", version), day: day,
		body: "Cover letter.\n\n fs/splice.c | 2 +-\n",
	}}
	for n := 1; n <= total; n++ {
		letters = append(letters, letter{
			subject: fmt.Sprintf("[%s %d/%d] splice: step %d", tag, n, total, n), id: fmt.Sprintf("v%d-%d", version, n),
			reply: fmt.Sprintf("v%d-0", version), day: day,
			body: fmt.Sprintf("Because.\n%s", diff(fmt.Sprint("old", n), fmt.Sprintf("new%d of v%d", n, version))),
		})
	}
	return letters
}

func all(lists ...[]letter) []letter {
	var letters []letter
	for _, l := range lists {
		letters = append(letters, l...)
	}
	return letters
}

func without(letters []letter, ids ...string) []letter {
	var left []letter
	for _, l := range letters {
		if !strings.Contains(strings.Join(ids, " ")+" ", l.id+" ") {
			left = append(left, l)
		}
	}
	return left
}

func reversed(letters []letter) []letter {
	var back []letter
	for _, l := range letters {
		back = append([]letter{l}, back...)
	}
	return back
}

// added are the lines that a set's patches add, which tells what was taken and
// in which order.
func added(s Set) []string {
	var lines []string
	for _, p := range s.Patches {
		for line := range strings.Lines(p.Text) {
			if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") {
				lines = append(lines, strings.TrimSuffix(line[1:], "\n"))
			}
		}
	}
	return lines
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func quotedPrintable(text string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		panic(err)
	}
	w.Close()
	return strings.ReplaceAll(b.String(), "\r\n", "\n") // as in the mailbox
}

func inBase64(text string) string {
	raw := base64.StdEncoding.EncodeToString([]byte(text))
	var b strings.Builder
	for len(raw) > 76 {
		b.WriteString(raw[:76] + "\n")
		raw = raw[76:]
	}
	return b.String() + raw + "\n"
}

const (
	asQuotedPrintable = "MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\n"
	asBase64          = "MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n"
)

func TestMailbox(t *testing.T) {
	reply := letter{subject: "Re: [PATCH v2 1/2] splice: step 1", id: "r1", reply: "v2-1", from: "Rae <rae@example.net>", day: 20, body: "> diff --git a/x b/x\n> --- a/x\n> +++ b/x\nLooks good.\n\n" + diff("mine", "reviewer's")}
	later := letter{subject: "[PATCH v2 3/2] splice: one more", id: "x3", reply: "v2-0", day: 21, body: diff("more", "more")}
	tests := map[string]struct {
		mailbox string
		version int
		want    []string // the lines added
		title   string
		notes   []string
		err     string
	}{
		"a series with cover letter and replies": {
			mailbox: box(append(series(2, 2, 3), reply, later)...), want: []string{"new1 of v2", "new2 of v2"}, title: "splice: copy",
		},
		"the newest of three versions, in any order": {
			mailbox: box(reversed(all(series(3, 2, 9), series(1, 3, 1), series(2, 2, 3)))...), want: []string{"new1 of v3", "new2 of v3"},
		},
		"the version that was asked for": {
			mailbox: box(all(series(1, 3, 1), series(2, 2, 3))...), version: 1, want: []string{"new1 of v1", "new2 of v1", "new3 of v1"},
		},
		"a version that isn't there": {
			mailbox: box(all(series(1, 3, 1), series(2, 2, 3))...), version: 7, err: `there is no v7 of "splice: copy" in it: there is v1, v2`,
		},
		"the newest is incomplete": {
			mailbox: box(all(series(2, 2, 1), without(series(3, 4, 5), "v3-2", "v3-4"))...), want: []string{"new1 of v2", "new2 of v2"},
			notes: []string{`v2 is taken, because v3 of "splice: copy" lacks 2/4, 4/4`},
		},
		"the one asked for is incomplete": {
			mailbox: box(all(series(2, 2, 1), without(series(3, 4, 5), "v3-2"))...), version: 3,
			err: `v3 of "splice: copy" lacks 2/4: save what is missing too, or take --patch-version 2`,
		},
		"none is complete": {
			mailbox: box(all(without(series(1, 2, 1), "v1-1"), without(series(2, 2, 5), "v2-0", "v2-1"))...),
			err:     `v2 of "splice: step 2" lacks 1/2; v1 of "splice: copy" lacks 1/2: save what is missing too`,
		},
		"a patch without its diff": {
			mailbox: box(append(without(series(1, 2, 1), "v1-2"), letter{subject: "[PATCH 2/2] splice: step 2", id: "v1-2", reply: "v1-0", day: 1, body: "Scrubbed by the archive.\n"})...),
			err:     `v1 of "splice: copy" lacks 2/2 (there, but without a diff): save what is missing too`,
		},
		"a patch whose base64 is damaged": {
			mailbox: box(append(without(series(1, 2, 1), "v1-2"), letter{subject: "[PATCH 2/2] splice: step 2", id: "v1-2", reply: "v1-0", day: 1, headers: asBase64, body: "!" + inBase64(diff("old2", "new2"))})...),
			err:     `v1 of "splice: copy" lacks 2/2 (its encoding is damaged: illegal base64 data at input byte 0): save what is missing too`,
		},
		"each mail came twice, by two lists": {
			mailbox: box(all(series(1, 2, 1), series(1, 2, 1))...), want: []string{"new1 of v1", "new2 of v1"},
		},
		"a PATCH after its RFC": {
			mailbox: box(
				letter{subject: "[RFC PATCH 1/2] splice: a", id: "a", day: 1, body: diff("a", "rfc a")}, letter{subject: "[RFC PATCH 2/2] splice: b", id: "b", reply: "a", day: 1, body: diff("b", "rfc b")},
				letter{subject: "[PATCH 1/2] splice: a", id: "c", day: 4, body: diff("a", "patch a")}, letter{subject: "[PATCH 2/2] splice: b", id: "d", reply: "c", day: 4, body: diff("b", "patch b")},
			), want: []string{"patch a", "patch b"}, title: "splice: a",
		},
		"a RESEND": {
			mailbox: box(
				letter{subject: "[PATCH v2 1/2] splice: a", id: "a", day: 1, body: diff("a", "a")}, letter{subject: "[PATCH v2 2/2] splice: b", id: "b", reply: "a", day: 1, body: diff("b", "b")},
				letter{subject: "[PATCH RESEND v2 1/2] splice: a", id: "c", day: 4, body: diff("a", "a again")}, letter{subject: "[RESEND PATCH v2 2/2] splice: b", id: "d", reply: "c", day: 4, body: diff("b", "b again")},
			), want: []string{"a again", "b again"},
		},
		"one patch sent again": {
			mailbox: box(append(series(3, 2, 1), letter{subject: "[PATCH v3.1 2/2] splice: step 2", id: "again", reply: "v3-2", day: 3, body: diff("old2", "better")})...),
			want:    []string{"new1 of v3", "better"}, notes: []string{`patch 2 of v3 was sent twice: the later one is taken, "[PATCH v3.1 2/2] splice: step 2"`},
		},
		"v2 in reply to v1": {
			mailbox: box(all(series(1, 2, 1), []letter{
				{subject: "[PATCH v2] splice: copy all at once", id: "w", reply: "v1-0", day: 8, body: diff("all", "at once")},
			})...), want: []string{"at once"}, title: "splice: copy all at once",
		},
		"a reviewer's own patch in the thread": {
			mailbox: box(append(series(2, 2, 3), letter{subject: "[PATCH] splice: or like this", id: "alt", reply: "v2-1", from: "Rae <rae@example.net>", day: 9, body: diff("x", "reviewer's")})...),
			want:    []string{"new1 of v2", "new2 of v2"},
			notes:   []string{`also in it, and not taken: v1 of "splice: or like this" (1 patch); to take one, save its thread alone`},
		},
		"another thread": {
			mailbox: box(append(series(2, 2, 3), letter{subject: "[PATCH net-next] net: else", id: "else", from: "Nat <nat@example.net>", day: 2, body: diff("x", "net")})...),
			want:    []string{"new1 of v2", "new2 of v2"},
			notes:   []string{`also in it, and not taken: v1 of "net: else" (1 patch); to take one, save its thread alone`},
		},
		"sent without threads, two series of one sender": {
			mailbox: box(
				letter{subject: "[PATCH 1/2] splice: a", id: "a", day: 1, body: diff("a", "a")}, letter{subject: "[PATCH 2/2] splice: b", id: "b", day: 1, body: diff("b", "b")},
				letter{subject: "[PATCH 1/2] net: c", id: "c", day: 4, body: diff("c", "c")}, letter{subject: "[PATCH 2/2] net: d", id: "d", day: 4, body: diff("d", "d")},
			), want: []string{"c", "d"}, notes: []string{`also in it, and not taken: v1 of "splice: a" (2 patches); to take one, save its thread alone`},
		},
		"each patch From its author": {
			mailbox: box(
				letter{subject: "[PATCH 0/2] splice: x", id: "0", day: 1, body: "Cover.\n"},
				letter{subject: "[PATCH 1/2] splice: a", id: "1", reply: "0", from: "bo@example.org", day: 1, body: diff("a", "a")},
				letter{subject: "[PATCH 2/2] splice: b", id: "2", reply: "0", from: "Cy <cy@example.org>", day: 1, body: diff("b", "b")},
			), want: []string{"a", "b"}, title: "splice: x",
		},
		"no cover letter in the mailbox": {
			mailbox: box(without(series(4, 2, 1), "v4-0")...), want: []string{"new1 of v4", "new2 of v4"}, title: "splice: step 1",
		},
		"quoted-printable and base64": {
			mailbox: box(
				letter{subject: "=?UTF-8?q?=5BPATCH_v2_1/2=5D_splice=3A_na=C3=AFve?=", id: "a", day: 1, headers: asQuotedPrintable, body: quotedPrintable("Naïve = slow.\n" + diff("int x = 1;", "\tint x = 2; /* naïve, and longer than the seventy-six characters of a line in this encoding */"))},
				letter{subject: "[PATCH v2 2/2] splice: b", id: "b", reply: "a", day: 1, headers: asBase64, body: inBase64(strings.ReplaceAll("Because.\n"+diff("y", "y = 0; "), "\n", "\r\n"))},
			), want: []string{"\tint x = 2; /* naïve, and longer than the seventy-six characters of a line in this encoding */", "y = 0; "}, title: "splice: naïve",
		},
		"a charset that is none": {
			mailbox: box(letter{subject: "[PATCH] splice: a", id: "a", day: 1, headers: "Content-Type: text/plain; charset=y\n", body: diff("a", "naïve")}), want: []string{"naïve"},
		},
		"latin-1": {
			mailbox: box(letter{subject: "[PATCH] splice: a", id: "a", day: 1, headers: "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n", body: diff("a", "na\xefve")}), want: []string{"naïve"},
		},
		"a signed mail": {
			mailbox: box(letter{subject: "[PATCH] splice: a", id: "a", day: 1, headers: "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=\"b-1\"\n",
				body: "--b-1\nContent-Type: text/plain\n\nBecause.\n" + diff("a", "signed") + "--b-1\nContent-Type: application/pgp-signature; name=\"signature.asc\"\n\n-----BEGIN PGP SIGNATURE-----\n--b-1--\n"}), want: []string{"signed"},
		},
		"text and HTML": {
			mailbox: box(letter{subject: "[PATCH] splice: a", id: "a", day: 1, headers: "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n",
				body: "--b\nContent-Type: text/plain\n\n" + diff("a", "plain") + "--b\nContent-Type: text/html\n\n<pre>" + diff("a", "html") + "\n--b--\n"}), want: []string{"plain"},
		},
		"an attachment": {
			mailbox: box(letter{subject: "[PATCH] splice: a", id: "a", day: 1, headers: "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
				body: "--b\nContent-Type: text/plain\n\nSee below.\n--b\nContent-Type: application/octet-stream; name=\"0001-a.patch\"\nContent-Transfer-Encoding: base64\n\n" + inBase64(diff("a", "attached")) + "--b--\n"}), want: []string{"attached"},
		},
		"From quoted in the message": {
			mailbox: box(letter{subject: "[PATCH 1/2] splice: a", id: "a", day: 1, body: ">From here on it copies.\nFrom now on, 10:30 is the time.\n" + diff("a", "a")},
				letter{subject: "[PATCH 2/2] splice: b", id: "b", reply: "a", day: 1, body: diff("b", "b")}), want: []string{"a", "b"},
		},
		"CRLF throughout": {
			mailbox: strings.ReplaceAll(box(series(1, 2, 1)...), "\n", "\r\n"), want: []string{"new1 of v1", "new2 of v1"},
		},
		"Patchwork's subjects": {
			mailbox: box(letter{subject: "[v2,1/2] splice: a", id: "a", day: 1, body: diff("a", "a")}, letter{subject: "[v2,2/2] splice: b", id: "b", reply: "a", day: 1, body: diff("b", "b")}), want: []string{"a", "b"},
		},
		"git format-patch --stdout": {
			mailbox: box(letter{subject: "[PATCH 1/2] splice: a", day: 9, body: diff("a", "a")}, letter{subject: "[PATCH 2/2]\n splice: b", from: "bo@example.org", day: 1, body: diff("b", "b")}), want: []string{"a", "b"}, title: "splice: a",
		},
		"git format-patch --stdout -N": {
			mailbox: box(letter{subject: "[PATCH] splice: a", day: 9, body: diff("a", "a")}, letter{subject: "[PATCH] splice: b", day: 1, body: diff("b", "b")}), want: []string{"a", "b"},
		},
		"git format-patch --stdout, one of two": {
			mailbox: box(letter{subject: "[PATCH 1/3] splice: a", day: 9, body: diff("a", "a")}, letter{subject: "[PATCH 3/3] splice: c", day: 1, body: diff("b", "b")}),
			err:     `v1 of "splice: a" lacks 2/3: save what is missing too`,
		},
		"two outputs of git format-patch": {
			mailbox: box(letter{subject: "[PATCH 1/2] splice: a", day: 9, body: diff("a", "a")}, letter{subject: "[PATCH 1/3] splice: c", day: 1, body: diff("b", "b")}),
			err:     `holds patches of more than one series in v1, such as "[PATCH 1/2] splice: a" and "[PATCH 1/3] splice: c": keep one series a folder or mailbox, or name the files one by one, each with --patch`,
		},
		"a discussion": {
			mailbox: box(letter{subject: "splice", id: "a", day: 1, body: "What about it?\n"}, letter{subject: "Re: splice", id: "b", reply: "a", day: 1, body: "Yes.\n"}),
			err:     `holds no patch: none of its 2 mails has [PATCH] in its subject and a diff`,
		},
		"a patch without [PATCH]": {
			mailbox: box(letter{subject: "splice", id: "a", day: 1, body: "What about this?\n" + diff("a", "a")}, letter{subject: "Re: splice", id: "b", reply: "a", day: 1, body: "Yes.\n"}), want: []string{"a"},
		},
		"one mail, of a series": {
			mailbox: letter{subject: "[PATCH v3 2/5] splice: b", id: "b", day: 1, body: diff("b", "b")}.String(), want: []string{"b"}, title: "splice: b",
		},
		"one mail, of another version": {
			mailbox: letter{subject: "[PATCH v3 2/5] splice: b", id: "b", day: 1, body: diff("b", "b")}.String(), version: 2, err: `there is no v2 in it: it is v3 of "splice: b"`,
		},
		"one mail, without a diff": {
			mailbox: letter{subject: "Re: splice", id: "b", day: 1, body: "Yes.\n"}.String(), err: `"Re: splice" holds no diff: save the mail as it was sent, or name the whole thread's mailbox`,
		},
		"a plain diff": {
			mailbox: diff("a", "plain"), want: []string{"plain"},
		},
		"a plain diff with CRLF": {
			mailbox: strings.ReplaceAll(diff("a", "plain"), "\n", "\r\n"), want: []string{"plain"},
		},
		"a patch to a file that has CRLF": {
			mailbox: strings.Replace(diff("a", "plain\r"), "-a\n", "-a\r\n", 1), want: []string{"plain\r"},
		},
		"git show": {
			mailbox: "commit 0123456789abcdef\nAuthor: Ann <ann@example.com>\nDate:   Mon Jun 1 12:00:00 2026 +0200\n\n    splice: a\n\n" + diff("a", "shown"), want: []string{"shown"},
		},
		"Debian's header": {
			mailbox: "Description: a\n It is slow.\nFrom: Ann <ann@example.com>\n--- a/fs/splice.c\n+++ b/fs/splice.c\n@@ -1 +1 @@\n-a\n+quilt\n", want: []string{"quilt"},
		},
		"a version of a plain diff": {mailbox: diff("a", "b"), version: 2, err: "is a plain patch, which has no versions: leave out --patch-version"},
		"no patch at all":           {mailbox: "Hello.\n", err: "mine.mbox holds no diff: a patch is what git diff, git format-patch or diff -u writes"},
		"nothing":                   {mailbox: "", err: "mine.mbox holds no diff: a patch is what git diff, git format-patch or diff -u writes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := write(t, "mine.mbox", tt.mailbox)
			got, err := Read(path, tt.version)
			if tt.err != "" {
				if want := path + ": " + tt.err; err == nil || err.Error() != want {
					t.Errorf("error\n%v\nwant\n%s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, added(got)); diff != "" {
				t.Errorf("lines added (-want +got):\n%s", diff)
			}
			if tt.title != "" && got.Title != tt.title {
				t.Errorf("title %q, want %q", got.Title, tt.title)
			}
			for i := range tt.notes {
				tt.notes[i] = path + ": " + tt.notes[i]
			}
			if diff := cmp.Diff(tt.notes, got.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompressed(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(box(series(2, 2, 3)...))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(write(t, "t.mbox.gz", packed.String()), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new1 of v2", "new2 of v2"}, added(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Read(write(t, "t.mbox.gz", packed.String()[:packed.Len()/2]), 0); err == nil || !strings.Contains(err.Error(), "gzip: unexpected EOF") {
		t.Errorf("cut off: %v", err)
	}
}

// TestSet: everything that a Set tells.
func TestSet(t *testing.T) {
	path := write(t, "20260603_vmsplice.mbx", box(series(2, 2, 3)...))
	got, err := Read(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := func(n int) string {
		return fmt.Sprintf("From: Ann Author <ann@example.com>\nSubject: [PATCH v2 %d/2] splice: step %[1]d\nMessage-ID: v2-%[1]d@example.com\n\nBecause.\n%s\n",
			n, diff(fmt.Sprint("old", n), fmt.Sprintf("new%d of v2", n)))
	}
	want := Set{
		Name: "20260603-vmsplice-v2", Title: "splice: copy", Version: 2,
		Origin: fmt.Sprintf("v2 of %q, 2 patches, from %s", "splice: copy", path),
		Patches: []kernel.Text{
			{Name: "0001-splice-step-1.patch", Text: text(1)}, {Name: "0002-splice-step-2.patch", Text: text(2)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFolder(t *testing.T) {
	patch := func(subject, line string) string { return box(letter{subject: subject, day: 1, body: diff("a", line)}) }
	cover := box(letter{subject: "[PATCH 0/2] splice: copy", day: 1, body: "*** BLURB HERE ***\n"})
	tests := map[string]struct {
		files   map[string]string
		version int
		want    []string
		err     string
	}{
		"git format-patch": {
			files: map[string]string{"0000-cover-letter.patch": cover, "0001-b.patch": patch("[PATCH 1/2] b", "b"), "0002-a.patch": patch("[PATCH 2/2] a", "a"), "notes.txt": "x"},
			want:  []string{"b", "a"},
		},
		"git format-patch --numbered-files, ten of them": {
			files: map[string]string{"1": patch("[PATCH] a", "1"), "2": patch("[PATCH] a", "2"), "10": patch("[PATCH] a", "10")}, want: []string{"1", "2", "10"},
		},
		"two versions": {
			files: map[string]string{"0001-b.patch": patch("[PATCH] b", "b"), "v2-0001-b.patch": patch("[PATCH v2] b", "b 2")}, want: []string{"b 2"},
		},
		"the older one": {
			files: map[string]string{"0001-b.patch": patch("[PATCH] b", "b"), "v2-0001-b.patch": patch("[PATCH v2] b", "b 2")}, version: 1, want: []string{"b"},
		},
		"one is missing": {
			files: map[string]string{"0001-b.patch": patch("[PATCH 1/3] b", "b"), "0003-a.patch": patch("[PATCH 3/3] a", "a")},
			err:   `v1 of "b" lacks 2/3: save what is missing too`,
		},
		"left over from another run": {
			files: map[string]string{"0001-b.patch": patch("[PATCH 1/2] b", "b"), "0001-a.patch": patch("[PATCH] a", "a")},
			err:   `holds patches of more than one series in v1, such as "[PATCH] a" and "[PATCH 1/2] b": keep one series a folder or mailbox, or name the files one by one, each with --patch`,
		},
		"plain diffs":             {files: map[string]string{"2.diff": diff("a", "2"), "1.diff": diff("a", "1")}, want: []string{"1", "2"}},
		"versions of plain diffs": {files: map[string]string{"1.diff": diff("a", "1")}, version: 2, err: "holds plain patches, which have no versions: leave out --patch-version"},
		"quilt":                   {files: map[string]string{"series": "# mine\nz.patch -p1\na.patch # first half\n", "z.patch": diff("a", "z"), "a.patch": diff("a", "a"), "unused.patch": diff("a", "u")}, want: []string{"z", "a"}},
		"quilt, -p0":              {files: map[string]string{"series": "z.patch -p0\n"}, err: "z.patch has the option -p0: only -p1 patches can be taken"},
		"quilt, outside":          {files: map[string]string{"series": "../z.patch\n"}, err: "../z.patch lies outside the folder"},
		"a mailbox among them":    {files: map[string]string{"all.patch": box(series(1, 2, 1)...)}, err: "all.patch holds 3 mails: name it with a --patch of its own"},
		"a damaged one":           {files: map[string]string{"1.patch": box(letter{subject: "[PATCH] b", headers: asBase64, body: "!"})}, err: "1.patch can't be read as a mail: its encoding is damaged: unexpected EOF"},
		"no patch among them":     {files: map[string]string{"1.patch": "Hello.\n"}, err: "1.patch holds no diff: a patch is what git diff, git format-patch or diff -u writes"},
		"a kernel tree":           {files: map[string]string{"Kconfig": "x"}, err: "holds no patch (*.patch, *.diff, *.eml): git format-patch -o writes them; a kernel tree is named with --source"},
		"a cover letter, alone":   {files: map[string]string{"0000-cover-letter.patch": cover}, err: `v1 of "splice: copy" lacks 1/2, 2/2: save what is missing too`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Read(dir, tt.version)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), dir) || !strings.HasSuffix(err.Error(), ": "+tt.err) {
					t.Errorf("error\n%v\nwant\n%s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, added(got)); diff != "" {
				t.Errorf("lines added (-want +got):\n%s", diff)
			}
		})
	}
	_, err := Read(filepath.Join(t.TempDir(), "none"), 0)
	var bad *Error
	if !errors.As(err, &bad) || bad.ExitStatus() != 2 || !strings.Contains(bad.Detail, "no such file") {
		t.Errorf("no file: %v", err)
	}
}

func TestName(t *testing.T) {
	for path, want := range map[string]string{
		"fix.patch": "fix", "a/b/0001-splice-Copy_it.patch": "splice-copy-it", "v3-0002-x1.patch": "x1", "t.mbox.gz": "patched",
		"20260601120000.1234-1-ann@example.com.mbox": "patched", "my series/": "my-series", "20260601": "patched", "Ärger.diff": "rger",
		"v2_20260601_ann_vmsplice_as_a_trivial_wrapper.mbx": "vmsplice-as-a-trivial",
	} {
		if got := Name(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestSubject(t *testing.T) {
	for text, want := range map[string]subject{
		"[PATCH] a":                          {title: "a", patch: true, version: 1},
		"[PATCH v3 02/12] a":                 {title: "a", patch: true, version: 3, number: 2, total: 12},
		"[PATCH net-next V2 0/2] a: b":       {title: "a: b", patch: true, version: 2, total: 2},
		"[linux-mm] [PATCHv4 1/2] a":         {title: "a", patch: true, version: 4, number: 1, total: 2},
		"[RFC][PATCH 1/1][RESEND] a":         {title: "a", patch: true, rfc: true, resend: true, version: 1, number: 1, total: 1},
		"[RFCv2 1/2] a":                      {title: "a", patch: true, rfc: true, version: 2, number: 1, total: 2},
		"[PATCH v3.1 2/5] [media] a":         {title: "[media] a", patch: true, version: 3, minor: 1, number: 2, total: 5},
		"[PATCH] [media] a":                  {title: "[media] a", patch: true, version: 1},
		"Re: AW: [PATCH v2 1/2] a":           {title: "a", patch: true, reply: true, version: 2, number: 1, total: 2},
		"[media] a":                          {title: "[media] a", version: 1},
		"[PATCH 1/2 a":                       {title: "[PATCH 1/2 a", version: 1},
		"Reply: none":                        {title: "Reply: none", version: 1},
		"[v2,3/4] a":                         {title: "a", patch: true, version: 2, number: 3, total: 4},
		"[RFC] shall we talk?":               {title: "[RFC] shall we talk?", rfc: true, version: 1},
		"":                                   {version: 1},
		"[PATCH 99999999999999999999/2] big": {title: "big", patch: true, version: 1},
	} {
		if diff := cmp.Diff(want, parseSubject(text), cmp.AllowUnexported(subject{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// FuzzRead: whatever a file holds, it is refused in one line, or gives patches
// with diffs under names that are files' names.
func FuzzRead(f *testing.F) {
	f.Add(box(series(2, 2, 3)...), 0)
	f.Add(box(all(series(2, 2, 1), without(series(3, 4, 5), "v3-2"))...), 3)
	f.Add(diff("a", "b"), 0)
	f.Add(letter{subject: "=?UTF-8?q?=5BPATCH_v2_1/2=5D_splice=3A_na=C3=AFve?=", id: "a", headers: asBase64, body: inBase64(diff("a", "b"))}.String(), 0)
	f.Add(box(letter{subject: "[PATCH] a", headers: "Content-Type: multipart/mixed; boundary=b\n", body: "--b\nContent-Type: text/x-patch\n\n" + diff("a", "b") + "--b--\n"}), 1)
	f.Fuzz(func(t *testing.T, text string, version int) {
		data, err := readAll(strings.NewReader(text))
		if err != nil {
			return
		}
		set, err := fromFile("f", file{"f", data}, version)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		if len(set.Patches) == 0 || set.Version < 0 || version > 0 && set.Version != version {
			t.Fatalf("%d patches, version %d of %d", len(set.Patches), set.Version, version)
		}
		for _, p := range set.Patches {
			if !hasDiff.MatchString(p.Text) || p.Name != filepath.Base(p.Name) {
				t.Fatalf("patch %q:\n%s", p.Name, p.Text)
			}
		}
	})
}
