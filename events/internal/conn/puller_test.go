package conn_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/events/internal/conn"
	"revoker/internal/testproc"
)

// A process that stands still until its pull's time is over has not read what came meanwhile. None of that is lost.
func TestAPullThatStoodStillReadsWhatCame(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Create(t)
	const n, timeout = 20, 4 * time.Second
	for range n {
		h.Publish(t, &nats.Msg{Data: []byte("x")})
	}
	info := h.Info(t)
	puller, err := conn.NewPuller(h.Conn, 2*n)
	if err != nil {
		t.Fatal(err)
	}
	defer puller.Close()
	subject := h.Conn.API("CONSUMER.MSG.NEXT." + info.Stream + "." + info.Name)
	got := 0
	accept := func(*nats.Msg) (bool, error) {
		if got++; got == 1 {
			began := time.Now()
			testproc.WaitFor(t, "all deliveries, and the end of the pull's time", func() bool {
				return h.Info(t).NumAckPending == n && time.Since(began) > timeout
			})
		}
		return got == n, nil
	}
	status, err := puller.Pull(t.Context(), subject, []byte(`{"batch":20,"expires":60000000000}`), timeout, accept)
	if err != nil || status != nil || got != n {
		t.Errorf("%d of %d deliveries, status %v, %v", got, n, status, err)
	}
}
