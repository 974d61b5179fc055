//go:build !release

package main

// commit is what Git wrote here when it made a source archive, as a Git host does for each tag: .gitattributes asks for that. Elsewhere
// it is the question itself.
var commit = "$Format:%H$"
