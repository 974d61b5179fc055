package chaos

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"revoker/internal/testissuer"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/worker/authlete/sim"
)

const (
	senders      = 16   // of signals at a time
	bulkShare    = 0.67 // of the events that come by `revoker publish`
	receiveToken = "SECRET-token-of-senders"
)

// sources say which events were accepted: sessions are numbered, and each number is tried until it is.
type sources struct {
	numbers  atomic.Int64 // given out
	canaries atomic.Int64
	signals  atomic.Int64 // accepted by the receiver
	rows     atomic.Int64 // accepted by `revoker publish`
	refused  atomic.Int64 // tries that were not accepted

	mu        sync.Mutex
	publisher *os.Process // `revoker publish`, while one runs
}

// session is the ID of a numbered session. Its number says how the API answers.
func session(n int64) string { return fmt.Sprintf("SECRET-session-%d", n) }

// canary is the ID of a session that the API always revokes.
func canary(n int64) string { return fmt.Sprintf("SECRET-canary-%d", n*2000+50) }

// pace calls do for each event that is due at so many a second, until the sources are to end. What was missed in a fault is made up for.
func (c *chaos) pace(perSecond float64, step time.Duration, do func(due int64)) {
	began, done := time.Now(), int64(0)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-c.ending:
			return
		case <-ticker.C:
		}
		if due := int64(time.Since(began).Seconds()*perSecond) - done; due > 0 {
			do(due)
			done += due
		}
	}
}

// signal sends live events to the receiver, by each of its two ways.
func (c *chaos) signal() {
	due := make(chan int64)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for n := range due {
				c.send(session(n), n%2 == 0)
				c.sources.signals.Add(1)
			}
		})
	}
	c.pace(*rate*(1-bulkShare), 10*time.Millisecond, func(count int64) {
		for range count {
			select {
			case <-c.ending: // a slow machine may have missed more than it makes up for in minutes
				return
			default:
			}
			due <- c.sources.numbers.Add(1) - 1
		}
	})
	close(due)
	sending.Wait()
}

// send sends one signal until it is accepted.
func (c *chaos) send(id string, asToken bool) {
	for began := time.Now(); !c.over.Load() && !c.receiver.accepts(id, asToken); {
		c.sources.refused.Add(1)
		if time.Since(began) > giveUp {
			c.violation("a signal was not accepted in %v", giveUp)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// publish sends bulk events as files, each again until `revoker publish` says that all are stored.
func (c *chaos) publish() {
	file := filepath.Join(c.t.TempDir(), "sessions.txt")
	c.pace(*rate*bulkShare, 2*time.Second, func(count int64) {
		var rows strings.Builder
		for n := c.sources.numbers.Add(count) - count; count > 0; count-- {
			fmt.Fprintln(&rows, session(n))
			n++
		}
		if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
			c.violation("%v", err)
			return
		}
		for began := time.Now(); !c.over.Load() && !c.publishes(file); {
			c.sources.refused.Add(1)
			if time.Since(began) > giveUp {
				c.violation("a file was not published in %v", giveUp)
				return
			}
		}
		c.sources.rows.Add(int64(strings.Count(rows.String(), "\n")))
	})
}

// publishes runs `revoker publish` once.
func (c *chaos) publishes(file string) bool {
	var said testproc.Buffer
	cmd := exec.Command(testproc.Binary(c.t, "revoker"), "publish", "--timeout", "20s", file)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"NATS_URL=" + c.NATSURL, "HOME=" + filepath.Dir(file)}, &said, &said
	c.sources.mu.Lock()
	err := cmd.Start()
	if err != nil {
		c.violation("%v", err)
		c.sources.mu.Unlock()
		return true
	}
	c.sources.publisher = cmd.Process
	c.sources.mu.Unlock()
	err = cmd.Wait()
	c.sources.mu.Lock()
	c.sources.publisher = nil
	c.sources.mu.Unlock()
	c.hasNoSecret("publish", said.String())
	return err == nil
}

// killPublisher kills `revoker publish` if it runs.
func (c *chaos) killPublisher() (was bool) {
	c.sources.mu.Lock()
	defer c.sources.mu.Unlock()
	return c.sources.publisher != nil && c.sources.publisher.Kill() == nil
}

// receiver is `revoker receive` with its issuer.
type receiver struct {
	c       *chaos
	issuer  *testissuer.Issuer
	issuers string // file
	address string
	client  *http.Client
	process *testproc.Process
}

func newReceiver(c *chaos, issuer *testissuer.Issuer) *receiver {
	r := &receiver{
		c: c, issuer: issuer, issuers: filepath.Join(c.t.TempDir(), "issuers.json"), address: testport.Address(c.t),
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders}},
	}
	issuers := fmt.Sprintf(`[{"name":"login","issuer":%q,"clientIds":[%q]}]`, issuer.URL, testissuer.ClientID)
	if err := os.WriteFile(r.issuers, []byte(issuers), 0o600); err != nil {
		c.t.Fatal(err)
	}
	r.start()
	return r
}

func (r *receiver) start() {
	env := []string{
		"NATS_URL=" + r.c.NATSURL, "REVOKER_RECEIVE_ADDR=" + r.address, "REVOKER_RECEIVE_OPS_ADDR=127.0.0.1:0", "REVOKER_RECEIVE_TOKEN=" + receiveToken,
		"REVOKER_RECEIVE_ISSUERS_FILE=" + r.issuers,
	}
	r.process = testproc.Start(r.c.t, env, testproc.Binary(r.c.t, "revoker"), "receive")
}

func (r *receiver) end(signal os.Signal, code int) {
	r.c.end("receiver", r.process, "receiving signals", signal, code)
}

// accepts sends one signal once, and tells whether it was accepted. Any answer but success and 503 is a violation.
func (r *receiver) accepts(id string, asToken bool) bool {
	path, body, contentType := "/events", fmt.Sprintf(`{"sessionId":%q}`, id), "application/json"
	if asToken {
		path, contentType = "/backchannel-logout", "application/x-www-form-urlencoded"
		body = "logout_token=" + r.issuer.Token(id)
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		r.c.violation("%v", err)
		return true
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+receiveToken)
	response, err := r.client.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return true
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
	default:
		r.c.violation("the receiver answered %s", response.Status)
	}
	return false
}

// wanted is what must become of a session: revoked, or a dead letter with the reason.
func (c *chaos) wanted(id string) (reason string) {
	switch {
	case c.Sim.Hopeless(id):
		return "RETRIES_EXHAUSTED"
	case c.Sim.Kind(id) == sim.CallerError:
		return "CALLER_ERROR"
	}
	return ""
}
