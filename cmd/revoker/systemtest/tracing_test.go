package systemtest

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// collector is an OTLP/HTTP receiver, and beside it a logout API that keeps the headers of its calls.
type collector struct {
	otlp, api string

	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
	calls    []http.Header
	raw      strings.Builder
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{resource: map[string]string{}}
	c.otlp, c.api = serve(t, c.receive), serve(t, c.answer)
	return c
}

func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return "http://" + listener.Addr().String()
}

func (c *collector) receive(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	encoded, err := io.ReadAll(body)
	var request coltracepb.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(encoded, &request) != nil {
		http.Error(w, "not an OTLP request", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(encoded)
	for _, resource := range request.ResourceSpans {
		for _, attribute := range resource.Resource.Attributes {
			c.resource[attribute.Key] = attribute.Value.GetStringValue()
		}
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// answer refuses the session that ends with "bad".
func (c *collector) answer(w http.ResponseWriter, r *http.Request) {
	var body struct{ SessionID string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	if body.SessionID != "" { // a worker's own call at its start has none
		c.mu.Lock()
		c.calls = append(c.calls, r.Header.Clone())
		c.mu.Unlock()
	}
	if strings.HasSuffix(body.SessionID, "bad") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"action":"CALLER_ERROR","resultCode":"A503201","resultMessage":"[A503201] `+body.SessionID+`"}`)
		return
	}
	_, _ = io.WriteString(w, `{"action":"OK","count":2,"resultCode":"A503001","resultMessage":""}`)
}

// span returns the only span of this name and trace.
func (c *collector) span(t *testing.T, name, trace string) *tracepb.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *tracepb.Span
	for _, span := range c.spans {
		if span.Name == name && hex.EncodeToString(span.TraceId) == trace {
			if found != nil {
				t.Errorf("two spans %q", name)
			}
			found = span
		}
	}
	if found == nil {
		t.Fatalf("no span %q of trace %s", name, trace)
	}
	return found
}

// has tells whether there is a span of this name and trace.
func (c *collector) has(name, trace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.spans, func(span *tracepb.Span) bool {
		return span.Name == name && hex.EncodeToString(span.TraceId) == trace
	})
}

func attributes(span *tracepb.Span) map[string]any {
	found := map[string]any{}
	for _, attribute := range span.Attributes {
		if s := attribute.Value.GetStringValue(); s != "" {
			found[attribute.Key] = s
		} else {
			found[attribute.Key] = attribute.Value.GetIntValue()
		}
	}
	return found
}

const (
	traceOfGood = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceOfBad  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	traceOfLast = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	publisher   = "00f067aa0ba902b7" // the span that published
)

func TestTraces(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	w := s.StartWorker("AUTHLETE_BASE_URL="+c.api, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.otlp, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test")
	publish := func(trace, session string) {
		t.Helper()
		msg := &nats.Msg{Subject: "session.ended", Data: []byte(`{"sessionId":"` + session + `"}`), Header: nats.Header{
			"Traceparent": {"00-" + trace + "-" + publisher + "-01"}, "tracestate": {"vendor=1"}, "baggage": {"user=SECRET-user"},
		}}
		if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
			t.Fatal(err)
		}
	}
	publish(traceOfGood, "SECRET-good")
	publish(traceOfBad, "SECRET-bad")
	// At its end a worker waits only 2 s for the collector, which a pause of this process makes too short. So all but one are looked for
	// while it works.
	testproc.WaitFor(t, "the spans of both events", func() bool {
		return c.has("process session.ended", traceOfGood) && c.has("POST", traceOfGood) && c.has("process session.ended", traceOfBad) &&
			c.has("POST", traceOfBad) && c.has("send dlq.session.ended", traceOfBad)
	})
	publish(traceOfLast, "SECRET-last")
	s.WaitDone()
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if !c.has("process session.ended", traceOfLast) && !strings.Contains(w.Stderr.String(), "traces are not exported") {
		t.Error("the last span is lost, and nothing says so")
	}
	for trace, want := range map[string]struct {
		outcome string
		status  int64
		failed  bool
	}{traceOfGood: {"revoked", 200, false}, traceOfBad: {"caller_error", 400, true}} {
		process, call := c.span(t, "process session.ended", trace), c.span(t, "POST", trace)
		if hex.EncodeToString(process.ParentSpanId) != publisher || process.Kind != tracepb.Span_SPAN_KIND_CONSUMER || process.TraceState != "vendor=1" {
			t.Errorf("%v is not the publisher's child", process)
		}
		if hex.EncodeToString(call.ParentSpanId) != hex.EncodeToString(process.SpanId) || call.Kind != tracepb.Span_SPAN_KIND_CLIENT {
			t.Errorf("%v is not the processing's child", call)
		}
		facts := attributes(process)
		if facts["messaging.system"] != "nats" || facts["messaging.operation.type"] != "process" || facts["messaging.destination.name"] != "session.ended" ||
			facts["revoker.outcome"] != want.outcome || len(facts["revoker.session"].(string)) != 12 {
			t.Errorf("processing: %v", facts)
		}
		facts = attributes(call)
		if facts["http.request.method"] != "POST" || facts["server.address"] != "127.0.0.1" || facts["http.response.status_code"] != want.status {
			t.Errorf("call: %v", facts)
		}
		for _, span := range []*tracepb.Span{process, call} {
			if failed := span.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR; failed != want.failed {
				t.Errorf("%s: status %v", span.Name, span.Status)
			}
		}
		c.carried(t, trace, hex.EncodeToString(call.SpanId))
	}
	send := c.span(t, "send dlq.session.ended", traceOfBad)
	if hex.EncodeToString(send.ParentSpanId) != hex.EncodeToString(c.span(t, "process session.ended", traceOfBad).SpanId) || send.Kind != tracepb.Span_SPAN_KIND_PRODUCER {
		t.Errorf("%v is not the processing's child", send)
	}
	letterCarries(s, t, hex.EncodeToString(send.SpanId))
	if c.resource["service.name"] != "revoker" || c.resource["service.version"] == "" || c.resource["deployment.environment"] != "test" {
		t.Errorf("resource %v", c.resource)
	}
	if raw := c.raw.String(); strings.Contains(raw, "SECRET") {
		t.Errorf("a secret is exported: %q", raw)
	}
}

// carried checks the headers of the call in the trace.
func (c *collector) carried(t *testing.T, trace, span string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	found := 0
	for _, header := range c.calls {
		if header.Get("Baggage") != "" || strings.Contains(header.Get("Traceparent")+header.Get("Tracestate"), "SECRET") {
			t.Error("baggage is sent to the API")
		}
		if header.Get("Traceparent") == "00-"+trace+"-"+span+"-01" && header.Get("Tracestate") == "vendor=1" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d calls carry the trace %s on, want 1: %v", found, trace, c.calls)
	}
}

// letterCarries checks that the only dead letter continues the trace, once, and has the rest of the event's headers.
func letterCarries(s *testsite.Site, t *testing.T, span string) {
	t.Helper()
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	letter, err := stream.GetMsg(s.Deadline(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := letter.Header["traceparent"]; len(got) != 1 || got[0] != "00-"+traceOfBad+"-"+span+"-01" || letter.Header["Traceparent"] != nil {
		t.Errorf("the letter's headers: %v", letter.Header)
	}
	if letter.Header.Get("tracestate") != "vendor=1" || letter.Header.Get("baggage") == "" || letter.Header.Get("Revoker-Headers-Omitted") != "" {
		t.Errorf("the letter's headers: %v", letter.Header)
	}
}

// Off, an event's trace is not touched: no header goes to the API, and the letter has the event's own.
func TestWithoutTracesNothingIsCarried(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.StartWorker("AUTHLETE_BASE_URL="+c.api, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.otlp, "OTEL_SDK_DISABLED=true")
	msg := &nats.Msg{Subject: "session.ended", Data: []byte(`{"sessionId":"bad"}`), Header: nats.Header{"traceparent": {"00-" + traceOfBad + "-" + publisher + "-01"}, "tracestate": {"vendor=1"}, "baggage": {"a=b"}}}
	if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()
	letterCarries(s, t, publisher)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) != 1 || c.calls[0].Get("Traceparent") != "" || len(c.spans) != 0 {
		t.Errorf("%v, %d spans", c.calls, len(c.spans))
	}
}

// A collector that is away costs no event and is said once; a wrong header says nothing of its value.
func TestACollectorThatIsAwayIsNoHindrance(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	w := s.StartWorker("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=authorization=SECRET%zz")
	s.Publish(0, 100)
	s.WaitDone()
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 || len(s.Sessions()) != 100 {
		t.Errorf("exit code %d, %d sessions", code, len(s.Sessions()))
	}
	log := w.Stderr.String()
	if strings.Contains(log, "SECRET") || strings.Count(log, "traces are not exported") != 1 || !strings.Contains(log, "OpenTelemetry: escape header value") {
		t.Errorf("the log:\n%s", w.Stderr.Tail())
	}
}
