package testproc

import (
	"testing"
	"time"
)

// Timeout is how long a test waits for anything before it fails.
const Timeout = 60 * time.Second

const pollInterval = 10 * time.Millisecond

// WaitFor waits until the condition holds, and fails the test if that takes too long. what names it in "no … within 1m0s".
func WaitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(Timeout); !condition(); time.Sleep(pollInterval) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %s", what, Timeout)
		}
	}
}
