package patchset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// file is one file's name and content, its line ends those of Unix.
type file struct {
	name string // its last part
	data []byte
}

// seriesFile lists a folder's patches in order, where quilt keeps them.
const seriesFile = "series"

// load reads the file at path, or the patches of the folder there, in order.
func load(path string) (files []file, folder bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, problem(path, "no such file or folder: name a patch, a mailbox or a folder of patches")
	}
	if err != nil {
		return nil, false, problem(path, "can't be read: %v", err)
	}
	if !info.IsDir() {
		f, err := loadFile(path)
		return []file{f}, false, err
	}
	names, err := patchNames(path)
	if err != nil {
		return nil, true, err
	}
	for _, name := range names {
		f, err := loadFile(filepath.Join(path, name))
		if err != nil {
			return nil, true, err
		}
		files = append(files, f)
	}
	return files, true, nil
}

func loadFile(path string) (file, error) {
	in, err := os.Open(path)
	if err != nil {
		return file{}, problem(path, "can't be read: %v", err)
	}
	defer in.Close()
	data, err := readAll(in)
	if err != nil {
		return file{}, problem(path, "can't be read: %v", err)
	}
	return file{filepath.Base(path), data}, nil
}

// errTooLarge: more than anybody's mailbox of patches has.
var errTooLarge = fmt.Errorf("it has more than %d MiB: save the thread alone", maxSize>>20)

func readAll(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxSize+1))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		unpacked, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		if data, err = io.ReadAll(io.LimitReader(unpacked, maxSize+1)); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
	}
	if len(data) > maxSize {
		return nil, errTooLarge
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), "\r\n")
	return []byte(unixLines(string(data))), nil
}

// unixLines takes the CRs of a text that travelled with CRLF: every line has
// one, or a diff's header has, where no program writes one. Elsewhere they
// belong to a patch of a file with CRs.
func unixLines(text string) string {
	n := strings.Count(text, "\r\n")
	if n == 0 || n != strings.Count(text, "\n") && !crHeader.MatchString(text) {
		return text
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}

var crHeader = regexp.MustCompile(`(?m)^\+\+\+ \S.*\r$`)

var patchFile = regexp.MustCompile(`(?i)^(?:.*\.(?:patch|diff|eml)(?:\.gz)?|\d+)$`)

// patchNames returns a folder's patches: in the order of its series file where
// there is one, else of their names, which is that of git format-patch.
func patchNames(folder string) ([]string, error) {
	if text, err := os.ReadFile(filepath.Join(folder, seriesFile)); err == nil {
		return quiltNames(folder, string(text))
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, problem(folder, "can't be read: %v", err)
	}
	var names []string
	for _, e := range entries {
		if patchFile.MatchString(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, problem(folder, "holds no patch (*.patch, *.diff, *.eml): git format-patch -o writes them; a kernel tree is named with --source")
	}
	// Numbers, as git format-patch --numbered-files writes them, by value.
	slices.SortStableFunc(names, func(a, b string) int {
		if len(a) != len(b) && strings.Trim(a+b, "0123456789") == "" {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// quiltNames reads a series file: a name a line, options behind it, comments
// after #.
func quiltNames(folder, text string) ([]string, error) {
	var names []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) > 1 && words[1] != "-p1" {
			return nil, problem(filepath.Join(folder, seriesFile), "%s has the option %s: only -p1 patches can be taken", words[0], words[1])
		}
		if !filepath.IsLocal(words[0]) {
			return nil, problem(filepath.Join(folder, seriesFile), "%s lies outside the folder", words[0])
		}
		names = append(names, words[0])
	}
	if len(names) == 0 {
		return nil, problem(filepath.Join(folder, seriesFile), "names no patch")
	}
	return names, nil
}
