package testproc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// binaries are built once: revoker as a user has it, and the NATS server of go.mod.
var binaries struct {
	once   sync.Once
	folder string
	err    error
}

// Binary is the path of revoker or nats-server, built. A package whose tests call it calls RemoveBinaries when they are done.
func Binary(t testing.TB, name string) string {
	t.Helper()
	binaries.once.Do(func() {
		if binaries.folder, binaries.err = os.MkdirTemp("", "revoker-test-"); binaries.err != nil {
			return
		}
		for _, args := range [][]string{append([]string{"build", "-o", "revoker"}, append(raceFlag, "revoker/cmd/revoker")...), {"build", "-o", "nats-server", "github.com/nats-io/nats-server/v2"}} {
			args[2] = filepath.Join(binaries.folder, args[2])
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				binaries.err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
				return
			}
		}
	})
	if binaries.err != nil {
		t.Fatal(binaries.err)
	}
	return filepath.Join(binaries.folder, name)
}

// RemoveBinaries removes what Binary built.
func RemoveBinaries() {
	if binaries.folder != "" {
		os.RemoveAll(binaries.folder)
	}
}
