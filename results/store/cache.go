package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Cache keeps the result streams of count boots by the hashes of what they
// depend on, so that base isn't measured again for every patch. A Cache without
// a folder keeps nothing and finds nothing. Several processes may share one.
type Cache struct {
	Dir string
}

// ErrCache: an entry is not as it was written. The caller measures again; Put
// replaces the entry.
var ErrCache = errors.New("damaged sample cache entry")

// Key is the hash of parts, in hex. Every part's length is hashed with it, so
// that no two lists of parts share a key by where one part ends.
func Key(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// An entry is a line with the hash of what follows, and what follows.
const entryMagic = "splicelab samples 1 "

// Get returns the stream stored under key; ok is false when there is none.
// ErrCache: there was one, but it is damaged.
func (c Cache) Get(key string) (stream []byte, ok bool, err error) {
	if c.Dir == "" {
		return nil, false, nil
	}
	name, err := c.path(key)
	if err != nil {
		return nil, false, err
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read sample cache: %w", err)
	}
	head, stream, _ := bytes.Cut(text, []byte("\n"))
	if string(head) != entryHead(key, stream) {
		return nil, false, fmt.Errorf("%s: %w: it is measured again", name, ErrCache)
	}
	return stream, true, nil
}

// Put stores stream under key, atomically: a reader sees all of it or nothing.
func (c Cache) Put(key string, stream []byte) error {
	if c.Dir == "" {
		return nil
	}
	name, err := c.path(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write sample cache: %w", err)
	}
	entry := append([]byte(entryHead(key, stream)+"\n"), stream...)
	if err := renameio.WriteFile(name, entry, 0o644); err != nil {
		return fmt.Errorf("write sample cache: %w", err)
	}
	return nil
}

// entryHead ties the stream to its key too: a file that was copied to another
// name is not taken for that key's.
func entryHead(key string, stream []byte) string {
	return entryMagic + Key(key, string(stream))
}

// path is where an entry lies. Only keys made by Key name one, so that no key
// leads out of the folder.
func (c Cache) path(key string) (string, error) {
	if raw, err := hex.DecodeString(key); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("sample cache: %q is no key: make it with Key", key)
	}
	return filepath.Join(c.Dir, key[:2], key), nil
}
