package bench

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// BenchmarkPublish holds `revoker publish` of a file, from its start to its end, against a bare loop of nats.go's PublishAsync
// with events of the same size and message IDs on the same server: ratio is the bare loop's time by publish's. Each round
// does both, in turn. peak is the process's largest resident set, which must not grow with the file.
func BenchmarkPublish(b *testing.B) {
	const rounds, n, many = 3, 300_000, 1_000_000
	testproc.Binary(b, "revoker")
	for b.Loop() {
		s := testsite.NewStream(b)
		var bare, ours time.Duration
		for round := range rounds {
			bare += publishBare(s, b, fmt.Sprintf("bare-%d", round), n)
			took, _ := publishFile(s, b, fmt.Sprintf("ours-%d", round), n)
			ours += took
		}
		_, small := publishFile(s, b, "small", n/3)
		_, large := publishFile(s, b, "large", many)
		b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
		b.ReportMetric(rounds*n/ours.Seconds(), "events/s")
		b.ReportMetric(rounds*n/bare.Seconds(), "bare/s")
		b.ReportMetric(small, "peak-MiB-100k")
		b.ReportMetric(large, "peak-MiB-1M")
	}
}

func benchSession(run string, i int) string { return fmt.Sprintf("session-%s-%020d", run, i) }

// publishBare is what nats.go does by itself. The events' texts and IDs are made before the clock starts.
func publishBare(s *testsite.Site, b *testing.B, run string, n int) time.Duration {
	b.Helper()
	payloads, ids := make([][]byte, n), make([]string, n)
	for i := range n {
		event := events.Event{SessionID: events.SessionID(benchSession(run, i)), EndedAt: time.Now()}
		payloads[i], ids[i] = event.Encode(), event.MessageID(config.Bulk)
	}
	nc, err := nats.Connect(s.NATSURL)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range n {
		if _, err := js.PublishAsync("session.ended", payloads[i], jetstream.WithMsgID(ids[i]), jetstream.WithStallWait(testproc.Timeout)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	return time.Since(began)
}

func publishFile(s *testsite.Site, b *testing.B, run string, n int) (took time.Duration, peakMiB float64) {
	b.Helper()
	name := b.TempDir() + "/sessions"
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		fmt.Fprintln(file, benchSession(run, i))
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	p := s.StartPublish(name)
	peakMiB = p.PeakToItsEnd()
	took = time.Since(began)
	if code := p.Wait(); code != 0 {
		b.Fatalf("exit code %d: %s", code, p.Stderr.String())
	}
	return took, peakMiB
}
