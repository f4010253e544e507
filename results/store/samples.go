package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// encodeSamples returns the lines of samples.jsonl for one boot, and their
// SHA-256 in hex.
func encodeSamples(boot string, samples []Sample) (lines []byte, sum string, err error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for i, s := range samples {
		if s.Boot != boot {
			return nil, "", fmt.Errorf("%w: sample %d of boot %q says it is of boot %q", ErrBoot, i, boot, s.Boot)
		}
		if err := enc.Encode(s); err != nil {
			return nil, "", fmt.Errorf("encode sample %d of boot %q: %w", i, boot, err)
		}
	}
	h := sha256.Sum256(buf.Bytes())
	return buf.Bytes(), hex.EncodeToString(h[:]), nil
}

// scan is what a sample file holds.
type scan struct {
	samples []Sample
	// kept are the lines that count, in order.
	kept [][]byte
	// dropped counts the lines of boots that are not marked done, torn ones
	// included.
	dropped int
}

// tally is what was found of one boot.
type tally struct {
	lines int
	sum   hash.Hash
}

// scanSamples reads the lines of text that belong to boots which are marked
// done in m. Every other line was cut off by the end of a lab and is dropped:
// its boot is measured again. A done boot of which a line is missing or
// changed is an error; name is the file's, for messages.
func scanSamples(name string, text []byte, m Manifest) (scan, error) {
	done := make(map[string]*tally, len(m.Boots))
	for _, b := range m.Boots {
		if b.Done() {
			done[b.Name] = &tally{sum: sha256.New()}
		}
	}
	var out scan
	var bad error // the first line that is none
	names := interner{}
	lines := decodeLines(text)
	out.samples = make([]Sample, 0, len(lines))
	for i, l := range lines {
		t := done[l.sample.Boot]
		switch {
		case l.err != nil:
			out.dropped++
			if bad == nil {
				bad = &DamageError{File: name, Line: i + 1, Why: reason(l.err)}
			}
		case t == nil:
			out.dropped++
		default:
			t.lines++
			t.sum.Write(l.raw)
			out.kept = append(out.kept, l.raw)
			out.samples = append(out.samples, names.sample(l.sample))
		}
	}
	return out, checkTallies(name, m, done, bad)
}

// line is one line of a sample file, its end included, and what it says.
type line struct {
	raw    []byte
	sample Sample
	err    error
}

// decodeLines reads all lines, on all processors: decoding takes most of a
// report's time.
func decodeLines(text []byte) []line {
	lines := make([]line, 0, bytes.Count(text, []byte("\n"))+1)
	for raw := range bytes.Lines(text) {
		lines = append(lines, line{raw: raw})
	}
	workers := runtime.GOMAXPROCS(0)
	share := (len(lines) + workers - 1) / workers
	var wg sync.WaitGroup
	for part := range slices.Chunk(lines, max(share, 1)) {
		wg.Go(func() {
			plain := plainReader{names: interner{}}
			for i := range part {
				part[i].sample, part[i].err = plain.decode(part[i].raw)
			}
		})
	}
	wg.Wait()
	return lines
}

// checkTallies compares what was found with what Commit wrote down. A bad line
// is to blame only if a boot that counts is incomplete.
func checkTallies(name string, m Manifest, done map[string]*tally, bad error) error {
	for _, b := range m.Boots {
		t := done[b.Name]
		if t == nil {
			continue
		}
		whole := t.lines == b.Samples && (b.Samples == 0 || hex.EncodeToString(t.sum.Sum(nil)) == b.SamplesSHA256)
		switch {
		case whole:
		case bad != nil:
			return bad
		case t.lines != b.Samples:
			return &DamageError{File: name, Why: fmt.Sprintf("boot %q has %d of its %d samples", b.Name, t.lines, b.Samples)}
		default:
			return &DamageError{File: name, Why: fmt.Sprintf("the samples of boot %q are not those that were written: their checksum differs", b.Name)}
		}
	}
	return nil
}

var (
	errTorn   = errors.New("the line has no end")
	errNoBoot = errors.New("the sample names no boot")
)

// decode reads one line with its end.
func (p *plainReader) decode(raw []byte) (Sample, error) {
	if s, ok := p.read(raw); ok && s.Boot != "" {
		return s, nil
	}
	return decodeSample(raw)
}

// decodeSample reads one line with its end, whatever its form.
func decodeSample(raw []byte) (Sample, error) {
	var s Sample
	if err := json.Unmarshal(raw, &s); err != nil {
		return Sample{}, err
	}
	if !bytes.HasSuffix(raw, []byte("\n")) {
		return Sample{}, errTorn
	}
	if s.Boot == "" {
		return Sample{}, errNoBoot
	}
	return s, nil
}

// interner keeps one copy of strings that samples repeat: names make up most
// of a sample's memory.
type interner map[string]string

func (in interner) one(s string) string {
	if kept, ok := in[s]; ok {
		return kept
	}
	in[s] = s
	return s
}

// bytes is one for bytes.
func (in interner) bytes(b []byte) string {
	if kept, ok := in[string(b)]; ok {
		return kept
	}
	s := string(b)
	in[s] = s
	return s
}

func (in interner) sample(s Sample) Sample {
	s.Kernel, s.Workload, s.Schedule, s.Sink = in.one(s.Kernel), in.one(s.Workload), in.one(s.Schedule), in.one(s.Sink)
	s.CPUModel, s.Profile, s.Mode = in.one(s.CPUModel), in.one(s.Profile), in.one(s.Mode)
	s.Boot, s.Outcome = in.one(s.Boot), in.one(s.Outcome)
	return s
}

// readSamples reads dir's sample file against m.
func readSamples(dir string, m Manifest) (scan, error) {
	name := filepath.Join(dir, SamplesName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return scan{}, &DamageError{File: name, Why: "it is missing"}
	}
	if err != nil {
		return scan{}, fmt.Errorf("read samples: %w", err)
	}
	return scanSamples(name, text, m)
}
