// Package exit says which exit code an error of a command leads to.
package exit

import (
	"errors"
	"strconv"

	"revoker/config"
)

// The exit codes. The Go runtime ends with 2 after a panic, so 2 must never keep a supervisor from starting revoker again.
const (
	CodeProblem       = 1
	CodeUsage         = 2
	CodeConfiguration = 78 // EX_CONFIG of sysexits.h: a restart does not help
)

// Code is the exit code for an error of a command, which is wrong usage unless it is marked as something else.
func Code(err error) int {
	var problem problemError
	var answer Answer
	switch {
	case errors.As(err, &answer):
		return int(answer)
	case errors.Is(err, config.ErrInvalid):
		return CodeConfiguration
	case errors.As(err, &problem):
		return CodeProblem
	}
	return CodeUsage
}

// Answer is an exit code by which a command answers a question. It is no failure, so nothing is printed.
type Answer int

func (a Answer) Error() string { return "exit code " + strconv.Itoa(int(a)) }

// problemError is an error that is neither the user's nor the configuration's.
type problemError struct{ error }

func (e problemError) Unwrap() error { return e.error }

// Problem marks err, if any, as one for exit code 1. A wrong configuration keeps its own code.
func Problem(err error) error {
	if err == nil {
		return nil
	}
	return problemError{err}
}
