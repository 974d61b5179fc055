package testport

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Many ask at a time, in two processes, and each gets ports of its own.
func TestNoPortIsHandedOutTwice(t *testing.T) {
	if os.Getenv("TESTPORT_HELPER") != "" {
		for range 3 * blockSize {
			os.Stdout.WriteString(Address(t) + "\n")
		}
		os.Stdin.Read(make([]byte, 1)) // until the other process has its ports too
		return
	}
	t.Parallel()
	helper := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNoPortIsHandedOutTwice$")
	helper.Env = append(os.Environ(), "TESTPORT_HELPER=1")
	hold, err := helper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	text := make([]byte, 0, 1<<14)
	for strings.Count(string(text), "\n") < 3*blockSize {
		part := make([]byte, 1<<12)
		n, err := out.Read(part)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part[:n]...)
	}
	for _, address := range strings.Fields(string(text)) {
		seen[address] = true
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for range 6 * blockSize {
		asking.Go(func() {
			address := Address(t)
			mu.Lock()
			defer mu.Unlock()
			if seen[address] {
				t.Errorf("%s twice", address)
			}
			seen[address] = true
		})
	}
	asking.Wait()
	_ = hold.Close()
	_ = helper.Wait()
	if len(seen) != 9*blockSize {
		t.Errorf("%d ports, want %d", len(seen), 9*blockSize)
	}
}
