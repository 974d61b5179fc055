package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const withReceipts = "REVOKER_RECEIPTS=true"

// BenchmarkReceipts is what receipts cost a worker: CPU for an event, at no API latency, where the rate is that of a machine which
// server, API and worker fill together; and the rate with 64 calls of 20 ms. The targets are 1.45 times the CPU, and 0.85 of the
// rate. With and without take turns.
func BenchmarkReceipts(b *testing.B) {
	const concurrency, rounds = 64, 3
	for b.Loop() {
		var cpu, full, slow [2]float64 // without, with
		for range rounds {
			for i, more := range [][]string{nil, {withReceipts}} {
				l := backlog(b, testsite.Simulator{}, 50_000, built(concurrency, more...))
				cpu[i], full[i] = cpu[i]+l.cpu/rounds, full[i]+l.rate/rounds
				slow[i] += backlog(b, testsite.Simulator{Latency: apiLatency}, 20_000, built(concurrency, more...)).rate / rounds
			}
		}
		noTime(b)
		b.ReportMetric(cpu[0], "cpu-µs/event-without")
		b.ReportMetric(cpu[1], "cpu-µs/event")
		b.ReportMetric(cpu[1]/cpu[0], "times-cpu")
		b.ReportMetric(full[1], "events/s-full")
		b.ReportMetric(full[1]/full[0], "times-rate-full")
		b.ReportMetric(slow[1]/slow[0], "times-rate")
	}
}

// BenchmarkReceiptsLatency is the time from publishing to the end of the call at 500 events/s, with receipts and without. The target
// is a p99 that is at most 3 ms longer.
func BenchmarkReceiptsLatency(b *testing.B) {
	const rounds = 3
	for b.Loop() {
		var without, with []time.Duration
		for range rounds {
			without = append(without, steady(b, built(64))...)
			with = append(with, steady(b, built(64, withReceipts))...)
		}
		noTime(b)
		b.ReportMetric(ms(quantile(without, 0.99)), "ms-p99-without")
		b.ReportMetric(ms(quantile(with, 0.99)), "ms-p99")
		b.ReportMetric(ms(quantile(with, 0.99))-ms(quantile(without, 0.99)), "ms-p99-more")
	}
}

// BenchmarkReceiptsRoom is what a receipt takes of the NATS server: bytes on disk, by the stream's own count, and bytes of resident
// memory of a server that was restarted with a million of them, beyond those of one that has none.
func BenchmarkReceiptsRoom(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		s := testsite.New(b, testsite.Simulator{})
		server := s.StartNATS()
		w := s.StartWorker(append(plainly(64), withReceipts, fmt.Sprintf("REVOKER_RECEIPT_MAX_COUNT=%d", 2*n))...)
		s.Publish(0, 1)
		s.WaitDone()
		finish(w, 1)
		stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_REVOKED")
		if err != nil {
			b.Fatal(err)
		}
		receipt, err := stream.GetMsg(s.Deadline(), 1)
		if err != nil {
			b.Fatal(err)
		}
		server = restart(s, server)
		before := server.Resident()
		for i := range n {
			msg := &nats.Msg{Subject: fmt.Sprintf("session.revoked.%032x", sha256.Sum256(fmt.Append(nil, i)))[:48], Header: receipt.Header, Data: receipt.Data}
			if _, err := s.JS.PublishMsgAsync(msg, jetstream.WithStallWait(testproc.Timeout)); err != nil {
				b.Fatal(err)
			}
		}
		<-s.JS.PublishAsyncComplete()
		info, err := stream.Info(s.Deadline())
		if err != nil || info.State.Msgs != n+1 {
			b.Fatalf("%v, %+v", err, info)
		}
		after := restart(s, server).Resident()
		noTime(b)
		b.ReportMetric(float64(info.State.Bytes)/n, "B-disk/receipt")
		b.ReportMetric((after-before)*(1<<20)/n, "B-memory/receipt")
	}
}

// restart restarts a NATS server, and waits until it has the streams.
func restart(s *testsite.Site, server *testproc.Process) *testproc.Process {
	s.T.Helper()
	server.Signal(syscall.SIGTERM)
	server.Wait()
	again := testproc.Start(s.T, nil, server.Cmd.Path, server.Cmd.Args[1:]...)
	testproc.WaitFor(s.T, "the streams", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := s.JS.Stream(ctx, "SESSIONS_REVOKED")
		return err == nil
	})
	return again
}
