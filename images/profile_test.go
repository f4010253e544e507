package images

import (
	"bufio"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

// notDebians are options of Debian's that profile distro doesn't have, and why.
var notDebians = map[string]string{
	"CONFIG_MITIGATION_VMSCAPE":                "depends on KVM: it is about leaving a guest",
	"CONFIG_RANDOMIZE_BASE":                    "no instruction of any path is another, but each kernel would lie elsewhere",
	"CONFIG_RANDOMIZE_MEMORY":                  "the same",
	"CONFIG_RANDOMIZE_MEMORY_PHYSICAL_PADDING": "the same",
	"CONFIG_HZ_100":                            "ticks stay out of the figures (common.config)",
	"CONFIG_HZ_250":                            "the same",
	"CONFIG_NO_HZ_IDLE":                        "Debian's NO_HZ_FULL is this until nohz_full= names CPUs",
	"CONFIG_NO_HZ_FULL":                        "the same",
	"CONFIG_PARAVIRT_XXL":                      "for Xen; its calls are patched away at boot",
	"CONFIG_NF_CONNTRACK":                      "a module, loaded when a rule asks for it",
	"CONFIG_NF_TABLES":                         "the same",
	"CONFIG_IP_NF_IPTABLES":                    "the same",
	"CONFIG_SECURITY_SELINUX":                  "never runs: AppArmor comes first in CONFIG_LSM, and both are exclusive",
	"CONFIG_INTEGRITY":                         "does nothing without a policy, and wants keys and a TPM",
	"CONFIG_IMA":                               "the same",
	"CONFIG_SLUB_DEBUG":                        "off until slab_debug= asks for it",
	"CONFIG_FUNCTION_TRACER":                   "a no-op at each function's start: nothing to a CPU, an instruction to a count",
}

// Profile distro is Debian's on each line, by Debian's own file, but for what
// notDebians argues; nothing in it is from memory.
func TestProfileDistroIsDebians(t *testing.T) {
	for _, line := range Lines() {
		t.Run(line, func(t *testing.T) { testDistroIsDebians(t, line) })
	}
}

func testDistroIsDebians(t *testing.T, line string) {
	debian := readOptions(t, "testdata/debian-"+line+".config")
	fragments, err := Fragments(line, "distro")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{}
	for _, f := range fragments {
		maps.Copy(ours, options(f.Text))
	}
	for _, f := range fragments {
		for name := range options(f.Text) {
			// What a line hasn't got, it need not have off.
			if _, known := debian[name]; !known && strings.HasPrefix(f.Name, "distro") && ours[name] != "n" {
				t.Errorf("%s: %s isn't in the extract of Debian's file", f.Name, name)
			}
		}
	}
	for name, want := range debian {
		got := ours[name]
		if got == "" {
			got = "n" // allnoconfig
		}
		switch reason := notDebians[name]; {
		case got != want && reason == "":
			t.Errorf("%s is %s, Debian has %s", name, got, want)
		case got == want && reason != "":
			t.Errorf("%s is %s, as Debian has it: what is argued for (%s) isn't so", name, got, reason)
		}
	}
	for name := range notDebians {
		if debian[name] == "" {
			t.Errorf("%s isn't in the extract of Debian's file", name)
		}
	}
}

// Each extract is of the version that its line is pinned to.
func TestExtractIsOfTheLinesVersion(t *testing.T) {
	configuration, err := os.ReadFile("../configs/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range Lines() {
		extract, err := os.ReadFile("testdata/debian-" + line + ".config")
		if err != nil {
			t.Fatal(err)
		}
		version := regexp.MustCompile(`linux-config-` + regexp.QuoteMeta(line) + ` (\S+),`).FindSubmatch(extract)
		if version == nil || !strings.Contains(string(configuration), "\n    version: "+string(version[1])+"\n") {
			t.Errorf("the extract is of %s: not the version in configs/default.yaml", version)
		}
	}
}

func readOptions(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	list := options(string(text))
	if len(list) < 100 {
		t.Fatalf("%s has %d options", name, len(list))
	}
	return list
}

// options reads a .config; "n" is an option that is not set.
func options(text string) map[string]string {
	all := map[string]string{}
	in := bufio.NewScanner(strings.NewReader(text))
	for in.Scan() {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(in.Text(), "# "), " is not set"); ok {
			all[name] = "n"
		} else if name, value, ok := strings.Cut(in.Text(), "="); ok && strings.HasPrefix(name, "CONFIG_") {
			all[name] = value
		}
	}
	return all
}
