package conn_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/events/internal/conn"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// incarnation finds the durable consumer, and has one of its deliveries in hand. It does not hear of deletions.
func (h *harness) incarnation(t *testing.T) (*conn.Incarnation, *nats.Msg) {
	t.Helper()
	found := conn.NewIncarnation(h.Conn, &conn.Deletions{})
	info := h.Info(t)
	found.Found(info.Stream, info.Name, info.Created)
	puller, err := conn.NewPuller(h.Conn, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer puller.Close()
	var delivery *nats.Msg
	accept := func(msg *nats.Msg) (bool, error) {
		delivery = msg
		return true, nil
	}
	subject := h.Conn.API("CONSUMER.MSG.NEXT." + info.Stream + "." + info.Name)
	if _, err := puller.Pull(t.Context(), subject, []byte(`{"batch":1,"expires":10000000000}`), eventstest.Timeout, accept); err != nil {
		t.Fatal(err)
	}
	return found, delivery
}

// An account that does not hear of deletions finds out by asking.
func TestARecreatedStreamIsNoticedWithoutAdvisories(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Create(t)
	h.Publish(t, &nats.Msg{Data: []byte("old")})
	incarnation, old := h.incarnation(t)
	h.Recreate(t)
	theirs := h.Another(t)
	conn.Unconfirm(incarnation)
	incarnation.Settle(old.Reply, "+ACK")
	h.StillQueued(t, theirs)
	if !incarnation.Ended() {
		t.Error("the incarnation goes on")
	}
}

// While the server's confirmation is fresh, a settlement does not wait for another.
func TestASettlementReachesTheServer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Create(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	incarnation, msg := h.incarnation(t)
	incarnation.Settle(msg.Reply, "+ACK")
	testproc.WaitFor(t, "settlement", func() bool { return h.Info(t).NumAckPending == 0 })
	if !incarnation.Brings(1) || incarnation.Brings(1) || !incarnation.Ended() {
		t.Error("a consumer sequence that comes twice does not end it")
	}
}

// A request that the account may not make ends by the server's word about that very request. Nothing else can tell here: the
// violation is ignored, so that it is not remembered.
func TestARefusedRequestEndsAtOnce(t *testing.T) {
	t.Parallel()
	h := unconnected()
	h.Cfg.NATS = eventstest.As(eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.MSG.GET.>"}},
	}}), "worker")
	h.Conn = h.Connect(t, true)
	h.Connected(t)
	h.Conn.IgnoreSubjects("$JS.API.STREAM.MSG.GET.")
	_, err := h.Conn.Message(eventstest.Deadline(t), "SESSIONS", conn.Place{LastOn: "session.ended"})
	if !errors.Is(err, conn.ErrDenied) {
		t.Errorf("got %v", err)
	}
	if lines := h.Log.Lines(); count(lines, "NATS reported an error") != 0 {
		t.Errorf("logged: %q", lines)
	}
}
