package kernel

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMergeFragments(t *testing.T) {
	tests := map[string]struct {
		in   []string
		want string
		err  string
	}{
		"in order, comments dropped": {
			in:   []string{"# SPDX\n\nCONFIG_B=y\nCONFIG_A=m  \r\n", "CONFIG_C=\"a \\\"b\\\"\"\nCONFIG_D=-1\nCONFIG_E=0xfF\n"},
			want: "CONFIG_B=y\nCONFIG_A=m\nCONFIG_C=\"a \\\"b\\\"\"\nCONFIG_D=-1\nCONFIG_E=0xfF\n",
		},
		"the later fragment wins, in the earlier's place": {
			in:   []string{"CONFIG_A=y\nCONFIG_B=y\n", "# CONFIG_A is not set\n", "CONFIG_B=n\n"},
			want: "# CONFIG_A is not set\n# CONFIG_B is not set\n",
		},
		"twice the same": {in: []string{"CONFIG_A=y\nCONFIG_A=y\n"}, want: "CONFIG_A=y\n"},
		"contradiction":  {in: []string{"CONFIG_A=y\n\n# CONFIG_A is not set\n"}, err: "kernel configuration: 0.config:3: # CONFIG_A is not set contradicts 0.config:1: CONFIG_A=y"},
		"no quotes":      {in: []string{"CONFIG_A=hello\n"}, err: `kernel configuration: 0.config:1: "CONFIG_A=hello" is neither CONFIG_X=y nor "# CONFIG_X is not set"`},
		"blanks":         {in: []string{"", "CONFIG_A = y\n"}, err: `kernel configuration: 1.config:1: "CONFIG_A = y" is neither CONFIG_X=y nor "# CONFIG_X is not set"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var in []Text
			for i, text := range tt.in {
				in = append(in, Text{Name: string(rune('0'+i)) + ".config", Text: text})
			}
			got, err := mergeFragments(in)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, configText(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckConfig(t *testing.T) {
	const final = "#\n# Linux/x86 6.12.117 Kernel Configuration\n#\nCONFIG_NET=y\n# CONFIG_TLS is not set\nCONFIG_NR_CPUS=8\nCONFIG_LOCALVERSION=\"\"\n"
	tests := map[string]struct {
		want     string
		problems []string
	}{
		"all took":             {want: "CONFIG_NET=y\n# CONFIG_TLS is not set\n# CONFIG_ABSENT is not set\nCONFIG_NR_CPUS=8\nCONFIG_LOCALVERSION=\"\"\n"},
		"off, and on wanted":   {want: "CONFIG_TLS=y\n", problems: []string{"CONFIG_TLS=y (f:1) did not take: it is not set in the final .config"}},
		"on, and off wanted":   {want: "# CONFIG_NET is not set\n", problems: []string{"# CONFIG_NET is not set (f:1) did not take: it is y in the final .config"}},
		"another value":        {want: "\nCONFIG_NR_CPUS=64\n", problems: []string{"CONFIG_NR_CPUS=64 (f:2) did not take: it is 8 in the final .config"}},
		"a name it's part of":  {want: "CONFIG_NE=y\n", problems: []string{"CONFIG_NE=y (f:1) did not take: the final .config does not have it, so this kernel lacks it or what it depends on is off"}},
		"all are told at once": {want: "CONFIG_TLS=y\nCONFIG_NET=m\n", problems: []string{"CONFIG_TLS=y (f:1) did not take: it is not set in the final .config", "CONFIG_NET=m (f:2) did not take: it is y in the final .config"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := parseConfig(Text{Name: "f", Text: tt.want})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var bad *ConfigError
			if err := checkConfig(want, final); errors.As(err, &bad) {
				got = bad.Problems
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.problems, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{"CONFIG_A=y\n# CONFIG_B is not set\n", "CONFIG_A=\"x\\\"\"\n", "# c\n\nCONFIG_A=0x1f\nCONFIG_A=n\r\n", "CONFIG_A=\"\x00\"", "CONFIG_A=y\rCONFIG_B=y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		options, err := parseConfig(Text{Name: "f", Text: text})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		// What is handed to kconfig reads back as the same options.
		written := configText(options)
		again, err := parseConfig(Text{Name: "f", Text: written})
		if err != nil {
			t.Fatalf("%q does not read back: %v", written, err)
		}
		if diff := cmp.Diff(written, configText(again)); diff != "" {
			t.Errorf("(-written +again):\n%s", diff)
		}
		if err := checkConfig(again, written); err != nil && len(again) == len(uniq(again)) {
			t.Errorf("a configuration does not satisfy itself: %v", err)
		}
	})
}

func uniq(options []option) map[string]bool {
	names := make(map[string]bool)
	for _, o := range options {
		names[o.name] = true
	}
	return names
}
