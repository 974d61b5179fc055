package authlete

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain serves as an API that is far away, too.
func TestMain(m *testing.M) {
	if roundTrip := os.Getenv(farVariable); roundTrip != "" {
		os.Exit(serveFar(roundTrip))
	}
	goleak.VerifyTestMain(m)
}
