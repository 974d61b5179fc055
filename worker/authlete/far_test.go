package authlete

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// farVariable holds the round trip to the API, for the process that is to be one.
const farVariable = "FAR_API"

// farAPI is an API behind TLS in a process of its own, so that what the client costs can be told from what the API does. It allows
// 100 streams per connection, and is as far away as it was told.
type farAPI struct {
	url   string
	stdin io.Writer
}

func startFarAPI(b *testing.B, roundTrip time.Duration) *farAPI {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), farVariable+"="+roundTrip.String())
	stdin, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = command.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &farAPI{"https://" + strings.TrimSpace(address), stdin}
}

// harm does to the connection that carries most what the word says: reset or stall.
func (f *farAPI) harm(b *testing.B, word string) {
	b.Helper()
	if _, err := fmt.Fprintln(f.stdin, word); err != nil {
		b.Fatal(err)
	}
}

// serveFar is the process. It ends with its standard input.
func serveFar(roundTrip string) int {
	delay, err := time.ParseDuration(roundTrip)
	if err != nil {
		return 2
	}
	api, err := sim.Start(sim.Options{})
	if err != nil {
		return 1
	}
	defer api.Close()
	server := httptest.NewUnstartedServer(api.Handler())
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	between := &farRelay{target: server.Listener.Addr().String(), delay: delay / 2}
	address := between.target
	if delay > 0 {
		address = between.listen()
	}
	fmt.Println(address)
	for words := bufio.NewScanner(os.Stdin); words.Scan(); {
		between.harm(words.Text())
	}
	return 0
}

// farRelay passes connections on as if their ends were far from each other: each byte arrives later, and no less of them.
type farRelay struct {
	target string
	delay  time.Duration

	mu  sync.Mutex
	all []*farConn
}

type farConn struct {
	near, far net.Conn
	passed    atomic.Int64 // bytes
	stalled   atomic.Bool
}

func (r *farRelay) listen() (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(near)
		}
	}()
	return listener.Addr().String()
}

func (r *farRelay) pass(near net.Conn) {
	time.Sleep(2 * r.delay) // of TCP's own handshake, which the relay answered at once
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		near.Close()
		return
	}
	c := &farConn{near: near, far: far}
	r.mu.Lock()
	r.all = append(r.all, c)
	r.mu.Unlock()
	go c.send(near, far, r.delay)
	c.send(far, near, r.delay)
}

type farBytes struct {
	due   time.Time
	bytes []byte
}

// send passes on what arrives, after a delay. A stalled connection loses it.
func (c *farConn) send(to, from net.Conn, delay time.Duration) {
	underWay := make(chan farBytes, 4096)
	go func() {
		defer close(underWay)
		for buffer := make([]byte, 64<<10); ; {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			c.passed.Add(int64(n))
			underWay <- farBytes{time.Now().Add(delay), bytes.Clone(buffer[:n])}
		}
	}()
	for b := range underWay {
		time.Sleep(time.Until(b.due))
		if !c.stalled.Load() {
			_, _ = to.Write(b.bytes)
		}
	}
	to.Close()
}

// harm resets or stalls the connection that has carried most.
func (r *farRelay) harm(word string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := r.all[0]
	for _, c := range r.all {
		if c.passed.Load() > most.passed.Load() {
			most = c
		}
	}
	if most.stalled.Store(true); word == "reset" {
		_ = most.near.(*net.TCPConn).SetLinger(0)
		most.near.Close()
	}
}
