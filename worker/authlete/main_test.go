package authlete

import (
	"os"
	"testing"

	"revoker/internal/testproc"
)

// TestMain serves as an API that is far away, too.
func TestMain(m *testing.M) {
	if roundTrip := os.Getenv(farVariable); roundTrip != "" {
		os.Exit(serveFar(roundTrip))
	}
	testproc.Main(m)
}
