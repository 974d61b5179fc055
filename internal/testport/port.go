// Package testport finds ports for the processes that tests start. Tests alone import it.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports lie below those that systems give to connections and to listeners on port 0: from 32768 on Linux, from 49152 on macOS and
// Windows. So only a process that names its port can take one.
const (
	first     = 10_000
	last      = 32_699
	blockSize = 50
)

// ports are what this process may still hand out, each one once.
//
// Test binaries run beside each other, so each reserves its ports in blocks: it listens on the first port of a block until it ends.
var ports struct {
	mu     sync.Mutex
	blocks []net.Listener // kept, or they would be closed
	next   []int
}

// Free returns a port of 127.0.0.1 that nothing listens on, and that no test gets again while this process runs.
func Free(t testing.TB) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for {
		if len(ports.next) == 0 {
			if err := reserve(); err != nil {
				t.Fatal(err)
			}
		}
		port := ports.next[0]
		ports.next = ports.next[1:]
		if listener, err := listen(port); err == nil {
			_ = listener.Close()
			return port
		}
	}
}

// Address is 127.0.0.1 with a port as of [Free].
func Address(t testing.TB) string {
	t.Helper()
	return address(Free(t))
}

// reserve takes a block that no other process has.
func reserve() error {
	const blocks = (last - first + 1) / blockSize
	start := rand.IntN(blocks) // so that processes seldom meet
	for i := range blocks {
		begin := first + (start+i)%blocks*blockSize
		block, err := listen(begin)
		if err != nil {
			continue
		}
		ports.blocks = append(ports.blocks, block)
		for port := begin + 1; port < begin+blockSize; port++ {
			ports.next = append(ports.next, port)
		}
		return nil
	}
	return fmt.Errorf("no %d free ports from %d to %d", blockSize, first, last)
}

func listen(port int) (net.Listener, error) { return net.Listen("tcp", address(port)) }

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
