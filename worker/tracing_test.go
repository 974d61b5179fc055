package worker_test

import (
	"context"
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
	b.cfg.Subject = "session.ended.>"
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
