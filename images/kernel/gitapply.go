package kernel

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"splicelab/images/internal/command"
)

// gitApply applies p in the stage, without fuzz: git apply has none. Where it
// doesn't apply and the source is a git tree, the blobs that the patch was made
// on may be there: then by a three-way merge, as git am -3 does. merged says
// that it was.
func (t *tree) gitApply(ctx context.Context, series string, p Text, heads patchFiles) (merged bool, err error) {
	output, err := t.git(ctx, p.Text, nil, "apply", "-p1", "--whitespace=nowarn", "-")
	if err != nil || output == "" {
		return false, err
	}
	if t.repository != "" {
		if merged, err := t.threeWay(ctx, p); merged || err != nil {
			return merged, err
		}
	}
	failed := explainGit(output, series, p.Name, heads)
	failed.Reject, err = t.reject(ctx, p, heads)
	if err != nil {
		return false, err
	}
	return false, failed
}

// git runs git in the stage, or where env says, patch on its standard input,
// and returns what it complained of; empty when it did what it was asked for.
func (t *tree) git(ctx context.Context, patch string, env []string, args ...string) (complaint string, err error) {
	dir := filepath.Join(t.dir, "stage")
	if env != nil {
		dir = filepath.Join(t.dir, "merge")
	}
	err = command.Run(ctx, command.Cmd{
		Args:  append([]string{"git"}, args...),
		Dir:   dir,
		Stdin: strings.NewReader(patch),
		// Inside a repository git apply silently passes over files outside the
		// current folder, and a user's settings may loosen it.
		Env: command.CleanEnv(append([]string{"GIT_CEILING_DIRECTORIES=" + t.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}, env...)...),
	})
	var failed *command.Error
	if !errors.As(err, &failed) || !failed.Exited() || strings.Contains(failed.Tail, noSpaceText) {
		return "", err
	}
	if failed.Tail == "" {
		return failed.Err.Error(), nil
	}
	return failed.Tail, nil
}

// threeWay merges p into a copy of the stage by the blobs that it names, from
// the source's repository, and makes the copy the stage. A merge with a conflict
// counts as none.
func (t *tree) threeWay(ctx context.Context, p Text) (merged bool, err error) {
	clean := func() error { return errors.Join(t.root.RemoveAll("merge"), t.root.RemoveAll("merge.git")) }
	if err := clean(); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	work := filepath.Join(t.dir, "merge")
	if err := os.CopyFS(work, os.DirFS(filepath.Join(t.dir, "stage"))); err != nil {
		return false, err
	}
	objects, err := command.Output(ctx, command.Cmd{
		Args: []string{"git", "-C", t.repository, "rev-parse", "--git-path", "objects"}, Env: command.CleanEnv(),
	})
	if err != nil {
		return false, nil // the repository is gone, the source in the cache is still good
	}
	objects = strings.TrimSuffix(objects, "\n")
	if !filepath.IsAbs(objects) {
		objects = filepath.Join(t.repository, objects)
	}
	if objects, err = filepath.Abs(objects); err != nil {
		return false, err
	}
	env := []string{
		"GIT_DIR=" + work + ".git", "GIT_WORK_TREE=" + work, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + strconv.Quote(objects),
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all", "--force", "."}, {"apply", "-p1", "--3way", "--whitespace=nowarn", "-"}} {
		if complaint, err := t.git(ctx, p.Text, env, args...); err != nil || complaint != "" {
			return false, err
		}
	}
	return true, errors.Join(t.root.RemoveAll("stage"), t.root.Rename("merge", "stage"))
}

// rejectLines bounds the hunks that an error shows.
const rejectLines = 60

// reject returns the hunks of p that don't apply, as git apply --reject leaves
// them. The stage is of no use afterwards.
func (t *tree) reject(ctx context.Context, p Text, heads patchFiles) (string, error) {
	if _, err := t.git(ctx, p.Text, nil, "apply", "-p1", "--whitespace=nowarn", "--reject", "-"); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, name := range heads.names {
		text, err := t.root.ReadFile("stage/" + name + ".rej")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		out.Write(text)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	if len(lines) > rejectLines {
		lines = append(lines[:rejectLines], "…\n")
	}
	return strings.Join(lines, ""), nil
}

var (
	gitWhere = regexp.MustCompile(`(?m)^error: patch failed: (.+):(\d+)$`)
	gitError = regexp.MustCompile(`(?m)^error: (.+)$`)
)

// explainGit reads git apply's complaint.
func explainGit(output, series, patch string, heads patchFiles) *PatchError {
	e := &PatchError{Series: series, Patch: patch, Detail: strings.TrimSpace(output)}
	if m := gitError.FindAllStringSubmatch(output, -1); m != nil {
		var lines []string
		for _, l := range m {
			lines = append(lines, l[1])
		}
		e.Detail = strings.Join(lines, ", ")
	}
	if m := gitWhere.FindStringSubmatch(output); m != nil {
		e.File = m[1]
		e.Line, _ = strconv.Atoi(m[2])
		n := 0
		for _, h := range heads.hunks {
			if h.file != e.File {
				continue
			}
			if n++; h.line == e.Line {
				e.Hunk = n
			}
		}
	}
	return e
}
