// Package splicelab holds the source of the guest's agent, so that bin/lab can
// build it from any folder. It stands in the module's root because an embed
// reaches no file above its own folder, and go.mod and go.sum are here.
package splicelab

import "embed"

// GuestSource is what the agent is built from.
//
//go:embed go.mod go.sum workloads
var GuestSource embed.FS
