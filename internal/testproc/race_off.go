//go:build !race

package testproc

var raceFlag []string
