package images

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	if diff := cmp.Diff([]string{"6.12", "7.3"}, Lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	lines := []string{"7.3", "6.12", "6.9", "10.1"}
	slices.SortFunc(lines, compareLines)
	if diff := cmp.Diff([]string{"6.9", "6.12", "7.3", "10.1"}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEverySeriesIsWhole(t *testing.T) {
	for _, line := range Lines() {
		for _, name := range SeriesNames(line) {
			s, err := Series(line, name)
			if err != nil {
				t.Error(err)
				continue
			}
			var names []string
			for _, p := range s.Patches {
				names = append(names, p.Name)
				if !strings.HasPrefix(p.Text, "From ") && !strings.HasPrefix(p.Text, "From: ") || !strings.Contains(p.Text, "\nSubject: ") || !strings.Contains(p.Text, "\n--- a/") {
					t.Errorf("%s/%s/%s is not a patch with a message", line, name, p.Name)
				}
			}
			if s.Name != name || !slices.IsSorted(names) || !strings.HasPrefix(names[0], "0001-") {
				t.Errorf("series %s of line %s holds %v", name, line, names)
			}
		}
	}
}

// A kernel is a stack of series whatever its line.
func TestLinesHaveTheSameSeries(t *testing.T) {
	lines := Lines()
	for _, line := range lines[1:] {
		if diff := cmp.Diff(SeriesNames(lines[0]), SeriesNames(line)); diff != "" {
			t.Errorf("(-%s +%s):\n%s", lines[0], line, diff)
		}
	}
}

func TestFragments(t *testing.T) {
	for key, want := range map[[2]string][]string{
		{"6.12", "minimal"}: {"common.config", "6.12.config", "minimal.config"},
		{"6.12", "distro"}:  {"common.config", "6.12.config", "distro.config", "distro-6.12.config"},
		{"7.3", "distro"}:   {"common.config", "7.3.config", "distro.config", "distro-7.3.config"},
	} {
		got, err := Fragments(key[0], key[1])
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range got {
			names = append(names, f.Name)
			if !strings.Contains(f.Text, "CONFIG_") {
				t.Errorf("%s holds no option", f.Name)
			}
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if diff := cmp.Diff([]string{"distro", "lockdep", "minimal"}, Profiles()); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}

func TestUnknownNames(t *testing.T) {
	series := func(line, name string) error { _, err := Series(line, name); return err }
	fragments := func(line, profile string) error { _, err := Fragments(line, profile); return err }
	for want, err := range map[string]error{
		`unknown kernel line "5.4": known are ` + strings.Join(Lines(), ", "):                        series("5.4", "socket-copy"),
		`unknown series "socket" of line 6.12: known are ` + strings.Join(SeriesNames("6.12"), ", "): series("6.12", "socket"),
		`unknown series ".." of line 6.12: known are ` + strings.Join(SeriesNames("6.12"), ", "):     series("6.12", ".."),
		`unknown kernel line "common": known are ` + strings.Join(Lines(), ", "):                     fragments("common", "minimal"),
		`unknown profile "common": known are ` + strings.Join(Profiles(), ", "):                      fragments("6.12", "common"),
		`unknown profile "6.12": known are ` + strings.Join(Profiles(), ", "):                        fragments("6.12", "6.12"),
	} {
		var unknown *NameError
		if !errors.As(err, &unknown) || err.Error() != want || unknown.ExitStatus() != 2 {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if SeriesNames("5.4") != nil {
		t.Errorf("series of a line that isn't there: %v", SeriesNames("5.4"))
	}
}
