package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"splicelab/lab/config"
	"splicelab/lab/exit"
	"splicelab/results/report"
	"splicelab/results/stats"
	"splicelab/results/store"
)

// runsFolder is where runs go unless --out says otherwise.
const runsFolder = "results/runs"

func newReport(io Streams) *cobra.Command {
	var formats []string
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Print a stored run's report again",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Errorf(exit.Usage, "%s: name a run's folder, such as %s/latest", cmd.CommandPath(), runsFolder)
			}
			return atMost(1, "one run")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, format := range formats {
				if !slices.Contains(report.Formats(), format) {
					return exit.Errorf(exit.Usage, "--format: unknown format %q%s", format, config.Hint(format, report.Formats()))
				}
			}
			return printReport(io, runDir(args[0]), formats)
		},
	}
	cmd.Flags().StringSliceVar(&formats, "format", report.Formats()[:1], "`FORMAT` of the report: "+strings.Join(report.Formats(), ", "))
	return cmd
}

func printReport(io Streams, dir string, formats []string) error {
	manifest, samples, err := loadRun(dir)
	if err != nil {
		return err
	}
	result := stats.Count(manifest, samples)
	for _, format := range formats {
		if err := report.Write(io.Out, format, manifest, result); err != nil {
			return err
		}
	}
	return nil
}

// loadRun is store.Load; a folder without a run is the user's mistake.
func loadRun(dir string) (store.Manifest, []store.Sample, error) {
	manifest, samples, err := store.Load(dir)
	if errors.Is(err, store.ErrNoRun) {
		err = exit.Errorf(exit.Usage, "%s: %w (lab list names the runs here)", dir, store.ErrNoRun)
	}
	return manifest, samples, err
}

// runDir returns a run's folder: the one named, or the one of that name among
// the stored runs.
func runDir(name string) string {
	stored := filepath.Join(runsFolder, name)
	if _, err := os.Stat(name); err != nil && filepath.Base(name) == name {
		if _, err := os.Stat(stored); err == nil {
			return stored
		}
	}
	return name
}

// storedRun is a run's folder and how much of the run is there.
type storedRun struct{ dir, state string }

// storedRuns lists the runs in folder, oldest first: their names begin with the
// time.
func storedRuns(folder string) []storedRun {
	manifests, _ := filepath.Glob(filepath.Join(folder, "*", "manifest.json")) // fails for a malformed pattern only
	var runs []storedRun
	for _, m := range manifests {
		dir := filepath.Dir(m)
		if info, err := os.Lstat(dir); err == nil && info.IsDir() { // not the link "latest"
			runs = append(runs, storedRun{dir, state(dir)})
		}
	}
	return runs
}

func state(dir string) string {
	manifest, _, err := store.Load(dir)
	if err != nil {
		return err.Error()
	}
	if !manifest.Finished.IsZero() {
		return fmt.Sprintf("finished, %d boots", len(manifest.Boots))
	}
	done := 0
	for _, b := range manifest.Boots {
		if b.Done() {
			done++
		}
	}
	return fmt.Sprintf("%d of %d boots: go on with lab run --resume %s", done, len(manifest.Boots), quote([]string{dir}))
}
