package worker_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"revoker/worker/authlete/sim"
)

// Where the subject has wildcards, publishers may put the session ID into it.
func TestASessionInTheSubjectIsMaskedInSpans(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Tokens: 1})
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	b.traces = provider
	b.cfg.Subject, b.cfg.BulkSubject = "session.ended.>", ""
	stop := b.start()
	for _, payload := range []string{`{"sessionId":"SECRET-one"}`, `no event`} {
		if _, err := b.js.PublishMsg(b.deadline(), &nats.Msg{Subject: "session.ended.SECRET-one", Data: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	b.waitDone()
	stop()
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	subjects := 0
	for _, span := range recorder.Ended() {
		for _, fact := range append(span.Attributes(), attribute.String("name", span.Name()), attribute.String("status", span.Status().Description)) {
			if strings.Contains(fact.Value.String(), "SECRET") {
				t.Errorf("%s: %v", span.Name(), fact)
			}
			if fact.Key == "messaging.destination.name" && strings.HasPrefix(fact.Value.AsString(), "session.ended.session:") {
				subjects++
			}
		}
	}
	if len(recorder.Ended()) != 4 || subjects != 1 { // two events, a call, a dead letter
		t.Errorf("%d spans, %d subjects", len(recorder.Ended()), subjects)
	}
}

// net/http quotes a broken answer in its error, and the answer may quote the session ID.
func TestABrokenAnswerThatQuotesTheSessionIsMaskedInSpans(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte("HTTP/1.1 SECRET-session broken\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	b := newBench(t, sim.Options{})
	b.cfg.API.BaseURL = "http://" + listener.Addr().String()
	recorder := tracetest.NewSpanRecorder()
	b.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	stop := b.start()
	b.publishSession("SECRET-session")
	b.waitFor("a failed attempt", func() bool { return len(b.outcomes("SECRET-session")) > 0 })
	stop()
	quoted := 0
	for _, span := range recorder.Ended() {
		if status := span.Status().Description; strings.Contains(status, "SECRET") {
			t.Errorf("%s: %s", span.Name(), status)
		} else if strings.Contains(status, "session:") {
			quoted++
		}
	}
	if quoted == 0 {
		t.Error("no span quotes the answer: the test shows nothing")
	}
}
