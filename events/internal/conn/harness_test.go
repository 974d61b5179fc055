package conn_test

import (
	"testing"

	"revoker/events/internal/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// harness is a server of one test's own, with a connection of revoker's and a plain one.
type harness struct{ *eventstest.Harness }

func newHarness(t testing.TB) *harness { return &harness{eventstest.New(t)} }

// unconnected is a harness whose server the test starts.
func unconnected() *harness { return &harness{eventstest.Unconnected()} }
