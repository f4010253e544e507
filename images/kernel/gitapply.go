package kernel

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"splicelab/images/internal/command"
)

// gitApply applies p in dir, without fuzz: git apply has none.
func gitApply(ctx context.Context, dir, series string, p Text, heads patchFiles) error {
	err := command.Run(ctx, command.Cmd{
		Args:  []string{"git", "apply", "-p1", "--whitespace=nowarn", "-"},
		Dir:   dir,
		Stdin: strings.NewReader(p.Text),
		// Inside a repository git apply silently passes over files outside the
		// current folder, and a user's settings may loosen it.
		Env: command.CleanEnv("GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"),
	})
	var failed *command.Error
	if !errors.As(err, &failed) || !failed.Exited() || strings.Contains(failed.Tail, noSpaceText) {
		return err
	}
	return explainGit(failed.Tail, series, p.Name, heads)
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
