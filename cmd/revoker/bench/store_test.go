package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// BenchmarkStore is what a receipt takes of the NATS server's CPU, with so many published at a time, and in atomic batches
// (https://github.com/nats-io/nats-architecture-and-design, ADR-50), which have one confirmation for all.
func BenchmarkStore(b *testing.B) {
	const n, batch = 100_000, 64
	for _, window := range []int{8, 64, 4096} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			stored(b, n, func(js jetstream.JetStream) error {
				js, err := jetstream.New(js.Conn(), jetstream.WithPublishAsyncMaxPending(window))
				if err != nil {
					return err
				}
				for i := range n {
					if _, err := js.PublishMsgAsync(likeReceipt(i), jetstream.WithStallWait(testproc.Timeout)); err != nil {
						return err
					}
				}
				<-js.PublishAsyncComplete()
				return nil
			})
		})
	}
	b.Run(fmt.Sprintf("atomic=%d", batch), func(b *testing.B) {
		stored(b, n, func(js jetstream.JetStream) error {
			for i := range n {
				msg := likeReceipt(i)
				place := i%batch + 1
				msg.Header["Nats-Batch-Id"], msg.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i / batch)}, []string{strconv.Itoa(place)}
				if place < batch && i < n-1 {
					if err := js.Conn().PublishMsg(msg); err != nil {
						return err
					}
					continue
				}
				msg.Header["Nats-Batch-Commit"] = []string{"1"}
				if _, err := js.Conn().RequestMsg(msg, testproc.Timeout); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func likeReceipt(i int) *nats.Msg {
	return &nats.Msg{
		Subject: fmt.Sprintf("session.revoked.%032x", i), Data: []byte(strings.Repeat("x", 450)), Header: nats.Header{"Content-Type": {"application/cloudevents+json"}},
	}
}

// stored measures a server whose stream gets n messages.
func stored(b *testing.B, n int, publish func(jetstream.JetStream) error) {
	for b.Loop() {
		s := testsite.New(b, testsite.Simulator{})
		server := s.StartNATS()
		stream, err := s.JS.CreateStream(s.Deadline(), jetstream.StreamConfig{Name: "SESSIONS_REVOKED", Subjects: []string{"session.revoked.*"}, MaxMsgsPerSubject: 1, AllowAtomicPublish: true})
		if err != nil {
			b.Fatal(err)
		}
		before := cpuSoFar(b, server)
		if err := publish(s.JS); err != nil {
			b.Fatal(err)
		}
		after := cpuSoFar(b, server)
		if info, err := stream.Info(s.Deadline()); err != nil || info.State.Msgs != uint64(n) {
			b.Fatalf("%v, %+v", err, info)
		}
		noTime(b)
		b.ReportMetric((after-before)/float64(n), "cpu-µs/message")
	}
}
