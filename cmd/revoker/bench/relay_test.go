package bench

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// newFarRelay passes TCP connections on to a target as if it were far away: each byte arrives delay later, in both directions, and no
// less of them. It returns its address.
func newFarRelay(t testing.TB, target string, delay time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	working.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			working.Go(func() { sendLater(upstream, client, delay) })
			working.Go(func() { sendLater(client, upstream, delay) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		working.Wait() // connections end with their worker
	})
	return listener.Addr().String()
}

type chunk struct {
	due   time.Time
	bytes []byte
}

func sendLater(to, from net.Conn, delay time.Duration) {
	under := make(chan chunk, 4096)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(under)
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			under <- chunk{time.Now().Add(delay), bytes.Clone(buffer[:n])}
		}
	})
	for c := range under {
		time.Sleep(time.Until(c.due))
		if _, err := to.Write(c.bytes); err != nil {
			break
		}
	}
	to.Close()
	from.Close()
	for range under { // let the reader end
	}
	reading.Wait()
}
