package testsite

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/worker/authlete/sim"
)

// Info is the state of the live lane's consumer, and BulkInfo that of the bulk lane's.
func (s *Site) Info() *jetstream.ConsumerInfo {
	s.T.Helper()
	return s.infoOf("revoker")
}

func (s *Site) BulkInfo() *jetstream.ConsumerInfo {
	s.T.Helper()
	return s.infoOf("revoker-bulk")
}

func (s *Site) infoOf(name string) *jetstream.ConsumerInfo {
	s.T.Helper()
	consumer, err := s.JS.Consumer(s.Deadline(), "SESSIONS", name)
	if err != nil {
		s.T.Fatal(err)
	}
	return consumer.CachedInfo()
}

// WaitDone waits until every event of the stream is settled. The number pending alone would not do: it lags behind the
// stream.
func (s *Site) WaitDone() {
	s.T.Helper()
	s.WaitDoneBut(0)
}

// WaitDoneBut waits until every event was delivered, and is settled but for so many of the live lane.
func (s *Site) WaitDoneBut(held int) {
	s.T.Helper()
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		s.T.Fatal(err)
	}
	last := map[string]uint64{} // by consumer
	for subject, consumer := range map[string]string{"session.ended": "revoker", "session.ended.bulk": "revoker-bulk"} {
		if msg, err := stream.GetLastMsgForSubject(s.Deadline(), subject); err == nil {
			last[consumer] = msg.Sequence
		}
	}
	testproc.WaitFor(s.T, "end of the backlog", func() bool {
		for consumer, sequence := range last {
			info := s.infoOf(consumer)
			unsettled := 0
			if consumer == "revoker" {
				unsettled = held
			}
			if info.Delivered.Stream < sequence || info.NumPending > 0 || info.NumAckPending > unsettled {
				return false
			}
		}
		return true
	})
}

// Control steers the API's process.
func (s *Site) Control(method, path string, body any) {
	s.T.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.T.Fatal(err)
	}
	request, err := http.NewRequest(method, s.APIURL+path, bytes.NewReader(encoded))
	if err != nil {
		s.T.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.T.Fatalf("%s %s: %s", method, path, response.Status)
	}
}

// Sessions asks the API's process what it saw of each session.
func (s *Site) Sessions() (sessions map[string]sim.Session) {
	s.T.Helper()
	s.ask("/sim/sessions", &sessions)
	return sessions
}

// Calls asks the API's process how many calls began.
func (s *Site) Calls() (n int) {
	s.T.Helper()
	s.ask("/sim/calls", &n)
	return n
}

func (s *Site) ask(path string, answer any) {
	s.T.Helper()
	response, err := http.Get(s.APIURL + path)
	if err != nil {
		s.T.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		s.T.Fatal(err)
	}
}

// DeadLetters counts the dead letters by payload, and fails for any that has not the reason.
func (s *Site) DeadLetters(reason string) map[string]int {
	s.T.Helper()
	letters := map[string]int{}
	for payload, reasons := range s.Reasons() {
		for _, got := range reasons {
			if got != reason {
				s.T.Errorf("a dead letter for %q, want %q", got, reason)
			}
			letters[payload]++
		}
	}
	return letters
}

// Reasons returns the reason of each dead letter, by payload.
func (s *Site) Reasons() map[string][]string {
	s.T.Helper()
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ")
	if err != nil {
		s.T.Fatal(err)
	}
	letters := map[string][]string{}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; state.Msgs > 0 && sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(s.Deadline(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // it was replayed
			continue
		}
		if err != nil {
			s.T.Fatal(err)
		}
		letters[string(msg.Data)] = append(letters[string(msg.Data)], msg.Header.Get("Revoker-Reason"))
	}
	return letters
}
