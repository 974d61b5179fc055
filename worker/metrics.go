package worker

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"revoker/config"
	"revoker/events"
	"revoker/worker/authlete"
)

// Metrics count what a worker did. What is there at the moment, calls in flight and the backlog for example, is read by
// worker/ops when somebody asks for it.
type Metrics struct {
	outcomes     map[Outcome]prometheus.Counter
	calls        map[callLabels]prometheus.Counter
	duration     prometheus.Histogram
	delay        map[bool]prometheus.Observer // by whether it is the bulk lane's
	toRevoked    map[bool]prometheus.Observer // the same
	objective    config.Objective
	met, missed  prometheus.Counter
	tokens       prometheus.Counter
	sources      *sourceCounters
	retries      prometheus.Counter
	letters      map[string]prometheus.Counter
	letterFaults prometheus.Counter

	receipts      map[Receipt]prometheus.Counter
	receiptFaults prometheus.Counter
}

// callLabels are what calls are told apart by. Both are of a fixed set, whatever the network says.
type callLabels struct{ action, status string }

const (
	labelNone  = "none"  // the answer has no action; there was no answer
	labelOther = "other" // one that is not known
)

var (
	// statusClasses are by the first digit of the status; 0 stands for no answer.
	statusClasses = [...]string{labelNone, labelOther, "2xx", "3xx", "4xx", "5xx"}
	callActions   = []string{string(authlete.ActionOK), string(authlete.ActionServerError), string(authlete.ActionCallerError), labelNone, labelOther}
	letterReasons = []string{events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted}

	durationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	delayBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}
)

// NewMetrics registers them, each series with its 0, so that a first increase is seen as one.
func NewMetrics(registry prometheus.Registerer, objective config.Objective) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	m := &Metrics{
		duration:      newHistogram(registry, "revoker_call_duration_seconds", "Duration of the calls of the logout API.", durationBuckets),
		delay:         map[bool]prometheus.Observer{},
		toRevoked:     map[bool]prometheus.Observer{},
		objective:     objective,
		sources:       newSourceCounters(registry),
		tokens:        counter("revoker_tokens_deleted_total", "Access and refresh token records that the API deleted."),
		retries:       counter("revoker_retries_total", "Calls for events that had been delivered before."),
		letterFaults:  counter("revoker_dead_letter_failures_total", "Tries to publish a dead letter that failed. The worker keeps the event and tries again, without another call."),
		receiptFaults: counter("revoker_receipt_failures_total", "Tries to publish a receipt that failed. The worker keeps the event and tries again, without another call."),
		receipts:      map[Receipt]prometheus.Counter{},
		outcomes:      map[Outcome]prometheus.Counter{},
		calls:         map[callLabels]prometheus.Counter{},
		letters:       map[string]prometheus.Counter{},
	}
	m.registerVectors(registry)
	return m
}

func (m *Metrics) registerVectors(registry prometheus.Registerer) {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "revoker_events_total", Help: "Deliveries of events that were settled, by outcome.",
	}, []string{"outcome"})
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "revoker_calls_total", Help: "Calls of the logout API for delivered events, by the answer's action and the class of its status.",
	}, []string{"action", "status"})
	letters := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "revoker_dead_letters_total", Help: "Dead letters published, by reason.",
	}, []string{"reason"})
	receipts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "revoker_receipts_total", Help: "Receipts of revocations, by result: stored, or kept where a call that deleted nothing leaves an earlier one.",
	}, []string{"result"})
	delays := prometheus.NewHistogramVec(histogramOpts("revoker_publish_to_revoked_seconds", "Time from an event's publication to its session's revocation.", delayBuckets),
		[]string{"lane"})
	toRevoked := prometheus.NewHistogramVec(histogramOpts("revoker_ended_to_revoked_seconds",
		"Time from a session's end, or from the event's publication where the event tells no plausible one, to the API's answer.", delayBuckets), []string{"lane"})
	kept := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "revoker_objective_events_total", Help: "Events of the live lane that met REVOKER_OBJECTIVE, and that missed it: revoked late, or dead-lettered.",
	}, []string{"result"})
	m.met, m.missed = kept.WithLabelValues("met"), kept.WithLabelValues("missed")
	registry.MustRegister(outcomes, calls, letters, receipts, delays, toRevoked, kept)
	for _, lane := range laneNames {
		bulk := lane == config.Bulk
		m.delay[bulk], m.toRevoked[bulk] = delays.WithLabelValues(string(lane)), toRevoked.WithLabelValues(string(lane))
	}
	for _, outcome := range Outcomes {
		m.outcomes[outcome] = outcomes.WithLabelValues(string(outcome))
	}
	for _, action := range callActions {
		for _, status := range statusClasses[1:] {
			m.calls[callLabels{action, status}] = calls.WithLabelValues(action, status)
		}
	}
	m.calls[callLabels{labelNone, labelNone}] = calls.WithLabelValues(labelNone, labelNone)
	for _, receipt := range []Receipt{ReceiptStored, ReceiptKept} {
		m.receipts[receipt] = receipts.WithLabelValues(string(receipt))
	}
	for _, reason := range letterReasons {
		m.letters[reason] = letters.WithLabelValues(reason)
	}
}

func newHistogram(registry prometheus.Registerer, name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(histogramOpts(name, help, buckets))
	registry.MustRegister(h)
	return h
}

// histogramOpts ask for classic buckets, and native ones for a Prometheus that asks for them.
func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}
}

// Observe counts a settlement. It allocates nothing, except for an exemplar where the settlement's trace is sampled.
func (m *Metrics) Observe(s Settlement) {
	m.outcomes[s.Outcome].Inc()
	if s.Took > 0 {
		m.calls[labelsOf(s.Action, s.Status)].Inc()
		m.duration.Observe(s.Took.Seconds())
		if s.Deliveries > 1 {
			m.retries.Inc()
		}
	}
	if s.Outcome == Revoked {
		bulk := s.Lane == config.Bulk
		observeTraced(m.delay[bulk], max(s.Age, 0).Seconds(), s.Trace) // the server's clock may be ahead
		observeTraced(m.toRevoked[bulk], s.ToRevoked.Seconds(), s.Trace)
		m.tokens.Add(float64(max(s.Deleted, 0)))
		m.sources.observe(s.Source, s.Deleted)
	}
	if reason := s.Outcome.Reason(); reason != "" {
		m.letters[reason].Inc()
	}
	if s.Receipt != "" {
		m.receipts[s.Receipt].Inc()
	}
	if s.ReceiptFailed {
		m.receiptFaults.Inc()
	}
	if s.LetterFailed {
		m.letterFaults.Inc()
	}
	if counts, met := s.Against(m.objective); counts && met {
		m.met.Inc()
	} else if counts {
		m.missed.Inc()
	}
}

// observeTraced leaves an exemplar with the trace's ID, by which a dashboard finds the trace of a slow revocation.
func observeTraced(h prometheus.Observer, seconds float64, id trace.TraceID) {
	if !id.IsValid() {
		h.Observe(seconds)
		return
	}
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": id.String()})
}

func labelsOf(action authlete.Action, status int) callLabels {
	l := callLabels{labelOther, labelOther}
	switch action {
	case "":
		l.action = labelNone
	case authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError:
		l.action = string(action)
	}
	switch class := status / 100; {
	case status == 0:
		return callLabels{labelNone, labelNone}
	case class >= 2 && class < len(statusClasses):
		l.status = statusClasses[class]
	}
	return l
}

// sourceCounters count revocations by where their events came from, with bounded labels.
type sourceCounters struct {
	revoked, empty *prometheus.CounterVec
	mu             sync.Mutex
	seen           map[string][2]prometheus.Counter
}

func newSourceCounters(registry prometheus.Registerer) *sourceCounters {
	c := &sourceCounters{
		revoked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revoker_revocations_total", Help: "Sessions that were revoked, by the source that their events name.",
		}, []string{"source"}),
		empty: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revoker_empty_revocations_total", Help: "Revocations that deleted no token: the session had none, was revoked before, or its ID is not Authlete's.",
		}, []string{"source"}),
		seen: map[string][2]prometheus.Counter{},
	}
	registry.MustRegister(c.revoked, c.empty)
	c.countersOf("")
	return c
}

func (c *sourceCounters) observe(source string, deleted int) {
	counters := c.countersOf(source)
	counters[0].Inc()
	if deleted == 0 {
		counters[1].Inc()
	}
}

func (c *sourceCounters) countersOf(source string) [2]prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	source = labelOf(c.seen, source)
	counters, known := c.seen[source]
	if !known {
		counters = [2]prometheus.Counter{c.revoked.WithLabelValues(source), c.empty.WithLabelValues(source)}
		c.seen[source] = counters
	}
	return counters
}
