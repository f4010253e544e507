package patchset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// fromThreads takes the series out of a mailbox of mails: among cover letters,
// replies, other versions and other threads.
func fromThreads(path string, messages []message, version int) (Set, error) {
	messages = onlyOnce(messages)
	threads := threadsOf(messages)
	patches := patchMails(messages)
	if len(patches) == 0 {
		return Set{}, problem(path, "holds no patch: none of its %d mails has [PATCH] in its subject and a diff", len(messages))
	}
	topics := topicsOf(seriesOf(patches), threads)
	chosen := choose(topics, version)
	set, err := pick(path, chosen.versions, version)
	if err != nil {
		return Set{}, err
	}
	if others := otherTopics(topics, chosen); others != "" {
		set.Notes = append(set.Notes, fmt.Sprintf("%s: also in it, and not taken: %s; to take one, save its thread alone", path, others))
	}
	return set, nil
}

// onlyOnce drops further copies of a mail that came by several lists, and sorts
// the rest by date.
func onlyOnce(messages []message) []message {
	seen := map[string]bool{}
	messages = slices.DeleteFunc(messages, func(m message) bool {
		if m.id == "" {
			return false
		}
		twice := seen[m.id]
		seen[m.id] = true
		return twice
	})
	slices.SortStableFunc(messages, func(a, b message) int {
		return cmp.Or(a.date.Compare(b.date), cmp.Compare(a.position, b.position))
	})
	return messages
}

// patchMails keeps patches and cover letters. Where no subject says [PATCH],
// every mail with a diff that isn't a reply is a patch.
func patchMails(messages []message) []message {
	var tagged, others []message
	for _, m := range messages {
		switch {
		case m.reply || m.number > m.total: // 6/5: a later addition
		case m.patch && (m.diff || m.total > 0):
			tagged = append(tagged, m)
		case m.diff:
			others = append(others, m)
		}
	}
	if !slices.ContainsFunc(tagged, func(m message) bool { return m.diff }) && len(others) > 0 {
		return others
	}
	return tagged
}

// threadsOf gives each message id the name of its thread: the oldest id that
// its references lead to, those of mails that aren't there included.
func threadsOf(messages []message) map[string]string {
	parent := map[string]string{}
	var root func(string) string
	root = func(id string) string {
		if p, ok := parent[id]; ok && p != id {
			parent[id] = root(p)
			return parent[id]
		}
		return id
	}
	for _, m := range messages {
		for _, ref := range m.refs {
			if a, b := root(m.key()), root(ref); a != b {
				parent[a] = b
			}
		}
	}
	threads := map[string]string{}
	for _, m := range messages {
		threads[m.key()] = root(m.key())
	}
	return threads
}

// seriesOf groups patches that were sent as one.
func seriesOf(patches []message) []*candidate {
	var all []*candidate
	for _, m := range patches {
		c := home(all, m)
		if c == nil {
			c = &candidate{version: m.version, total: m.total}
			c.rfc, c.resend = m.rfc, m.resend
			all = append(all, c)
		}
		c.replace(m)
	}
	for _, c := range all {
		c.numberUnnumbered()
	}
	return all
}

// home returns the series that m is a part of; nil when it begins one.
func home(all []*candidate, m message) *candidate {
	if m.total == 0 {
		return nil // by itself
	}
	var best *candidate
	for _, c := range all {
		if c.version != m.version || c.total != m.total || c.rfc != m.rfc || c.resend != m.resend {
			continue
		}
		same, linked, free := c.mails[0].from == m.from, c.linked(m), !c.has(m.number)
		switch {
		case linked && same:
			return c
		case linked && free && best == nil:
			best = c // git format-patch --thread: each patch From its author
		case same && free && m.parent == "" && !c.threaded() && best == nil:
			best = c // sent without threading
		}
	}
	return best
}

// linked reports whether the references of m and of the series' mails meet.
func (c *candidate) linked(m message) bool {
	return slices.ContainsFunc(c.mails, func(o message) bool {
		return slices.Contains(m.refs, o.id) && o.id != "" || slices.Contains(o.refs, m.id) && m.id != "" ||
			m.parent != "" && m.parent == o.parent
	})
}

func (c *candidate) threaded() bool {
	return slices.ContainsFunc(c.mails, func(m message) bool { return m.parent != "" })
}

// replace adds m; of a patch that was sent twice the later counts.
func (c *candidate) replace(m message) {
	if old := c.find(m.number); c.total > 0 && old != nil {
		if m.number > 0 {
			c.again = append(c.again, fmt.Sprintf("patch %d of v%d was sent twice: the later one is taken, %q", m.number, c.version, m.subjects))
		}
		i := slices.IndexFunc(c.mails, func(o message) bool { return o.position == old.position })
		c.mails = slices.Delete(c.mails, i, i+1)
	}
	c.add(m)
}

// unnumbered reports a patch sent by itself.
func (c *candidate) unnumbered() bool { return c.mails[0].subject.total == 0 }

// date is when the series' first mail was sent.
func (c *candidate) date() time.Time { return c.mails[0].date }

// topic is a series in all its versions.
type topic struct {
	versions []*candidate
	// guest says that every version was sent into a thread that another topic
	// began: somebody's proposal in a discussion.
	guest bool
}

// topicsOf groups the versions: those of one sender in one thread, and those
// that share a patch's or a cover letter's title.
func topicsOf(all []*candidate, threads map[string]string) []*topic {
	var topics []*topic
	for _, c := range all {
		joined := &topic{versions: []*candidate{c}}
		topics = slices.DeleteFunc(topics, func(t *topic) bool {
			related := slices.ContainsFunc(t.versions, func(o *candidate) bool { return related(c, o, threads) })
			if related {
				joined.versions = append(joined.versions, t.versions...)
			}
			return related
		})
		topics = append(topics, joined)
	}
	owners := map[string]*topic{} // by thread
	first := map[string]time.Time{}
	for _, t := range topics {
		for _, c := range t.versions {
			thread := threads[c.mails[0].key()]
			if owners[thread] == nil || c.date().Before(first[thread]) {
				owners[thread], first[thread] = t, c.date()
			}
		}
	}
	for _, t := range topics {
		t.guest = !slices.ContainsFunc(t.versions, func(c *candidate) bool { return owners[threads[c.mails[0].key()]] == t })
	}
	return topics
}

func related(a, b *candidate, threads map[string]string) bool {
	if a.mails[0].from == b.mails[0].from && threads[a.mails[0].key()] == threads[b.mails[0].key()] {
		return true
	}
	return slices.ContainsFunc(a.mails, func(m message) bool {
		return m.title != "" && slices.ContainsFunc(b.mails, func(o message) bool { return strings.EqualFold(m.title, o.title) })
	})
}

// choose returns the topic to take from: one that has the version at all, one
// with a complete version, no guest, the newest.
func choose(topics []*topic, version int) *topic {
	return slices.MinFunc(topics, func(a, b *topic) int {
		return cmp.Or(
			compareBools(!a.offers(version, false), !b.offers(version, false)),
			compareBools(!a.offers(version, true), !b.offers(version, true)),
			compareBools(a.guest, b.guest),
			b.newest().Compare(a.newest()),
		)
	})
}

func (t *topic) offers(version int, complete bool) bool {
	return slices.ContainsFunc(t.versions, func(c *candidate) bool {
		return (version == 0 || c.version == version) && (!complete || c.complete())
	})
}

func (t *topic) newest() time.Time {
	var last time.Time
	for _, c := range t.versions {
		if c.date().After(last) {
			last = c.date()
		}
	}
	return last
}

// otherTopics names the other series that are whole.
func otherTopics(topics []*topic, chosen *topic) string {
	var names []string
	for _, t := range topics {
		if t == chosen || !t.offers(0, true) {
			continue
		}
		slices.SortStableFunc(t.versions, newer)
		for _, c := range t.versions {
			if c.complete() {
				names = append(names, fmt.Sprintf("v%d of %q (%s)", c.version, c.name(), count(c.total, "patch", "patches")))
				break
			}
		}
	}
	return shorten(names)
}
