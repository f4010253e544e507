package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// The files of a run's folder.
const (
	ManifestName = "manifest.json"
	SamplesName  = "samples.jsonl"
	ConsoleName  = "console" // a folder, one file a boot
	lockName     = ".lock"
)

var (
	// ErrNoRun: the folder holds no run.
	ErrNoRun = errors.New("not a run")
	// ErrExists: the folder already holds a run.
	ErrExists = errors.New("there is a run already")
	// ErrLocked: another process writes the run.
	ErrLocked = errors.New("another lab writes this run")
	// ErrDamaged: a manifest or a sample file is not as it was written.
	ErrDamaged = errors.New("damaged")
	// ErrBoot: a boot was committed that the manifest does not plan, or twice.
	ErrBoot = errors.New("wrong boot")
)

// DamageError says where a run's file stopped making sense.
type DamageError struct {
	File string
	Line int // from 1; 0 when no line is to blame
	Why  string
}

func (e *DamageError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return fmt.Sprintf("%s: damaged: %s: restore the file from a copy, or measure again into another folder", where, e.Why)
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// encodeManifest returns the bytes of manifest.json.
func encodeManifest(m Manifest) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // patches and mail addresses stay readable
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return buf.Bytes(), nil
}

// decodeManifest is the inverse of encodeManifest; name is the file's, for
// messages.
func decodeManifest(name string, text []byte) (Manifest, error) {
	var version struct{ Version int }
	if json.Unmarshal(text, &version) == nil && version.Version > ManifestVersion {
		return Manifest{}, fmt.Errorf("%s: written by a newer lab (manifest version %d, this lab reads up to %d): use that lab",
			name, version.Version, ManifestVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var m Manifest
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, &DamageError{File: name, Line: lineOf(text, err, dec.InputOffset()), Why: reason(err)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return Manifest{}, &DamageError{File: name, Line: lineAt(text, dec.InputOffset()), Why: "something stands behind the manifest's end"}
	}
	return m, checkManifest(name, m)
}

// checkManifest finds what JSON alone cannot.
func checkManifest(name string, m Manifest) error {
	if m.Version != ManifestVersion {
		return &DamageError{File: name, Why: fmt.Sprintf("version is %d, want %d", m.Version, ManifestVersion)}
	}
	seen := make(map[string]bool, len(m.Boots))
	for _, b := range m.Boots {
		if b.Name == "" || seen[b.Name] {
			return &DamageError{File: name, Why: fmt.Sprintf("two boots are called %q, or one has no name", b.Name)}
		}
		seen[b.Name] = true
	}
	return nil
}

// reason is err in one line, without the package's own prefix.
func reason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "it ends in the middle"
	}
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("json: ")))
}

// lineOf is the line that a decoding error is about; at is where the decoder
// stood, for errors that do not say.
func lineOf(text []byte, err error, at int64) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(text))
	default: // an unknown key: the decoder tells its name, but not its place
		if _, key, ok := strings.Cut(err.Error(), "unknown field "); ok {
			at = int64(max(bytes.Index(text, []byte(key+":")), 0))
		}
	}
	return lineAt(text, at)
}

func lineAt(text []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(text)))
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

// writeManifest replaces dir's manifest atomically.
func writeManifest(dir string, m Manifest) error {
	if err := checkManifest(filepath.Join(dir, ManifestName), m); err != nil {
		return err
	}
	text, err := encodeManifest(m)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, ManifestName), text, 0o644); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// readManifest reads dir's manifest.
func readManifest(dir string) (Manifest, error) {
	name := filepath.Join(dir, ManifestName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s: %w: it has no %s: name a folder that lab run wrote", dir, ErrNoRun, ManifestName)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return decodeManifest(name, text)
}
