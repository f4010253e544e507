// Package configs holds the shipped configurations, so that the lab works from
// any folder.
package configs

import "embed"

// Files are the shipped configurations: default.yaml, which every other one
// begins with, and those that -c names.
//
//go:embed *.yaml
var Files embed.FS

// Default is the name of the file that every configuration begins with.
const Default = "default.yaml"
