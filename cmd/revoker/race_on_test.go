//go:build race

package main

// raceFlag builds the tested binary like the tests.
var raceFlag = []string{"-race"}
