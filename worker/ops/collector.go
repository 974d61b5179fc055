package ops

import (
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"revoker/events/peer"
	"revoker/worker/admission"
)

// collector reports the present state. It waits for nothing.
type collector struct {
	version string
	facts   func() facts
}

func newCollector(version string, facts func() facts) *collector { return &collector{version, facts} }

var (
	breakerStates = []admission.State{admission.Closed, admission.Open, admission.HalfOpen}

	buildInfo     = describe("revoker_build_info", "1, with the version of revoker and of Go.", "version", "goversion")
	connected     = describe("revoker_nats_connected", "Whether this worker is connected to NATS.")
	slots         = describe("revoker_concurrency_limit", "Largest number of calls that this worker makes at a time.")
	limit         = describe("revoker_call_limit", "Calls that this worker lets be in flight at present, at most revoker_concurrency_limit.")
	limitCause    = describe("revoker_call_limit_cause", "1 for why revoker_call_limit is not higher, 0 for the other causes.", "cause")
	learnedRate   = describe("revoker_learned_rate", "Calls per second that the API was found to allow this worker; 0 while no limit was met.")
	inFlight      = describe("revoker_calls_in_flight", "Calls being made.")
	inHand        = describe("revoker_events_in_hand", "Events that this worker holds.")
	breaker       = describe("revoker_breaker_state", "1 for the circuit breaker's state, 0 for the others.", "state")
	misconfigured = describe("revoker_misconfigured", "Whether the API refuses every call because of the configuration.")

	objectiveRatio = describe("revoker_objective_ratio", "Share of the live lane's events that must be revoked in time (REVOKER_OBJECTIVE).")
	objectiveTime  = describe("revoker_objective_seconds", "Time in which they must be revoked (REVOKER_OBJECTIVE).")

	opinions    = describe("revoker_opinions_total", "Second opinions that the circuit breaker asked for: calls for the newest event.", "verdict")
	bypassed    = describe("revoker_bypassed_revocations_total", "Sessions that were revoked while their events waited behind a full consumer.")
	serviceHeld = describe("revoker_service_held", "Whether the events that name this service are held back, because the API refuses it or asks for time.", "service")

	// These describe the queue, so all workers report the same values. They are absent while the queue can't be read.
	backlog       = describe("revoker_backlog_events", "Events that were never delivered, to any worker.", "lane")
	ackPending    = describe("revoker_ack_pending_events", "Events in work or waiting for their retry, over all workers.", "lane")
	maxAckPending = describe("revoker_ack_pending_limit", "Events in work or waiting at which nothing new is delivered.", "lane")
	oldest        = describe("revoker_oldest_event_age_seconds", "Age of the oldest event that is not settled, 0 if all are.", "lane")
	maxAge        = describe("revoker_stream_max_age_seconds", "Age at which the stream drops events, 0 for never.")
	paused        = describe("revoker_consumer_paused", "Whether the consumer is paused, for all workers.", "lane")
	letterDepth   = describe("revoker_dead_letter_stream_events", "Dead letters in their stream.")
	oldestLetter  = describe("revoker_oldest_dead_letter_age_seconds", "Age of the oldest dead letter in its stream, 0 if there is none.")

	descriptions = []*prometheus.Desc{
		buildInfo, connected, slots, limit, limitCause, learnedRate, inFlight, inHand, breaker, misconfigured, objectiveRatio, objectiveTime, opinions, bypassed, serviceHeld,
		backlog, ackPending, maxAckPending, oldest, maxAge, paused, letterDepth, oldestLetter,
	}
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	f := c.facts()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(buildInfo, 1, c.version, runtime.Version())
	gauge(connected, oneIf(f.connected))
	gauge(slots, float64(f.slots))
	gauge(limit, float64(f.state.Limit))
	for _, cause := range admission.Causes {
		gauge(limitCause, oneIf(f.state.LimitedBy == string(cause)), string(cause))
	}
	gauge(learnedRate, f.state.Rate)
	gauge(inFlight, float64(f.state.InFlight))
	gauge(inHand, float64(f.state.InHand))
	gauge(misconfigured, oneIf(f.misconfig || f.token.refused != ""))
	gauge(objectiveRatio, f.objective.Ratio())
	gauge(objectiveTime, f.objective.Within.Seconds())
	count := func(d *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	count(opinions, f.counts.OpinionsWorking, "working")
	count(opinions, f.counts.OpinionsFailing, "failing")
	count(opinions, f.counts.OpinionsNone, "none")
	count(bypassed, f.counts.Bypassed)
	for _, service := range f.services {
		held := slices.ContainsFunc(f.state.Held, func(h peer.HeldService) bool { return h.Service == service })
		gauge(serviceHeld, oneIf(held), service)
	}
	for _, state := range breakerStates {
		gauge(breaker, oneIf(f.state.Breaker == string(state) || !f.setUp && state == admission.Closed), string(state))
	}
	if !f.queue.known(f.now) {
		return
	}
	s := f.queue.status
	gauge(maxAge, float64(s.MaxAge))
	for _, l := range s.Lanes {
		lane := string(l.Lane)
		gauge(backlog, float64(l.Backlog), lane)
		gauge(ackPending, float64(l.Unsettled), lane)
		gauge(maxAckPending, float64(max(l.MaxAckPending, 0)), lane)
		gauge(paused, oneIf(l.Paused), lane)
		if l.Oldest != nil || l.Left() == 0 {
			gauge(oldest, oldestAge(l.Oldest, f.now).Seconds(), lane)
		}
	}
	if s.DeadLetters != nil {
		gauge(letterDepth, float64(s.DeadLetters.Total))
		age := 0.0
		if oldest := s.DeadLetters.Oldest; oldest != nil {
			age = max(f.now.Sub(*oldest).Seconds(), 0)
		}
		gauge(oldestLetter, age)
	}
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// NewRegistry returns a registry that has the metrics of the Go runtime and of the process.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
