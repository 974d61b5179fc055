package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/internal/testsite"
)

// watch is what is looked at while faults come and go: the dead letters, and what each worker takes of the machine.
type watch struct {
	mu      sync.Mutex
	fault   string // the last one that began
	letters map[string]string
	next    uint64 // sequence of the next dead letter to read

	use       []use // of the first worker
	mostUse   use   // of any worker
	unscraped int
}

// use is what a worker takes at a moment.
type use struct {
	resident   float64 // MiB
	goroutines int
	files      int
}

func (u use) String() string {
	return fmt.Sprintf("%.0f MiB, %d goroutines, %d files", u.resident, u.goroutines, u.files)
}

func (w *watch) begin(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = name
}

// watchOn looks once a second until it is told to end.
func (c *chaos) watchOn() {
	c.watch.letters, c.watch.next = map[string]string{}, 1
	for ticker := time.NewTicker(time.Second); ; {
		select {
		case <-c.ended:
			ticker.Stop()
			return
		case <-ticker.C:
			_ = c.readLetters()
			c.scrapeAll()
		}
	}
}

// readLetters reads the dead letters that came since the last time, and holds each against what its session wants. The error says why
// there may be more.
func (c *chaos) readLetters() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := c.JS.Stream(ctx, "SESSIONS_DLQ")
	if err != nil {
		return err
	}
	for last := stream.CachedInfo().State.LastSeq; c.watch.next <= last; c.watch.next++ {
		msg, err := stream.GetMsg(ctx, c.watch.next)
		if err != nil {
			return err
		}
		c.judge(msg)
	}
	return nil
}

func (c *chaos) judge(msg *jetstream.RawStreamMsg) {
	id, reason := sessionOf(msg), msg.Header.Get(events.HeaderReason)
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	if want := c.wanted(id); reason != want {
		c.violation("after %q: a dead letter of session %s says %s, want %q: %s", c.watch.fault, number(id), reason, want, msg.Header.Get(events.HeaderError))
	}
	if before, twice := c.watch.letters[id]; twice {
		c.violation("after %q: session %s has another dead letter: %s, %s", c.watch.fault, number(id), before, reason)
	}
	c.watch.letters[id] = reason
}

// sessionOf reads an event, or what a dead letter has of one.
func sessionOf(msg *jetstream.RawStreamMsg) string {
	var event struct {
		SessionID string `json:"sessionId"`
	}
	_ = json.Unmarshal(msg.Data, &event)
	return event.SessionID
}

// number is what may be printed of a session's ID.
func number(id string) string { return strings.TrimPrefix(id, "SECRET-") }

var (
	opsAddress = regexp.MustCompile(`"msg":"serving health endpoints","address":"([^"]+)"`)
	gauges     = regexp.MustCompile(`(?m)^(process_resident_memory_bytes|go_goroutines|process_open_fds) (\S+)$`)
)

// scrapeAll reads the metrics of every worker that answers.
func (c *chaos) scrapeAll() {
	for i, w := range c.workers {
		u, err := scrape(w)
		c.watch.mu.Lock()
		if err != nil {
			c.watch.unscraped++
		} else {
			m := &c.watch.mostUse
			m.resident, m.goroutines, m.files = max(m.resident, u.resident), max(m.goroutines, u.goroutines), max(m.files, u.files)
			if i == 0 {
				c.watch.use = append(c.watch.use, u)
			}
		}
		c.watch.mu.Unlock()
	}
}

var scraper = http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}

func scrape(w *worker) (use, error) {
	address := opsAddress.FindStringSubmatch(w.current().Stderr.String())
	if address == nil {
		return use{}, fmt.Errorf("it serves nothing yet")
	}
	response, err := scraper.Get("http://" + address[1] + "/metrics")
	if err != nil {
		return use{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return use{}, err
	}
	var u use
	for _, found := range gauges.FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return use{}, err
		}
		switch found[1] {
		case "process_resident_memory_bytes":
			u.resident = value / (1 << 20)
		case "go_goroutines":
			u.goroutines = int(value)
		case "process_open_fds":
			u.files = int(value)
		}
	}
	return u, nil
}

// flat holds the last quarter of the first worker's run against the second: what a fault leaves behind adds up.
func (c *chaos) flat() (early, late use) {
	all := c.watch.use
	quarter := len(all) / 4
	if quarter < 5 {
		return use{}, use{}
	}
	return median(all[quarter : 2*quarter]), median(all[3*quarter:])
}

func median(of []use) use {
	pick := func(value func(use) float64) float64 {
		values := make([]float64, 0, len(of))
		for _, u := range of {
			values = append(values, value(u))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return use{
		resident:   pick(func(u use) float64 { return u.resident }),
		goroutines: int(pick(func(u use) float64 { return float64(u.goroutines) })),
		files:      int(pick(func(u use) float64 { return float64(u.files) })),
	}
}

// receiptSubject is where a session's receipt is.
func receiptSubject(id string) string {
	return "session.revoked." + events.SessionHash(testsite.ServiceID, events.SessionID(id))
}

func (c *chaos) hasReceipt(ctx context.Context, id string) bool {
	stream, err := c.JS.Stream(ctx, "SESSIONS_REVOKED")
	if err != nil {
		return false
	}
	_, err = stream.GetLastMsgForSubject(ctx, receiptSubject(id))
	return err == nil
}
