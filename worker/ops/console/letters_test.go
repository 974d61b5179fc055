package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testleak"
	"revoker/internal/testproc"
	"revoker/worker"
	"revoker/worker/ops/history"
)

func TestMain(m *testing.M) { testleak.Main(m) }

const (
	testTimeout  = 20 * time.Second
	consoleToken = "the-console-token"
)

// desk is a console over a NATS server of its own, with a browser for each who uses it.
type desk struct {
	t        *testing.T
	cfg      config.Config
	console  *Console
	end      context.CancelFunc // of the console
	url      string
	conn     *events.Conn // the worker's
	nc       *nats.Conn
	js       jetstream.JetStream
	visitor  *http.Client
	operator *http.Client // signed in
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, cfg: config.Default()}
	d.cfg.NATS.URL = config.NewServerURLs(testproc.StartNATS(t).URL())
	d.cfg.ConsoleToken = config.NewSecret(consoleToken)
	d.cfg.API.ServiceID, d.cfg.API.AllowedServiceIDs = "1234567890", []string{"555"}
	var err error
	if d.nc, err = nats.Connect(d.cfg.NATS.URL.Reveal(), nats.Timeout(testTimeout)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.nc.Close)
	if d.js, err = jetstream.New(d.nc); err != nil {
		t.Fatal(err)
	}
	conn, err := events.Connect(d.cfg.NATS, "test", slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	lanes, _, err := events.Ensure(d.deadline(), conn, d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lanes.Close)
	d.conn = conn
	d.serve()
	d.visitor, d.operator = d.browser(), d.browser()
	if status, text := d.ask(d.operator, "POST", "/console/sign-in", map[string]string{"name": "Ada", "token": consoleToken}); status != http.StatusOK {
		t.Fatalf("signing in: %d %s", status, text)
	}
	return d
}

// serve serves the console until the test ends, or calls end.
func (d *desk) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	parts := func() (*events.Conn, *worker.Worker) { return d.conn, nil }
	d.console = New(ctx, d.cfg, peer.NewIdentity("v1"), parts, history.New(d.cfg.Objective, d.cfg.Concurrency), slog.New(slog.DiscardHandler))
	server := httptest.NewServer(d.console.Handler())
	d.url, d.end = server.URL, func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		d.console.Close()
	}
	d.t.Cleanup(d.end)
}

func (d *desk) deadline() context.Context {
	ctx, cancel := context.WithTimeout(d.t.Context(), testTimeout)
	d.t.Cleanup(cancel)
	return ctx
}

func (d *desk) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: testTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
}

func (d *desk) ask(as *http.Client, method, path string, body any) (int, string) {
	d.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, bytes.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := as.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}

func (d *desk) list(as *http.Client, selection map[string]any) (list letterList) {
	d.t.Helper()
	status, text := d.ask(as, "POST", "/console/letters", selection)
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != http.StatusOK {
		d.t.Fatalf("the list: %d %s", status, text)
	}
	return list
}

// bury stores a dead letter and returns its sequence.
func (d *desk) bury(header nats.Header, payload string) uint64 {
	d.t.Helper()
	ack, err := d.js.PublishMsg(d.deadline(), &nats.Msg{Subject: d.cfg.DeadLetterSubject, Header: header, Data: []byte(payload)})
	if err != nil {
		d.t.Fatal(err)
	}
	return ack.Sequence
}

// consumers counts those that are made on the dead-letter stream from now on, once there are as many as were made for sure. The
// server tells of them in the background.
func (d *desk) consumers() func(sure int) int {
	d.t.Helper()
	created, err := d.nc.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.CREATED.SESSIONS_DLQ.*")
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.nc.Flush(); err != nil {
		d.t.Fatal(err)
	}
	return func(sure int) (n int) {
		d.t.Helper()
		testproc.WaitFor(d.t, fmt.Sprintf("word of %d consumers", sure), func() bool {
			if err := d.nc.Flush(); err != nil {
				d.t.Fatal(err)
			}
			n, _, _ = created.Pending()
			return n >= sure
		})
		return n
	}
}

// Whoever is not signed in sees of a letter what is known by its form, and no text in which an ID may stand in whatever
// encoding: not the payload, no header, not the API's words.
func TestAVisitorSeesNoTextOfALetter(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const id = "Ab3/x-Secret"
	inBase64 := base64.StdEncoding.EncodeToString([]byte(`{"sessionId":"` + id + `"}`))
	caller := func(more ...string) nats.Header {
		h := nats.Header{"Revoker-Reason": {"CALLER_ERROR"}, "Revoker-Http-Status": {"400"}, "Revoker-Result-Code": {"A503201"}}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = []string{more[i+1]}
		}
		return h
	}
	escaped := `Ab3\/x-\u0053ecret`
	plain := `{"sessionId":"` + id + `"}`
	for what, c := range map[string]struct {
		header  nats.Header
		payload string
		want    string // in what a visitor sees
	}{
		"a solidus escaped":    {caller(), `{"sessionId":"Ab3\/x-Secret"}`, `"session":"` + events.SessionID(id).Mask()},
		"a letter escaped":     {caller(), `{"sessionId":"` + escaped + `"}`, `"session":"` + events.SessionID(id).Mask()},
		"in data_base64":       {caller("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"1","source":"x","type":"session.ended","data_base64":"` + inBase64 + `"}`, events.SessionID(id).Mask()},
		"in another member":    {caller(), `{"sessionId":"` + id + `","copy":"` + escaped + `","nested":{"Secret":["` + id + `"]}}`, `"error":"the logout API answered CALLER_ERROR (HTTP 400, A503201)"`},
		"in reason":            {caller(), `{"sessionId":"` + id + `","reason":"` + escaped + `"}`, events.SessionID(id).Mask()},
		"in a foreign service": {caller(), `{"sessionId":"` + id + `","serviceId":"` + escaped + `"}`, events.SessionID(id).Mask()},
		"in a header":          {caller("X-Note", "of "+escaped, "X-Secret", "1", "Ce-Subject", inBase64), plain, `"headers":{}`},
		"in the message ID":    {caller("Revoker-Msg-Id", escaped), plain, `"MessageID":""`},
		"in the subject":       {caller("Revoker-Subject", "session.ended.Secret"), plain, `"Subject":""`},
		"in the stream's name": {caller("Revoker-Stream", "Secret", "Revoker-Consumer", "Secret"), plain, `"Stream":"","Sequence":0`},
		"in the error":         {caller("Revoker-Error", "about "+escaped), plain, `"error":"the logout API answered CALLER_ERROR (HTTP 400, A503201)"`},
		"in the API's message": {caller("Revoker-Result-Message", "[A1] "+escaped), plain, `"resultMessage":""`},
		"in the result code":   {caller("Revoker-Result-Code", escaped), plain, `"resultCode":"(other)"`},
		"in the letter reason": {nats.Header{"Revoker-Reason": {escaped}}, plain, `"reason":"(other)"`},
		"not an event":         {nats.Header{"Revoker-Reason": {"INVALID_EVENT"}, "Revoker-Error": {"Secret"}}, `{"sid":"` + id + `"}`, `"error":"the payload has no sessionId"`},
		"known members":        {caller(), `{"sessionId":"` + id + `","serviceId":"555","endedAt":"2026-01-02T03:04:05+01:00"}`, `"serviceId":"555","endedAt":"2026-01-02T02:04:05Z"`},
	} {
		sequence := d.bury(c.header, c.payload)
		_, text := d.ask(d.visitor, "GET", fmt.Sprint("/console/letters/", sequence), nil)
		for _, hidden := range []string{"ecret", `Ab3`, inBase64} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s: a visitor sees %q in %s", what, hidden, text)
			}
		}
		if !strings.Contains(text, c.want) || !strings.Contains(text, `"payload":"","encoding":"hidden"`) {
			t.Errorf("%s: a visitor does not see %s in %s", what, c.want, text)
		}
		var full letterDetail
		if _, text = d.ask(d.operator, "GET", fmt.Sprint("/console/letters/", sequence), nil); json.Unmarshal([]byte(text), &full) != nil || full.Payload != c.payload {
			t.Errorf("%s: an operator sees %s", what, text)
		}
	}
	if _, text := d.ask(d.visitor, "POST", "/console/letters", map[string]any{}); strings.Contains(text, "ecret") || !strings.Contains(text, `"total":16`) {
		t.Errorf("the list: %s", text)
	}
}

// A visitor can't make the server keep consumers, nor the worker read the dead letters all the time.
func TestVisitorsMakeFewConsumers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 300 {
		d.bury(nil, `{"sessionId":"x"}`)
	}
	consumers, began := d.consumers(), time.Now()
	var many []int
	for i := range 150 {
		many = append(many, 2*i+1)
	}
	for _, as := range []*http.Client{d.visitor, d.operator} {
		if status, text := d.ask(as, "POST", "/console/letters", map[string]any{"sequences": many}); status != http.StatusBadRequest || !strings.Contains(text, "at most 100") {
			t.Errorf("many sequences: %d %s", status, text)
		}
	}
	if status, _ := d.ask(d.operator, "POST", "/console/sweep", map[string]any{"action": "discard", "selection": map[string]any{"sequences": many}}); status != http.StatusBadRequest {
		t.Errorf("a sweep of many sequences: %d", status)
	}
	if n := consumers(0); n != 0 {
		t.Errorf("%d consumers for what was refused", n)
	}
	if list := d.list(d.visitor, map[string]any{"sequences": many[:100]}); list.Total != 100 {
		t.Errorf("%d letters were chosen", list.Total)
	}
	if n := consumers(1); n != 1 {
		t.Errorf("%d consumers for 100 sequences, want 1", n)
	}
	const flood = 60
	statuses := make(chan int, flood)
	for i := range flood {
		go func() {
			status, _ := d.ask(d.visitor, "POST", "/console/letters", map[string]any{"resultCode": fmt.Sprint("A", i)})
			statuses <- status
		}()
	}
	for range flood - visitorsMost - 10 { // the others wait for their turn
		if status := <-statuses; status != http.StatusServiceUnavailable && status != http.StatusOK {
			t.Errorf("one of many lists: %d", status)
		}
	}
	const operators = 10 // whose lists come in between
	for i := range operators {
		if list := d.list(d.operator, map[string]any{"resultCode": fmt.Sprint("B", i)}); list.Total != 0 || list.Partial {
			t.Errorf("an operator meanwhile: %+v", list)
		}
	}
	if n, most := consumers(1+operators), 2+operators+int(time.Since(began)/time.Second); n > most {
		t.Errorf("%d consumers, want at most %d", n, most)
	}
	d.end() // ends the others
	for range visitorsMost + 10 {
		<-statuses
	}
}

// Letters are read again when some came or went, and not otherwise.
func TestUnchangedLettersAreNotReadAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bury(nil, `{"sessionId":"x"}`)
	consumers := d.consumers()
	const together = 8
	lists := make(chan string, together)
	for range together {
		go func() {
			_, text := d.ask(d.visitor, "POST", "/console/letters", nil)
			lists <- text
		}()
	}
	for range together {
		if text := <-lists; !strings.Contains(text, `"total":1,"first":1,"last":1,"partial":false`) {
			t.Errorf("the list: %s", text)
		}
	}
	d.age()
	d.list(d.visitor, nil)
	if n := consumers(1); n != 1 {
		t.Errorf("%d consumers for one list, want 1", n)
	}
	d.bury(nil, `{"sessionId":"y"}`)
	d.age()
	if list := d.list(d.visitor, nil); list.Total != 2 {
		t.Errorf("after another letter: %+v", list)
	}
	discard := map[string]any{"action": "discard", "selection": map[string]any{"sequences": []int{1}, "created": d.list(d.visitor, nil).Created}}
	if _, text := d.ask(d.operator, "POST", "/console/sweep", discard); !strings.Contains(text, `"over":true,"done":1`) {
		t.Fatalf("discarding: %s", text)
	}
	if list := d.list(d.visitor, nil); list.Total != 1 || list.First != 2 { // without age
		t.Errorf("after a letter was discarded here: %+v", list)
	}
}

// age makes the lists that are known older than they are shown for without asking.
func (d *desk) age() {
	s := d.console.scans
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, list := range s.known {
		list.asked = list.asked.Add(-listFresh)
		s.known[key] = list
	}
}

// A list reads the newest letters alone; a count that is acted on reads all, and is for operators.
func TestAListIsBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if most := d.console.scans.most; most != scanLetters {
		t.Errorf("a list has %d letters, want %d", most, scanLetters)
	}
	const most, more = 1200, 100 // three batches: a slow machine must read them within the time that a list has
	d.console.scans.most = most
	for range most + more {
		if _, err := d.js.PublishAsync(d.cfg.DeadLetterSubject, []byte(`{"sessionId":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	<-d.js.PublishAsyncComplete()
	for _, as := range []*http.Client{d.visitor, d.operator} {
		if list := d.list(as, nil); list.Total != most || list.First != more+1 || !list.Partial || len(list.Newest) != lettersShown {
			t.Errorf("a list: %d from %d on, partial %v", list.Total, list.First, list.Partial)
		}
	}
	if list := d.list(d.operator, map[string]any{"exact": true}); list.Total != most+more || list.First != 1 || list.Last != most+more || list.Partial {
		t.Errorf("an exact one: %d from %d to %d, partial %v", list.Total, list.First, list.Last, list.Partial)
	}
	if list := d.list(d.operator, map[string]any{"exact": true, "first": 11, "last": 20}); list.Total != 10 {
		t.Errorf("between two sequences: %d", list.Total)
	}
	if status, text := d.ask(d.visitor, "POST", "/console/letters", map[string]any{"exact": true}); status != http.StatusUnauthorized {
		t.Errorf("an exact one for a visitor: %d %s", status, text)
	}
}

// recreate creates a stream whose name another one had. A server under load answers with error 10049 for a moment after it deleted that.
func (d *desk) recreate(cfg jetstream.StreamConfig) {
	d.t.Helper()
	testproc.WaitFor(d.t, "stream "+cfg.Name, func() bool {
		_, err := d.js.CreateStream(d.deadline(), cfg)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == 10049 {
			return false
		}
		if err != nil {
			d.t.Fatal(err)
		}
		return true
	})
}

// What was listed or counted on a stream that was deleted and created anew since is not acted on: the same sequences are
// other letters now.
func TestARecreatedStreamIsNotActedOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bury(nil, `{"sessionId":"old"}`)
	list := d.list(d.operator, map[string]any{"exact": true})
	var shown letterDetail
	if _, text := d.ask(d.operator, "GET", "/console/letters/1", nil); json.Unmarshal([]byte(text), &shown) != nil || !shown.Created.Equal(list.Created) || list.Created.IsZero() {
		t.Fatalf("the letter: %s; the list's stream: %s", text, list.Created)
	}
	stream, err := d.js.Stream(d.deadline(), d.cfg.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.js.DeleteStream(d.deadline(), d.cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	d.recreate(stream.CachedInfo().Config)
	d.bury(nil, `{"sessionId":"new"}`)
	one := map[string]any{"sequences": []int{1}, "created": list.Created}
	all := map[string]any{"first": list.First, "last": list.Last, "created": list.Created}
	for _, action := range []string{"discard", "replay"} {
		for _, chosen := range []map[string]any{one, all} {
			status, text := d.ask(d.operator, "POST", "/console/sweep", map[string]any{"action": action, "all": true, "selection": chosen})
			if status != http.StatusConflict || !strings.Contains(text, "created anew") {
				t.Errorf("to %s %v: %d %s", action, chosen, status, text)
			}
		}
	}
	if status, text := d.ask(d.operator, "POST", "/console/letters", map[string]any{"exact": true, "sequences": []int{1}, "created": list.Created}); status != http.StatusConflict {
		t.Errorf("counting: %d %s", status, text)
	}
	if status, text := d.ask(d.operator, "POST", "/console/sweep", map[string]any{"action": "discard", "selection": map[string]any{"sequences": []int{1}}}); status != http.StatusBadRequest {
		t.Errorf("without a count: %d %s", status, text)
	}
	if list = d.list(d.operator, map[string]any{"exact": true}); list.Total != 1 {
		t.Fatalf("%d letters are left, want 1", list.Total)
	}
	one["created"] = list.Created
	if _, text := d.ask(d.operator, "POST", "/console/sweep", map[string]any{"action": "discard", "selection": one}); !strings.Contains(text, `"done":1`) {
		t.Errorf("discarding the new one: %s", text)
	}
}

// A member that is not known may be a filter. It must not be ignored.
func TestAnUnknownFilterIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if status, text := d.ask(d.operator, "POST", "/console/letters", map[string]any{"code": "A503201"}); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, text)
	}
}
