//go:build tools

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"revoker/internal/testproc"
)

// maxExposure is systemd's measure of what a service could do if it were taken over, times ten: up to 20 is good, 96 is a
// service without any restriction.
const maxExposure = "15"

func TestTheUnitIsHardened(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"revoker.service", "revoker-receive.service"} {
		checkUnit(t, name)
	}
}

func checkUnit(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(unitFile), name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	here := strings.ReplaceAll(string(text), "/usr/local/bin/revoker", testproc.Binary(t, "revoker"))
	if err := os.WriteFile(file, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", file}, {"security", "--offline=true", "--no-pager", "--threshold=" + maxExposure, file}} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if unknown := strings.Contains(string(out), "Unknown"); err != nil || unknown {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
