package receive

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"revoker/config"
	"revoker/events/receive/issuer"
	"revoker/events/receive/logouttoken"
)

// metrics count what became of signals, by source: of POST /events, of each issuer by its name, and of those whose issuer is not
// known. So no label has anything of a request.
type metrics struct {
	signals    *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	duration   prometheus.Histogram
	overloaded prometheus.Counter
	fetches    *prometheus.CounterVec
	registry   prometheus.Registerer
}

const (
	sourceUnknown = "unknown"

	resultAccepted    = "accepted"
	resultRefused     = "refused"
	resultUnavailable = "unavailable"
	// resultUndecided is apart, because anyone can make key IDs up: that must wake nobody.
	resultUndecided = "undecided"
)

var durationBuckets = []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10}

// newMetrics registers them, each series with its 0, so that a first increase is seen as one.
func newMetrics(registry prometheus.Registerer, s *Server) *metrics {
	m := &metrics{
		registry: registry,
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revoker_receive_signals_total", Help: "Signals, by source and by result: accepted, refused, and two for which the sender must try again: unavailable, and undecided, whose key ID was not known.",
		}, []string{"source", "result"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revoker_receive_refusals_total", Help: "Signals that were refused, by source and reason.",
		}, []string{"source", "reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "revoker_receive_duration_seconds", Help: "Time from a request's header to its answer, JetStream's confirmation included.",
			Buckets:                     durationBuckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}),
		overloaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "revoker_receive_overloaded_total", Help: "Requests that were answered 503 because too many were in work.",
		}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revoker_receive_key_fetches_total", Help: "Attempts to fetch an issuer's keys, by the issuer's name and by result: ok or failed.",
		}, []string{"issuer", "result"}),
	}
	inWork := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "revoker_receive_requests_in_work", Help: "Requests in work.",
	}, func() float64 { return float64(len(s.eventSlots) + len(s.logoutSlots)) })
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "revoker_receive_nats_connected", Help: "1 while connected to NATS.",
	}, func() float64 {
		if s.conn.Connected() {
			return 1
		}
		return 0
	})
	registry.MustRegister(m.signals, m.refusals, m.duration, m.overloaded, m.fetches, inWork, connected)
	m.begin(sourceUnknown, reasonBody, logouttoken.ReasonMalformed, logouttoken.ReasonIssuer)
	if s.bearer != nil {
		m.begin(config.ReceiveSource, reasonBearer, reasonBody, reasonEvent)
	}
	return m
}

// begin gives a source's series their 0.
func (m *metrics) begin(source string, reasons ...logouttoken.Reason) {
	for _, result := range []string{resultAccepted, resultRefused, resultUnavailable, resultUndecided} {
		m.signals.WithLabelValues(source, result)
	}
	for _, reason := range reasons {
		m.refusals.WithLabelValues(source, string(reason))
	}
}

// watch registers what is to be seen of an issuer, and returns what counts its fetches.
func (m *metrics) watch(i *issuer.Issuer) func(error) {
	m.begin(i.Name, logouttoken.Reasons...)
	ok, failed := m.fetches.WithLabelValues(i.Name, "ok"), m.fetches.WithLabelValues(i.Name, "failed")
	began := time.Now()
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "revoker_receive_keys_age_seconds", Help: "Time since the issuer's keys were fetched, or since the start if they never were.",
		ConstLabels: prometheus.Labels{"issuer": i.Name},
	}, func() float64 {
		if age, known := i.Age(); known {
			return age.Seconds()
		}
		return time.Since(began).Seconds()
	}))
	return func(err error) {
		if err != nil {
			failed.Inc()
			return
		}
		ok.Inc()
	}
}

func (m *metrics) accept(source string, n int) {
	m.signals.WithLabelValues(source, resultAccepted).Add(float64(n))
}

func (m *metrics) unstored(source string, n int) {
	m.signals.WithLabelValues(source, resultUnavailable).Add(float64(n))
}

func (m *metrics) undecided(source string) {
	m.signals.WithLabelValues(source, resultUndecided).Inc()
}

func (m *metrics) refuse(source string, reason logouttoken.Reason) {
	m.signals.WithLabelValues(source, resultRefused).Inc()
	m.refusals.WithLabelValues(source, string(reason)).Inc()
}
