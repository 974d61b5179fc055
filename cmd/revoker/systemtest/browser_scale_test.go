//go:build tools

package systemtest

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker"
	"revoker/worker/ops/history"
)

// A connection of a phone: 1.6 Mbit/s, and 150 ms for a round trip.
var slow = network.EmulateNetworkConditions(false, 150, 200_000, 94_000)

// answerAsWorkers lets this process answer as n workers do, which revoke one session after another until the test ends.
func answerAsWorkers(s *testsite.Site, n int) {
	s.T.Helper()
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs(s.NATSURL)
	conn, err := events.Connect(cfg.NATS, "test", slog.New(slog.DiscardHandler), false)
	if err != nil {
		s.T.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	s.T.Cleanup(func() {
		cancel()
		working.Wait()
		conn.Close()
	})
	for i := range n {
		self := peer.NewIdentity("v0.9.0")
		self.Name = fmt.Sprintf("revoker-6c9f7d5b8-%05d", i)
		past, limit := history.New(cfg.Objective, cfg.Concurrency), 16+i
		state := peer.State{Breaker: "closed", Limit: limit, LimitedBy: "latency"}
		working.Go(func() {
			for ticker := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					ticker.Stop()
					return
				case now := <-ticker.C:
					took := time.Duration(5+now.UnixNano()%40) * time.Millisecond
					past.Sample(history.Gauges{Limit: &limit})
					past.Observe(worker.Settlement{Lane: config.Live, Outcome: worker.Revoked, Took: took, ToRevoked: 2 * took})
				}
			}
		})
		peer.Answer(conn, cfg, peer.Answerer{
			State: func() peer.State { return self.Sign(past.Complete(state)) },
			LetGo: func() bool { return false }, History: past.Last,
		})
	}
}

// publishSlowly publishes live events until the test ends, and some that wait long for their retry.
func publishSlowly(s *testsite.Site) {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	s.T.Cleanup(func() { cancel(); working.Wait() })
	working.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.PublishOne(i)
			}
		}
	})
}

// observeShifts collects what moves on the page, with buffered also what moved before.
func observeShifts(buffered bool) string {
	return fmt.Sprintf(`window.shifts = []; new PerformanceObserver(list => {
		for (const e of list.getEntries()) shifts.push({value: e.value, of: e.sources.map(s => s.node ? s.node.id || s.node.parentNode.id || s.node.nodeName : '')});
	}).observe({type: 'layout-shift', buffered: %v})`, buffered)
}

// places are where the sections, the cards and the rows of the workers stand.
const places = `JSON.stringify([...document.querySelectorAll('main h2, #workers-table tbody tr, .plot')].map(e => Math.round(e.getBoundingClientRect().top + scrollY)))`

// With 20 workers, 100,000 dead letters and a slow connection the page shows up soon, and then nothing jumps.
func TestThePageOfALargeFleet(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Latency: 10 * time.Millisecond, Failing: 10})
	s.StartNATS()
	_, page := pageOf(s)
	for range 3 {
		s.StartWorker()
	}
	answerAsWorkers(s, 16)
	for range 50 {
		s.Bury(2000)
	}
	publishSlowly(s)
	b := openTab(t, page, 1400, 1000, network.Enable(), slow)
	b.waitText("#workers-note", "20 workers answer")
	b.waitText("#plots-note", "of all 20 workers together")
	b.waitText("#letters-growth", "New: at least 20,000 in the last hour")
	b.waitText("#letters-count", "The newest 20,000 of 100,000 dead letters")
	var paint float64
	b.run(chromedp.Evaluate(`performance.getEntriesByName('first-contentful-paint')[0].startTime`, &paint))
	b.eval(observeShifts(true))
	var loading float64
	testproc.WaitFor(t, "the shifts so far", func() bool {
		b.run(chromedp.Evaluate(`shifts.reduce((sum, s) => sum + s.value, 0)`, &loading))
		return b.eval(`shifts.length`) != 0.0
	})
	t.Logf("at 1.6 Mbit/s and 150 ms: first paint after %.0f ms, layout shift until the figures are there %.3f", paint, loading)
	b.picture("large")
	b.audit("large")
	for _, plot := range []string{"plot-live", "plot-rate", "plot-limit"} {
		testproc.WaitFor(t, plot, b.drawn(plot, 0, "v > 0"))
	}

	if size := messageSize(t, page); size > 20_000 {
		t.Errorf("a message of the feed has %d bytes: too much for each second of a slow connection", size)
	}
	b.click("#tail-pause")
	b.waitText("#tail-note", "stopped")
	b.eval(observeShifts(false))
	before := b.eval(places)
	began := b.eval(`state.t`).(float64)
	testproc.WaitFor(t, "20 updates", func() bool { return b.eval(`state.t`).(float64) > began+20_000 })
	if after := b.eval(places); before != after {
		t.Errorf("places before and after:\n%s\n%s", before, after)
	}
	var shifts []struct {
		Value float64
		Of    []string
	}
	if err := json.Unmarshal([]byte(b.eval(`JSON.stringify(shifts)`).(string)), &shifts); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, shift := range shifts {
		sum += shift.Value
	}
	t.Logf("layout shift in 20 updates: %.4f", sum)
	if sum > 0.001 {
		t.Errorf("the page jumps: %+v", shifts)
	}

	b.picture("large-later") // which moves things itself
	b.signIn()
	b.waitText("#groups tbody", "Replay")
	b.click(`#groups tbody tr:nth-child(2) [data-replay]`)
	b.waitText("#confirm-title", "Replay 10,000 dead letters?")
	b.click("#confirm-no")
}

// messageSize is how many bytes a message of the feed has on the wire, after the first one.
func messageSize(t *testing.T, page string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page+"/console/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip") // by hand, so that the body stays as it is
	client := http.Client{Timeout: testproc.Timeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read := &counter{from: response.Body}
	plain, err := gzip.NewReader(read)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 5
	lines, first := bufio.NewReader(plain), 0
	for i := range messages + 1 {
		for range 2 { // the data, and an empty line
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			first = read.n
		}
	}
	size := (read.n - first) / messages
	t.Logf("the feed's first message has %d bytes, a later one %d", first, size)
	return size
}

// counter counts what is read through it.
type counter struct {
	from io.Reader
	n    int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += n
	return n, err
}
