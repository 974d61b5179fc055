//go:build release

package main

// commit is what the build says: -ldflags "-X main.commit=0123abcd…". The other file would give a clone and a source archive of one commit
// different programs.
var commit string
