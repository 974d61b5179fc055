//go:build race

package testproc

// raceFlag builds the tested binary like the tests.
var raceFlag = []string{"-race"}
