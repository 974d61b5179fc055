package sim

import (
	"testing"

	"revoker/internal/testleak"
)

func TestMain(m *testing.M) { testleak.Main(m) }
