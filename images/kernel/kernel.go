// Package kernel turns a source, a stack of patch series and a configuration
// into a bootable kernel, and keeps what it built by content.
package kernel

import "time"

// SourceKind is where a tree comes from. Debian's tree and upstream's of the
// same version are different sources.
type SourceKind string

// The kinds of source.
const (
	SourceDebian  SourceKind = "debian"  // a linux-source package
	SourceTarball SourceKind = "tarball" // path or URL, with SHA-256
	SourceGit     SourceKind = "git"     // a repository and a revision
	SourceTree    SourceKind = "tree"    // a plain folder
)

// SourceSpec names a kernel source.
type SourceSpec struct {
	Kind SourceKind `json:"kind"`
	// Package and Version are the pin of a SourceDebian, such as
	// linux-source-6.12 and 6.12.117-1~deb12u1.
	Package string `json:"package,omitempty"`
	Version string `json:"version,omitempty"`
	// Suite is where in Debian's archive the package of a SourceDebian lies,
	// such as trixie-backports; empty for wherever the system's apt looks.
	Suite string `json:"suite,omitempty"`
	// SHA256 is the hash of the tarball (inside the package, for a
	// SourceDebian), in hex. It is required for a SourceTarball.
	SHA256 string `json:"sha256,omitempty"`
	// URL or Path is where a tarball, repository or tree lies; for a
	// SourceDebian, URL is the fallback when the archive has moved on.
	URL  string `json:"url,omitempty"`
	Path string `json:"path,omitempty"`
	Rev  string `json:"rev,omitempty"`
}

// Source is a SourceSpec that was found.
type Source struct {
	Spec SourceSpec `json:"spec"`
	// Version is what was found: a package's version, a revision.
	Version string `json:"version"`
	// SHA256 is the hash of the tarball, in hex.
	SHA256 string `json:"sha256"`
	// From says which step of the order of fallbacks served it: "archive",
	// "cache", "url" or "archive, newer".
	From string `json:"from"`
	// PinMissed is the line to be said aloud when Version isn't the pin.
	PinMissed string `json:"pin_missed,omitempty"`
	// Tarball is its place in the cache.
	Tarball string `json:"-"`
}

// Text is a named text that stands whole in the manifest: a patch, a fragment.
type Text struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Series is a patch series, in order.
type Series struct {
	Name    string `json:"name"`
	Patches []Text `json:"patches"`
	// Origin tells in one line where a user's own series came from; empty for
	// those of the lab.
	Origin string `json:"origin,omitempty"`
}

// Spec is what a kernel is made of.
type Spec struct {
	Name      string     `json:"name"` // as reports print it: base, socket-copy
	Line      string     `json:"line"` // 6.12
	Profile   string     `json:"profile"`
	Source    SourceSpec `json:"source"`
	Series    []Series   `json:"series,omitempty"`
	Fragments []Text     `json:"fragments"` // applied over allnoconfig, in order
}

// Image is a kernel that was built: what the manifest records of it.
type Image struct {
	Spec   Spec   `json:"spec"`
	Source Source `json:"source"`
	// Key is the hash of everything the build depends on.
	Key      string `json:"key"`
	Compiler string `json:"compiler"`
	Release  string `json:"release"` // make kernelrelease
	// Config is the whole final .config.
	Config        string `json:"config"`
	BzImageSHA256 string `json:"bzimage_sha256"`
	VmlinuxSHA256 string `json:"vmlinux_sha256"`
	// Signature is the SHA-256 over vmlinux's allocated sections' bytes: equal
	// signatures mean that a patch changed nothing.
	Signature string `json:"signature"`
	// Merged are the patches, series/patch, that applied by a three-way merge
	// only.
	Merged []string `json:"merged,omitempty"`
	// BuildTime is how long the compiler ran; 0 when the cache served it.
	BuildTime time.Duration `json:"-"`
	Cached    bool          `json:"-"`
	BzImage   string        `json:"-"` // paths in the cache
	Vmlinux   string        `json:"-"`
}
