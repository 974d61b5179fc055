package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testasyncapi"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// What a worker and the commands write is what events/asyncapi.yaml says.
func TestMessagesAreAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	s := testsite.New(t, testsite.Simulator{Failing: 2, Bad: 3, Cursed: 50, Services: []string{"77"}})
	s.StartNATS()
	// The tokens of these are gone when a worker comes that writes receipts.
	w := s.StartWorker()
	s.Publish(10, 12)
	s.WaitDone()
	w.Signal(os.Interrupt)
	w.Wait()
	env := []string{"REVOKER_RECEIPTS=true", "REVOKER_RETRY_MAX_ATTEMPTS=2", "REVOKER_RETRY_MAX_AGE=0s", "REVOKER_ALLOWED_SERVICE_IDS=77,78"}
	s.StartWorker(env...)
	s.PublishBulk(0, 60)
	s.Publish(10, 12)
	for _, example := range d.Examples() {
		if strings.HasSuffix(strings.ToLower(example.Message), "event") && example.Message != "askEvent" {
			publishMessage(s, "session.ended", example.Header, example.Payload)
		}
	}
	large := strings.Repeat("x", 1<<20-300) // neither it nor the header fits beside those of a letter
	publishMessage(s, "session.ended", map[string][]string{"X-Own": {strings.Repeat("y", 200)}}, []byte(large))
	publishMessage(s, "session.ended", nil, []byte(`{"sessionId":"a-session-1010","serviceId":"78"}`)) // a service that the token is not good for
	s.Says(0, nil, []string{"publish", "--session", "a-session-1011", "--reason", "test"})
	receiveOne(s, `{"sessionId":"a-session-1012"}`)
	s.WaitDoneBut(1) // the held one
	s.Says(0, nil, []string{"dlq", "replay", "--reason", events.ReasonCallerError, "--yes"})
	s.WaitDoneBut(1)

	seen := map[string]int{} // headers
	for stream, message := range map[string]string{"SESSIONS_DLQ": "deadLetter", "SESSIONS_REVOKED": "receipt"} {
		for _, msg := range stored(s, stream) {
			if err := d.Validate(message, msg.Header, msg.Data); err != nil {
				t.Errorf("%s %d: %v", stream, msg.Sequence, err)
			}
			for name, values := range msg.Header {
				seen[name]++
				seen[name+": "+values[0]]++
			}
		}
	}
	for _, want := range []string{
		events.HeaderReason + ": " + events.ReasonCallerError, events.HeaderReason + ": " + events.ReasonInvalidEvent, events.HeaderReason + ": " + events.ReasonRetriesExhausted,
		events.HeaderReplayOf, events.HeaderHeadersOmitted, events.HeaderPayloadOmitted, events.HeaderResultMessage, jetstream.ExpectedLastSubjSeqHeader + ": 0",
	} {
		if seen[want] == 0 {
			t.Errorf("no message has %s: %v", want, seen)
		}
	}
	own := 0
	for _, msg := range stored(s, "SESSIONS") {
		if msg.Header.Get(jetstream.MsgIDHeader) == "" {
			continue // the test's own
		}
		own++
		if err := d.Validate("event", msg.Header, msg.Data); err != nil {
			t.Error(err)
		}
	}
	if own < 5 { // an example's, that of publish, that of receive, those of dlq replay
		t.Errorf("the commands published %d events", own)
	}
	for channel, info := range map[string]*jetstream.ConsumerInfo{"live": s.Info(), "bulk": s.BulkInfo()} {
		if err := testasyncapi.SameSettings(d.Object("channels", channel, "x-jetstream", "consumer"), info.Config); err != nil {
			t.Errorf("consumer of %s: %v", channel, err)
		}
	}
	waiting := heldEvent(t, s)
	for request, want := range map[string]string{"": `"held":[{`, peer.LetGo: `"breaker":"`, peer.About(waiting, events.SessionID("a-session-1010").Mask()): `"event":{`, peer.HistoryOf(900): `"history":{`} {
		var answer []byte
		testproc.WaitFor(t, fmt.Sprintf("%s in the answer to %q", want, request), func() bool { // the held event may be in work until now
			answer = question(s, request)
			return strings.Contains(string(answer), want)
		})
		if err := d.Validate("workerState", nil, answer); err != nil {
			t.Errorf("asked %q a worker answers %s: %v", request, answer, err)
		}
	}
}

// receiveOne sends an event to `revoker receive`.
func receiveOne(s *testsite.Site, body string) {
	s.T.Helper()
	address := testport.Address(s.T)
	startReceiver(s, address, "")
	request, err := http.NewRequestWithContext(s.Deadline(), http.MethodPost, "http://"+address+"/events", strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+receiveToken)
	request.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		s.T.Errorf("POST /events: %s", response.Status)
	}
}

// heldEvent is the sequence of the event that waits.
func heldEvent(t *testing.T, s *testsite.Site) uint64 {
	t.Helper()
	for _, msg := range stored(s, "SESSIONS") {
		if strings.Contains(string(msg.Data), "a-session-1010") {
			return msg.Sequence
		}
	}
	t.Fatal("the event of the other service is not stored")
	return 0
}

// publishMessage stores a message as it is.
func publishMessage(s *testsite.Site, subject string, header map[string][]string, payload []byte) {
	s.T.Helper()
	if _, err := s.JS.PublishMsg(s.Deadline(), &nats.Msg{Subject: subject, Header: header, Data: payload}); err != nil {
		s.T.Fatal(err)
	}
}

// stored are the messages of a stream.
func stored(s *testsite.Site, name string) (messages []*jetstream.RawStreamMsg) {
	s.T.Helper()
	stream, err := s.JS.Stream(s.Deadline(), name)
	if err != nil {
		s.T.Fatal(err)
	}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; state.Msgs > 0 && sequence <= state.LastSeq; sequence++ {
		if msg, err := stream.GetMsg(s.Deadline(), sequence); err == nil {
			messages = append(messages, msg)
		}
	}
	if len(messages) != int(state.Msgs) {
		s.T.Fatalf("read %d messages of %s, want %d", len(messages), name, state.Msgs)
	}
	return messages
}

// question asks the worker, and returns its answer.
func question(s *testsite.Site, request string) []byte {
	s.T.Helper()
	answer, err := s.JS.Conn().Request("revoker.workers.SESSIONS.revoker", []byte(request), 10*time.Second)
	if err != nil {
		s.T.Fatal(err)
	}
	return answer.Data
}

// The commands read the document's examples of what workers write, as if workers had written them.
func TestTheDocumentsExamplesAreRead(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	s := testsite.NewGraveyard(t)
	s.Says(0, []string{"REVOKER_RECEIPTS=true"}, []string{"setup", "--yes"})
	var states []any
	for _, example := range d.Examples() {
		switch example.Message {
		case "deadLetter":
			delete(example.Header, jetstream.MsgIDHeader) // the server refuses one that it has
			publishMessage(s, "dlq.session.ended", example.Header, example.Payload)
			last := strconv.Itoa(s.Stored("SESSIONS_DLQ"))
			sameLetter(t, example.Header, decoded(t, []byte(s.Says(0, nil, []string{"dlq", "show", last, "--json"}))))
		case "receipt":
			receipt := decoded(t, example.Payload)
			hash := fmt.Sprint(receipt["subject"])
			publishMessage(s, "session.revoked."+hash, example.Header, example.Payload)
			answer := decoded(t, []byte(s.Says(0, []string{"AUTHLETE_SERVICE_ID=" + testsite.ServiceID}, []string{"session", "--hash", hash, "--json"})))
			got, _ := answer["receipt"].(map[string]any)
			for name, want := range receipt["data"].(map[string]any) {
				if got[name] != want {
					t.Errorf("the receipt's %s is read as %v, want %v", name, got[name], want)
				}
			}
			if got["revokedAt"] != receipt["time"] {
				t.Errorf("the receipt's time is read as %v, want %v", got["revokedAt"], receipt["time"])
			}
		case "workerState":
			states = append(states, decoded(t, example.Payload))
			answerAs(s, example.Payload)
		}
	}
	if s.Stored("SESSIONS_DLQ") == 0 || s.Stored("SESSIONS_REVOKED") == 0 || len(states) == 0 {
		t.Fatal("the document has no example of a dead letter, a receipt or a worker's state")
	}
	var answers []any
	testproc.WaitFor(t, "status with all workers", func() bool { // it does not wait long for the next one
		answers, _ = decoded(t, []byte(s.Says(0, nil, []string{"status", "--json"})))["workers"].([]any)
		return len(answers) == len(states)
	})
	for _, want := range states {
		if !slices.ContainsFunc(answers, func(got any) bool { return reflect.DeepEqual(got, want) }) {
			t.Errorf("status reads\n%v, want\n%v", answers, want)
		}
	}
}

// sameLetter holds what `dlq show` prints of a dead letter against its headers.
func sameLetter(t *testing.T, header map[string][]string, shown map[string]any) {
	t.Helper()
	event, _ := shown["event"].(map[string]any)
	for name, got := range map[string]any{
		events.HeaderReason: shown["reason"], events.HeaderError: shown["error"], events.HeaderHTTPStatus: shown["httpStatus"],
		events.HeaderResultCode: shown["resultCode"], events.HeaderResultMessage: shown["resultMessage"], events.HeaderMsgID: shown["messageId"],
		events.HeaderReplayOf: shown["replayOf"], events.HeaderHeadersOmitted: shown["headersOmitted"], events.HeaderSubject: event["subject"],
		events.HeaderStream: event["stream"], events.HeaderStreamSequence: event["sequence"], events.HeaderConsumer: event["consumer"],
		events.HeaderDeliveries: event["deliveries"], events.HeaderPublishedAt: event["published"], events.HeaderDeadLetteredAt: event["deadLettered"],
	} {
		if want := strings.Join(header[name], ""); want != "" && fmt.Sprint(got) != want || want == "" && got != nil {
			t.Errorf("%s %q is shown as %v", name, want, got)
		}
	}
}

func decoded(t *testing.T, text []byte) (object map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return object
}

// answerAs answers for a worker until the test ends.
func answerAs(s *testsite.Site, answer []byte) {
	s.T.Helper()
	if _, err := s.JS.Conn().Subscribe("revoker.workers.SESSIONS.revoker", func(msg *nats.Msg) { _ = msg.Respond(answer) }); err != nil {
		s.T.Fatal(err)
	}
	if err := s.JS.Conn().Flush(); err != nil {
		s.T.Fatal(err)
	}
}
