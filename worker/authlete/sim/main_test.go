package sim

import (
	"testing"

	"revoker/internal/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m) }
