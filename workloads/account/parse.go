package account

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errFormat: tracefs says something that this package doesn't read.
var errFormat = errors.New("unknown form")

// hist is a histogram trigger's file, `hist`.
type hist struct {
	rows []row
	// hits is how often the event fired, dropped how often without a row.
	hits, dropped int64
}

// row is one key of a histogram: how often it came, and the sum of the event's
// field n.
type row struct {
	key     string
	hits, n int64
}

// parseHist reads the file of a trigger with one key and one value, none where
// value is empty (event_hist_trigger's hist_show):
//
//	{ key:          0 } hitcount:         32  n:     131072
//
//	Totals:
//	    Hits: 32
//	    Entries: 1
//	    Dropped: 0
func parseHist(text, key, value string) (hist, error) {
	rows, totals, found := strings.Cut(text, "\nTotals:\n")
	if !found {
		return hist{}, fmt.Errorf("histogram: %w: no totals", errFormat)
	}
	var h hist
	var hits int64
	for l := range strings.Lines(rows) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		r, err := parseRow(l, key, value)
		if err != nil {
			return hist{}, err
		}
		h.rows = append(h.rows, r)
		hits += r.hits
	}
	entries := int64(0)
	for _, total := range []struct {
		name string
		into *int64
	}{{"Hits", &h.hits}, {"Entries", &entries}, {"Dropped", &h.dropped}} {
		var err error
		if *total.into, totals, err = parseTotal(totals, total.name); err != nil {
			return hist{}, err
		}
	}
	if strings.TrimSpace(totals) != "" || entries != int64(len(h.rows)) || hits != h.hits {
		return hist{}, fmt.Errorf("histogram: %w: %d rows with %d hits, and totals of %d and %d", errFormat, len(h.rows), hits, entries, h.hits)
	}
	return h, nil
}

func parseRow(l, keyName, value string) (row, error) {
	bad := fmt.Errorf("histogram: %w: row %q", errFormat, l)
	key, values, found := strings.Cut(strings.TrimPrefix(l, "{"), "}")
	name, key, named := strings.Cut(key, ":")
	fields := strings.Fields(values)
	if value == "" {
		fields = append(fields, ":", "0")
	}
	if !strings.HasPrefix(l, "{") || !found || !named || strings.TrimSpace(name) != keyName || len(fields) != 4 || fields[0] != "hitcount:" || fields[2] != value+":" {
		return row{}, bad
	}
	hits, hitsErr := parseCount(fields[1])
	n, nErr := parseCount(fields[3])
	if hitsErr != nil || nErr != nil {
		return row{}, bad
	}
	return row{strings.TrimSpace(key), hits, n}, nil
}

// parseTotal reads one line of the totals and returns those after it.
func parseTotal(text, name string) (n int64, rest string, err error) {
	l, rest, _ := strings.Cut(text, "\n")
	value, found := strings.CutPrefix(strings.TrimSpace(l), name+": ")
	if n, err = parseCount(value); !found || err != nil {
		return 0, "", fmt.Errorf("histogram: %w: %q is not %s", errFormat, l, name)
	}
	return n, rest, nil
}

// parseProfile reads kprobe_profile: how often each event's probe was missed.
func parseProfile(text string) (missed map[string]int64, err error) {
	missed = map[string]int64{}
	for l := range strings.Lines(text) {
		fields := strings.Fields(l)
		if len(fields) != 3 {
			return nil, fmt.Errorf("kprobe_profile: %w: %q", errFormat, l)
		}
		n, err := parseCount(fields[2])
		if err != nil {
			return nil, fmt.Errorf("kprobe_profile: %w: %q", errFormat, l)
		}
		missed[fields[0]] = n
	}
	return missed, nil
}

// parseFetched reads the fields of one event out of the trace file:
//
//	init-57  [000] .....  3.1: find: (ip_rcv+0x0/0x1 <- skb_copy_ubufs) o112=20000 o116=19948
//
// It returns those of each record.
func parseFetched(text, event string) ([]map[string]int64, error) {
	var records []map[string]int64
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "#") {
			continue
		}
		_, record, found := strings.Cut(l, " "+event+": (")
		if !found {
			continue
		}
		_, fields, found := strings.Cut(record, ") ")
		if !found {
			return nil, fmt.Errorf("trace: %w: %q", errFormat, l)
		}
		values := map[string]int64{}
		for _, field := range strings.Fields(fields) {
			name, value, _ := strings.Cut(field, "=")
			n, err := parseCount(value)
			if err != nil {
				return nil, fmt.Errorf("trace: %w: %q in %q", errFormat, field, l)
			}
			values[name] = n
		}
		records = append(records, values)
	}
	return records, nil
}

// parseCount reads a number that no count of this package's exceeds.
func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 0 || text[0] == '+') {
		err = strconv.ErrRange
	}
	return n, err
}
