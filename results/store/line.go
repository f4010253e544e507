package store

// plainReader reads samples in the form in which they are written: no blanks,
// no escapes, nothing but ASCII. It takes a fraction of encoding/json's time,
// and leaves to it whatever looks otherwise.
type plainReader struct {
	names interner
	rest  []byte
	ok    bool // all of it was plain so far
}

// read returns the sample of one line, its end included, and whether the line
// is a plain one.
func (p *plainReader) read(raw []byte) (Sample, bool) {
	var s Sample
	p.rest, p.ok = raw, true
	p.take('{')
	for p.field(&s); p.has(','); p.field(&s) {
	}
	p.take('}')
	p.take('\n')
	return s, p.ok && len(p.rest) == 0
}

// field reads a key and its value into s.
func (p *plainReader) field(s *Sample) {
	key := p.text()
	p.take(':')
	switch key {
	case "kernel":
		s.Kernel = p.text()
	case "workload":
		s.Workload = p.text()
	case "schedule":
		s.Schedule = p.text()
	case "sink":
		s.Sink = p.text()
	case "cpu_model":
		s.CPUModel = p.text()
	case "profile":
		s.Profile = p.text()
	case "mode":
		s.Mode = p.text()
	case "boot":
		s.Boot = p.text()
	case "outcome":
		s.Outcome = p.text()
	case "chunk":
		s.Chunk = p.number()
	case "bytes":
		s.Bytes = p.number()
	case "rep":
		s.Rep = int(p.number())
	case "seed":
		s.Seed = uint64(p.number())
	case "metrics":
		p.ok = p.ok && s.Metrics == nil // a second one adds to the first
		s.Metrics = p.metrics()
	default:
		p.ok = false
	}
}

func (p *plainReader) metrics() map[string]int64 {
	m := make(map[string]int64, 8)
	p.take('{')
	for more := true; more; more = p.has(',') {
		key := p.text()
		p.take(':')
		m[key] = p.number()
	}
	p.take('}')
	return m
}

// has takes that byte, if it is the next.
func (p *plainReader) has(c byte) bool {
	if !p.ok || len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// take takes that byte, which must be the next.
func (p *plainReader) take(c byte) { p.ok = p.has(c) }

// text takes a string.
func (p *plainReader) text() string {
	p.take('"')
	for i := 0; p.ok && i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			text := p.names.bytes(p.rest[:i])
			p.rest = p.rest[i+1:]
			return text
		case c == '\\' || c < ' ' || c > '~':
			p.ok = false
		}
	}
	p.ok = false
	return ""
}

// number takes a whole number of at most 18 digits, as most are.
func (p *plainReader) number() int64 {
	n, digits := int64(0), 0
	for digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9' && digits <= 18 {
		n = 10*n + int64(p.rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 18 || p.rest[0] == '0' && digits > 1 {
		p.ok = false
		return 0
	}
	p.rest = p.rest[digits:]
	return n
}
