package testsite

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/worker/authlete/sim"
)

// simulatorVariable holds the JSON of Simulator, for the process that is to be the API.
const simulatorVariable = "SIMULATED_API"

// Simulator is what the simulated API's process is told.
type Simulator struct {
	Latency, Jitter time.Duration
	// Of all sessions, told apart by the end of their ID: the share that answers SERVER_ERROR three times, and CALLER_ERROR.
	Failing, Bad int // percent
	// Of the first 2 × Crowd sessions every other one answers SERVER_ERROR for ever.
	Crowd int
	// Of so many sessions the last one answers SERVER_ERROR for ever; none if it is 0.
	Cursed int
	// Services are others than ServiceID that the token is good for.
	Services []string
}

// What the simulated API takes.
const (
	Token     = "SECRET-token"
	ServiceID = "1234567890"
)

// number is what a session of this test ends with.
func number(id string) (n int) {
	_, _ = fmt.Sscanf(id[strings.LastIndexByte(id, '-')+1:], "%d", &n)
	return n
}

// Hopeless tells whether a session is one of the crowd or cursed: it answers SERVER_ERROR for ever.
func (s Simulator) Hopeless(id string) bool {
	n := number(id)
	return n < 2*s.Crowd && n%2 == 0 || s.Cursed > 0 && n%s.Cursed == s.Cursed-1
}

// Kind tells how a session of this test answers.
func (s Simulator) Kind(id string) sim.Kind {
	switch n := number(id) % 100; {
	case s.Hopeless(id):
		return sim.ServerError
	case n < s.Failing:
		return sim.ServerError
	case n < s.Failing+s.Bad:
		return sim.CallerError
	}
	return sim.OK
}

// Failures is how often a failing session fails before it is OK.
const Failures = 3

// Main runs a package's tests, and serves as the process of the simulated API too. TestMain of every package that makes a
// Site ends with its exit code.
func Main(m *testing.M) int {
	if options := os.Getenv(simulatorVariable); options != "" {
		return simulate(options, os.Stdin, os.Stdout)
	}
	defer testproc.RemoveBinaries()
	return m.Run()
}

// simulate is the simulated API's process; it ends with its standard input.
func simulate(options string, in io.Reader, out io.Writer) int {
	var s Simulator
	if err := json.Unmarshal([]byte(options), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	api, err := sim.Start(sim.Options{
		Token: Token, Services: append(s.Services, ServiceID), Tokens: 2, Latency: s.Latency, Jitter: s.Jitter,
		Rule: func(id string, attempt int) sim.Answer {
			kind := s.Kind(id)
			if kind == sim.ServerError && attempt > Failures && !s.Hopeless(id) {
				kind = sim.OK
			}
			return sim.Answer{Kind: kind}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer api.Close()
	fmt.Fprintln(out, api.URL())
	_, _ = io.Copy(io.Discard, in)
	return 0
}
