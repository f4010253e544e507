package run

import (
	"splicelab/images"
	"splicelab/lab/config"
	"splicelab/workloads/copypath"
	"splicelab/workloads/probe"
)

// Known is what a configuration may name: what this program carries.
func Known() config.Known {
	k := config.Known{Lines: images.Lines(), Series: images.SeriesNames, Profiles: images.Profiles()}
	for _, f := range copypath.Families() {
		for _, m := range f.Methods {
			k.Paths = append(k.Paths, f.Path(m))
		}
	}
	for _, p := range probe.All() {
		k.Probes = append(k.Probes, p.ID)
	}
	return k
}
