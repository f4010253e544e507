package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVulnerabilities(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"spectre_v2": "Mitigation: Retpolines; STIBP: disabled\n", "meltdown": "Not affected\n", "retbleed": "Vulnerable\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{
		dir:             "retbleed: Vulnerable; spectre_v2: Mitigation: Retpolines; STIBP: disabled",
		dir + "/absent": "",
	} {
		if got, err := vulnerabilities(dir); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", dir, got, err, want)
		}
	}
}
