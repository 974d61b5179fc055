package peer

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events/internal/conn"
)

// LetGo is the payload of a request to a worker to let the events go on that CALLER_ERROR holds back. A worker that does not know
// it only answers with its state.
const LetGo = "let-go"

// About is the payload of a request to the workers that asks about one event, of a session's mask. A worker that does not know it
// only answers with its state.
func About(sequence uint64, mask string) string { return fmt.Sprintf("event %d %s", sequence, mask) }

// askedAbout reads an [About] request.
func askedAbout(request string) (sequence uint64, mask string, ok bool) {
	n, _ := fmt.Sscanf(request, "event %d %s", &sequence, &mask)
	return sequence, mask, n == 2
}

// Subject is where the workers of a consumer can be asked.
func Subject(cfg config.Config) string {
	return "revoker.workers." + cfg.Stream + "." + cfg.Consumer
}

// Answerer is what a worker knows of itself. Each function answers one kind of request.
type Answerer struct {
	State func() State
	// LetGo lets the events go on that CALLER_ERROR holds back, and reports whether there were any.
	LetGo func() (was bool)
	// About tells of an event that this worker handed back, nil if there is none.
	About func(sequence uint64, mask string) *NextAttempt
	// History tells what was settled in the last seconds. It is nil in a worker that keeps none.
	History func(seconds int) *History
}

// answer is the state with what the request asks for beyond it.
func (a Answerer) answer(request string) State {
	released := request == LetGo && a.LetGo()
	now := a.State()
	now.Released = released
	if sequence, mask, ok := askedAbout(request); ok {
		now.Event = a.About(sequence, mask)
	}
	if seconds, ok := askedHistory(request); ok && a.History != nil {
		now.History = a.History(seconds)
	}
	return now
}

// Answer lets `revoker status` and console pages ask this worker how it is, `revoker resume` tell it to let events go on, and
// `revoker session` ask about an event. The account must be allowed to subscribe to the subject and to publish the answer. If it is not,
// the worker just can't be asked. That is not logged as a fault.
func Answer(c *conn.Conn, cfg config.Config, worker Answerer) {
	answers := &answers{subject: Subject(cfg), denied: map[string]bool{}}
	c.Ignore("answers of this worker", func(violation error) bool {
		concerned := answers.concern(violation)
		if concerned {
			c.Log().Debug("this worker can't be asked for its state: its account is not allowed to answer")
		}
		return concerned
	})
	_, err := c.NC().Subscribe(answers.subject, func(msg *nats.Msg) {
		if !answers.begin(msg.Reply) {
			return
		}
		if answer, err := encodeState(worker.answer(string(msg.Data)), mostAnswer(c.NC().MaxPayload())); err == nil {
			_ = msg.Respond(answer)
		}
	})
	if err != nil {
		c.Log().Debug("this worker can't be asked for its state", "error", err)
	}
}

// mostAnswer is how long an answer may be, in bytes, on a server that takes messages of at most maxPayload.
func mostAnswer(maxPayload int64) int { return int(min(maxPayload/2, 512<<10)) }

// encodeState drops the oldest half of the history until the answer is not longer than most.
func encodeState(s State, most int) ([]byte, error) {
	for {
		text, err := json.Marshal(s)
		if err != nil || len(text) <= most || s.History == nil || len(s.History.Steps) == 0 {
			return text, err
		}
		shorter := *s.History
		shorter.Steps = shorter.Steps[(len(shorter.Steps)+1)/2:]
		s.History = &shorter
	}
}

// answers knows which permissions violations only mean that a worker can't be asked for its state.
type answers struct {
	subject string

	mu      sync.Mutex
	replies [8]string // the last ones
	count   int
	// denied are the inboxes that the account may not answer to; they are not tried again. Those of `revoker status` and of a worker's
	// console page may differ in that.
	denied map[string]bool
}

// inboxOf is what the inboxes of one asker have in common: all but the last token, which is random.
func inboxOf(reply string) string { return reply[:max(strings.LastIndexByte(reply, '.'), 0)] }

// begin notes that a request is about to be answered. It reports false if the account may not answer.
func (a *answers) begin(reply string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[a.count%len(a.replies)] = reply
	a.count++
	return !a.denied[inboxOf(reply)]
}

// maxDenied bounds the inboxes to remember, which whoever asks may choose.
const maxDenied = 64

func (a *answers) concern(violation error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, reply := range a.replies {
		if reply != "" && conn.Violates(violation, reply) {
			if len(a.denied) >= maxDenied {
				clear(a.denied)
			}
			a.denied[inboxOf(reply)] = true
			return true
		}
	}
	return conn.Violates(violation, a.subject)
}
