package run

import (
	"splicelab/images"
	"splicelab/lab/config"
	"splicelab/workloads/copypath"
)

// Known is what a configuration may name: what this program carries.
func Known() config.Known {
	k := config.Known{Lines: images.Lines(), Series: images.SeriesNames, Profiles: images.Profiles()}
	for _, f := range copypath.Families() {
		for _, m := range f.Methods {
			k.Paths = append(k.Paths, f.Path(m))
		}
	}
	return k
}
