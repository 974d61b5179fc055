package authlete

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"revoker/config"
)

const protocolCalls = 256 // in flight

// BenchmarkProtocol compares HTTP/1.1 with HTTP/2 over TLS, with 256 calls in flight and an API that allows 100 streams per
// connection, at several distances. The API and what delays it are a process of their own.
//
//	go test -run '^$' -bench 'Protocol|LostConnection' -benchtime 1x ./worker/authlete
//
//	cpu-µs/call   of the client's process, once all is warm
//	cpu-ms/start  of its first 1,024 calls, in which the connections are opened
//	of-ideal      of 256 calls per round trip
//	connections   that are open at the end; dialled are all that were begun
func BenchmarkProtocol(b *testing.B) {
	for _, roundTrip := range []time.Duration{100 * time.Millisecond, 20 * time.Millisecond, 0} {
		for _, name := range []string{"HTTP=1.1", "HTTP=2"} {
			b.Run(fmt.Sprintf("roundtrip=%s/%s", roundTrip, name), func(b *testing.B) {
				for b.Loop() {
					p := newProtocolRun(b, roundTrip, name == "HTTP=2")
					start := cpuTime()
					p.calls(4 * protocolCalls)
					b.ReportMetric(float64((cpuTime()-start).Microseconds())/1000, "cpu-ms/start")
					const n = 40_000
					began, used := time.Now(), cpuTime()
					took := p.calls(n)
					elapsed := time.Since(began)
					b.ReportMetric(float64((cpuTime()-used).Microseconds())/n, "cpu-µs/call")
					b.ReportMetric(n/elapsed.Seconds(), "calls/s")
					if roundTrip > 0 {
						b.ReportMetric(n/elapsed.Seconds()/(protocolCalls/roundTrip.Seconds()), "of-ideal")
					}
					p.report(took)
				}
			})
		}
	}
}

// BenchmarkLostConnection resets or stalls one connection, the one that has carried most, of an API that is 100 ms away.
//
//	failed   calls; each is an event that comes back later
//	slow     calls that took a second or more, failed or not
//	s-worst  the longest call
func BenchmarkLostConnection(b *testing.B) {
	for _, harm := range []string{"reset", "stall"} {
		for _, name := range []string{"HTTP=1.1", "HTTP=2"} {
			b.Run(harm+"/"+name, func(b *testing.B) {
				for b.Loop() {
					p := newProtocolRun(b, 100*time.Millisecond, name == "HTTP=2")
					p.calls(4 * protocolCalls)
					timer := time.AfterFunc(2*time.Second, func() { p.api.harm(b, harm) })
					defer timer.Stop()
					took := p.calls(20_000)
					b.ReportMetric(float64(p.failed.Load()), "failed")
					slow := 0
					for _, d := range took {
						if d >= time.Second {
							slow++
						}
					}
					b.ReportMetric(float64(slow), "slow")
					b.ReportMetric(slices.Max(took).Seconds(), "s-worst")
					p.report(took)
				}
			})
		}
	}
}

// protocolRun is a client and its API.
type protocolRun struct {
	b       *testing.B
	api     *farAPI
	client  *Client
	dialled atomic.Int64 // connections
	open    atomic.Int64 // of these
	failed  atomic.Int64 // calls
}

func newProtocolRun(b *testing.B, roundTrip time.Duration, http2 bool) *protocolRun {
	b.Helper()
	p := &protocolRun{b: b, api: startFarAPI(b, roundTrip)}
	cfg := config.Default()
	cfg.API = config.API{BaseURL: p.api.url, ServiceID: testService, Bearer: config.NewSecret(testToken)}
	cfg.Concurrency = protocolCalls
	var err error
	if p.client, err = New(cfg, "test"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.client.Close)
	like := httptest.NewTLSServer(nil) // all servers of httptest have one certificate
	trust(p.client, like)
	like.Close()
	if http2 {
		p.client.transport.Protocols.SetHTTP2(true) // and the earliest sensible notice of a dead connection:
		p.client.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 2 * time.Second, PingTimeout: 2 * time.Second}
	}
	dial := p.client.transport.DialContext
	p.client.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		p.dialled.Add(1)
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		p.open.Add(1)
		return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { p.open.Add(-1) })}, nil
	}
	return p
}

// countedConn says when it is closed.
type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// calls makes n calls, and returns how long each took.
func (p *protocolRun) calls(n int) []time.Duration {
	took := make([]time.Duration, n)
	var next atomic.Int64
	var working sync.WaitGroup
	for range protocolCalls {
		working.Go(func() {
			caller := p.client.Caller(context.Background())
			defer caller.Close()
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				began := time.Now()
				if got, err := caller.Logout(testService, fmt.Sprint("sid-", i)); err != nil || got.Action != ActionOK {
					p.failed.Add(1)
				}
				took[i] = time.Since(began)
			}
		})
	}
	working.Wait()
	return took
}

func (p *protocolRun) report(took []time.Duration) {
	slices.Sort(took)
	for name, at := range map[string]int{"ms-p50": len(took) / 2, "ms-p99": len(took) * 99 / 100} {
		p.b.ReportMetric(float64(took[at].Microseconds())/1000, name)
	}
	p.b.ReportMetric(float64(p.dialled.Load()), "dialled")
	p.b.ReportMetric(float64(p.open.Load()), "connections")
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	p.b.ReportMetric(float64(memory.HeapInuse+memory.StackInuse)/(1<<20), "MiB")
	p.b.ReportMetric(0, "ns/op")
}

// cpuTime is what this process has used so far, user and system.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
