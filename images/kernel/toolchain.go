package kernel

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"

	"splicelab/images/internal/command"
)

// toolchain is what compiles.
type toolchain struct {
	id string // the compiler's and the linker's own words
}

// tools are the programs a build calls, with the Debian packages that hold
// them.
var tools = []struct{ program, pkg string }{
	{"make", "make"}, {"gcc", "gcc"}, {"ld", "binutils"}, {"flex", "flex"}, {"bison", "bison"},
	{"bc", "bc"}, {"git", "git"}, {"tar", "tar"}, {"xz", "xz-utils"}, {"gzip", "gzip"}, {"lz4", "lz4"}, {"perl", "perl"},
}

// toolchain finds the host's tools, once.
func (b *Builder) toolchain(ctx context.Context) (*toolchain, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tools != nil {
		return b.tools, nil
	}
	if err := checkTools(ctx); err != nil {
		return nil, err
	}
	gcc, err := firstLine(ctx, "gcc", "--version")
	if err != nil {
		return nil, err
	}
	ld, err := firstLine(ctx, "ld", "--version")
	if err != nil {
		return nil, err
	}
	b.tools = &toolchain{id: gcc + ", " + ld}
	return b.tools, nil
}

// checkTools names every package that a build would miss, at once.
func checkTools(ctx context.Context) error {
	var missing, packages []string
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			missing, packages = append(missing, t.program), append(packages, t.pkg)
		}
	}
	if !slices.Contains(missing, "gcc") {
		// objtool, which the ORC unwinder needs, is built against libelf.
		for _, h := range []struct{ header, pkg string }{{"stdio.h", "libc6-dev"}, {"gelf.h", "libelf-dev"}} {
			err := command.Run(ctx, command.Cmd{
				Args:  []string{"gcc", "-E", "-o", "/dev/null", "-x", "c", "-"},
				Env:   command.CleanEnv(),
				Stdin: strings.NewReader("#include <" + h.header + ">\n"),
			})
			var failed *command.Error
			switch {
			case errors.As(err, &failed) && failed.Exited():
				missing, packages = append(missing, h.header), append(packages, h.pkg)
			case err != nil:
				return err
			}
		}
	}
	if len(missing) > 0 {
		return &HostError{Detail: "this host lacks " + strings.Join(missing, ", "), Packages: packages}
	}
	return nil
}

func firstLine(ctx context.Context, args ...string) (string, error) {
	out, err := command.Output(ctx, command.Cmd{Args: args, Env: command.CleanEnv()})
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(out, "\n")
	return strings.TrimSpace(line), nil
}
