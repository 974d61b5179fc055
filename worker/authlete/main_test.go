package authlete

import (
	"os"
	"testing"

	"revoker/internal/testleak"
)

// TestMain serves as an API that is far away, too.
func TestMain(m *testing.M) {
	if roundTrip := os.Getenv(farVariable); roundTrip != "" {
		os.Exit(serveFar(roundTrip))
	}
	testleak.Main(m)
}
