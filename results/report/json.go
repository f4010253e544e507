package report

import (
	"encoding/json"
	"io"
	"time"

	"splicelab/results/stats"
	"splicelab/results/store"
)

// identity is what ties a report to its run.
type identity struct {
	Name        string            `json:"name"`
	Started     time.Time         `json:"started"`
	Command     string            `json:"command"`
	Lab         string            `json:"lab"`
	Mode        string            `json:"mode"`
	GoVersion   string            `json:"go_version"`
	QEMUVersion string            `json:"qemu_version"`
	QEMUArgs    []string          `json:"qemu_args"`
	Accelerator string            `json:"accelerator"`
	Guest       store.File        `json:"guest"`
	Initramfs   store.File        `json:"initramfs"`
	Conditions  []store.Condition `json:"conditions"`
	Kernels     []kernelIdentity  `json:"kernels"`
	Failed      map[string]string `json:"failed,omitempty"`
	Notes       []string          `json:"notes,omitempty"`
}

// kernelIdentity is a kernel without the texts that the manifest holds.
type kernelIdentity struct {
	Name          string   `json:"name"`
	Series        []string `json:"series"`
	Profile       string   `json:"profile"`
	SourceVersion string   `json:"source_version"`
	SourceSHA256  string   `json:"source_sha256"`
	PinMissed     string   `json:"pin_missed,omitempty"`
	Compiler      string   `json:"compiler"`
	BzImageSHA256 string   `json:"bzimage_sha256"`
	VmlinuxSHA256 string   `json:"vmlinux_sha256"`
}

// writeJSON writes the whole result and the run's identity.
func writeJSON(w io.Writer, m store.Manifest, r *stats.Result) error {
	id := identity{
		Name: m.Name, Started: m.Started.UTC(), Command: m.Command, Lab: m.Lab, Mode: m.Mode, GoVersion: m.GoVersion,
		QEMUVersion: m.QEMUVersion, QEMUArgs: m.QEMUArgs, Accelerator: m.Accelerator,
		Guest: m.Guest, Initramfs: m.Initramfs, Conditions: m.Conditions, Failed: m.Failed, Notes: m.Notes,
	}
	for _, k := range m.Kernels {
		series := []string{}
		for _, s := range k.Spec.Series {
			series = append(series, s.Name)
		}
		id.Kernels = append(id.Kernels, kernelIdentity{
			Name: k.Spec.Name, Series: series, Profile: k.Spec.Profile,
			SourceVersion: k.Source.Version, SourceSHA256: k.Source.SHA256, PinMissed: k.Source.PinMissed,
			Compiler: k.Compiler, BzImageSHA256: k.BzImageSHA256, VmlinuxSHA256: k.VmlinuxSHA256,
		})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Run    identity      `json:"run"`
		Result *stats.Result `json:"result"`
	}{id, r})
}
