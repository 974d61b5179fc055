package worker

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"revoker/config"
	"revoker/events"
	"revoker/worker/admission"
	"revoker/worker/authlete"
)

// tracing follows events by the trace context in their headers: https://www.w3.org/TR/trace-context/. The spans are named
// by the semantic conventions for messaging and HTTP. A nil one does nothing, and costs nothing.
type tracing struct {
	tracer trace.Tracer
	cfg    config.Config
	lanes  [2]tracedLane
	send   []attribute.KeyValue // of each span of a dead letter
}

// tracedLane is what the spans of a lane's events have in common.
type tracedLane struct {
	subject    string // may have wildcards
	attributes []attribute.KeyValue
}

// literal reports whether all events have the one subject.
func (l tracedLane) literal() bool { return !config.HasWildcard(l.subject) }

// Trace makes the worker trace events. It comes before Run.
func (w *Worker) Trace(provider trace.TracerProvider) {
	system := semconv.MessagingSystemKey.String("nats")
	t := &tracing{tracer: provider.Tracer("revoker/worker"), cfg: w.cfg}
	for lane, name := range laneNames {
		cfg := w.cfg.In(name)
		l := tracedLane{cfg.Subject, []attribute.KeyValue{
			system, semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingConsumerGroupName(cfg.Consumer),
		}}
		if l.literal() {
			l.attributes = append(l.attributes, semconv.MessagingDestinationName(l.subject))
		} else {
			l.attributes = append(l.attributes, semconv.MessagingDestinationTemplate(l.subject))
		}
		t.lanes[lane] = l
	}
	t.send = []attribute.KeyValue{
		system, semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(w.cfg.DeadLetterSubject),
	}
	w.tracing = t
}

// propagator carries the trace context on and nothing else: baggage may hold anything, and is not for the API.
var propagator propagation.TraceContext

// traced is one delivery's trace. A nil one, while tracing is off, does nothing.
type traced struct {
	*tracing
	lane tracedLane
	ctx  context.Context // that of the processing span
	span trace.Span
	call trace.Span // of the API call; nil before it
}

// begin starts the processing span, as a child of what the event's headers name.
func (t *tracing) begin(lane admission.Lane, d *events.Delivery) *traced {
	if t == nil {
		return nil
	}
	ctx := propagator.Extract(context.Background(), messageCarrier(d.Header()))
	l := t.lanes[lane]
	ctx, span := t.tracer.Start(ctx, "process "+l.subject, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(l.attributes...))
	span.SetAttributes(
		semconv.MessagingMessageBodySize(len(d.Payload())),
		attribute.String("revoker.stream", d.Stream),
		attribute.Int64("revoker.stream_sequence", int64(d.Sequence)),
		attribute.Int("revoker.deliveries", d.Deliveries),
	)
	return &traced{tracing: t, lane: l, ctx: ctx, span: span}
}

// calling makes the caller's next call a span, and its headers carry the trace on.
func (t *traced) calling(caller *authlete.Caller) {
	if t == nil {
		return
	}
	caller.Before = func(request *http.Request) {
		var ctx context.Context
		ctx, t.call = t.tracer.Start(t.ctx, request.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			semconv.HTTPRequestMethodPost,
			semconv.ServerAddress(request.URL.Hostname()),
			semconv.ServerPort(port(request)),
			semconv.URLFull(request.URL.Redacted()),
			semconv.URLTemplate("/api/{serviceId}/nativesso/logout"),
		))
		propagator.Inject(ctx, propagation.HeaderCarrier(request.Header))
	}
}

func port(request *http.Request) int {
	if port, err := strconv.Atoi(request.URL.Port()); err == nil {
		return port
	}
	if request.URL.Scheme == "http" {
		return 80
	}
	return 443
}

// called ends the call's span. failure says why there is no whole answer, empty if there is one. It has the session masked, for a
// broken answer that is quoted may hold it.
func (t *traced) called(response authlete.Response, failure string) {
	if t == nil || t.call == nil {
		return
	}
	if response.Status != 0 {
		t.call.SetAttributes(semconv.HTTPResponseStatusCode(response.Status))
	}
	switch {
	case response.Status >= 400:
		t.call.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(response.Status)))
		t.call.SetStatus(codes.Error, "")
	case failure != "":
		t.call.SetAttributes(semconv.ErrorTypeOther)
		t.call.SetStatus(codes.Error, failure)
	}
	t.call.End()
}

// letter starts the span of the dead letter's publication, and the letter carries the trace on.
func (t *traced) letter(l *events.Letter) (end func(error)) {
	if t == nil {
		return func(error) {}
	}
	ctx, span := t.tracer.Start(t.ctx, "send "+t.cfg.DeadLetterSubject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(t.send...))
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	l.TraceParent, l.TraceState = carrier["traceparent"], carrier["tracestate"]
	return func(err error) {
		if err != nil {
			span.SetAttributes(semconv.ErrorTypeOther)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// sampled returns the trace's ID, zero where the trace is not kept: an ID that opens nothing helps nobody.
func (t *traced) sampled() trace.TraceID {
	if t == nil || !t.span.SpanContext().IsSampled() {
		return trace.TraceID{}
	}
	return t.span.SpanContext().TraceID()
}

// end ends the processing span with the outcome.
func (t *traced) end(a *attempt) {
	if t == nil {
		return
	}
	t.span.SetAttributes(attribute.String("revoker.outcome", string(a.outcome)))
	if id := a.event.SessionID; id != "" {
		t.span.SetAttributes(attribute.String("revoker.session", id.Mask()))
		if !t.lane.literal() { // the ID may be in the subject, and where it is not known it may be too
			t.span.SetAttributes(semconv.MessagingDestinationName(events.MaskIn(a.delivery.Subject(), id)))
		}
	}
	switch a.outcome {
	case Revoked:
		t.span.SetAttributes(attribute.Int("revoker.tokens_deleted", a.response.Count))
	case Retry, RetriesExhausted, CallerError, Invalid, Misconfigured:
		t.span.SetAttributes(semconv.ErrorTypeKey.String(string(a.outcome)))
		t.span.SetStatus(codes.Error, a.detail)
	}
	t.span.End()
}

// messageCarrier reads a message's headers whatever their case, which NATS keeps.
type messageCarrier map[string][]string

// Get implements propagation.TextMapCarrier.
func (c messageCarrier) Get(key string) string {
	for name, values := range c {
		if len(values) > 0 && strings.EqualFold(name, key) {
			return values[0]
		}
	}
	return ""
}

// Set implements propagation.TextMapCarrier; messages are only read.
func (c messageCarrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c messageCarrier) Keys() []string { return slices.Collect(maps.Keys(c)) }
