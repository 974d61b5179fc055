package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testleak"
	"revoker/internal/testproc"
	"revoker/worker"
	"revoker/worker/ops/history"
)

func TestMain(m *testing.M) { testleak.Main(m) }

// crew is a NATS server with workers that answer on it.
type crew struct {
	t   *testing.T
	cfg config.Config
	nc  *nats.Conn
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	c := &crew{t: t, cfg: config.Default()}
	url := testproc.StartNATS(t).URL()
	c.cfg.NATS.URL = config.NewServerURLs(url)
	var err error
	if c.nc, err = nats.Connect(url, nats.Timeout(testproc.Timeout)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.nc.Close)
	lanes, _, err := events.Ensure(t.Context(), c.connect(), c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lanes.Close)
	return c
}

func (c *crew) connect() *events.Conn {
	c.t.Helper()
	conn, err := events.Connect(c.cfg.NATS, "test", slog.New(slog.DiscardHandler), false)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(conn.Close)
	return conn
}

// hand is a worker of the crew with its page.
type hand struct {
	*Fleet
	self  peer.Identity
	conn  *events.Conn
	past  *history.History
	state peer.State
	asked atomic.Int64
}

// hire starts a worker that answers.
func (c *crew) hire(name string) *hand {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h := &hand{self: peer.NewIdentity("v1"), conn: c.connect(), past: history.New(c.cfg.Objective, 64), state: peer.State{Breaker: "closed"}}
	h.self.Name = name
	h.Fleet = New(ctx, c.cfg, h.self, h.past)
	c.t.Cleanup(func() {
		cancel()
		h.Close()
	})
	h.past.Sample(history.Gauges{})
	peer.Answer(h.conn, c.cfg, peer.Answerer{
		State:   func() peer.State { h.asked.Add(1); return h.self.Sign(h.state) },
		LetGo:   func() bool { return false },
		History: h.past.Last,
	})
	if err := h.conn.NC().Flush(); err != nil {
		c.t.Fatal(err)
	}
	return h
}

func (h *hand) look() View { return h.View(h.conn, &h.state) }

func names(v View) string {
	var list []string
	for _, w := range v.Workers {
		name := w.Name
		if w.Own {
			name += "*"
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

// Every worker serves the same page: the same workers, and the same sums of what they did. A worker of an older version is shown too.
func TestEveryWorkerKnowsTheSame(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	alpha, beta := c.hire("alpha"), c.hire("beta")
	if _, err := c.nc.Subscribe("revoker.workers.>", func(msg *nats.Msg) { _ = msg.Respond([]byte(`{"name":"old","breaker":"open"}`)) }); err != nil {
		t.Fatal(err)
	}
	if err := c.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		alpha.past.Observe(worker.Settlement{Outcome: worker.Revoked, ToRevoked: time.Second})
	}
	for range 70 {
		beta.past.Observe(worker.Settlement{Outcome: worker.Revoked, ToRevoked: time.Second})
	}
	for h, want := range map[*hand]string{alpha: "alpha* beta old", beta: "alpha beta* old"} {
		testproc.WaitFor(t, want, func() bool { return names(h.look()) == want })
		testproc.WaitFor(t, "the revocations of both", func() bool {
			view, sum, workers := h.look(), 0.0, 0
			points, _ := h.Points(0)
			for _, p := range points {
				sum += p.Revoked * stepSeconds
				workers = max(workers, p.Workers)
			}
			return sum == 100 && workers == 2 && view.Status != nil && view.Told == 2 && view.Times.Quarter[config.Live].Revoked == 100
		})
		if view := h.look(); view.Problem != "" || view.Err != nil || view.Status == nil || view.Status.Workers != nil {
			t.Errorf("%+v", view)
		}
	}
}

// However many pages are open, the workers are asked once in an interval. They are not asked while no page is open.
func TestOneQuestionForAllPages(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	alpha, beta := c.hire("alpha"), c.hire("beta")
	began := time.Now()
	testproc.WaitFor(t, "three questions", func() bool {
		for range 20 {
			alpha.look()
		}
		return beta.asked.Load() >= 3
	})
	if most := 1 + int64(time.Since(began)/interval); beta.asked.Load() > most {
		t.Errorf("asked %d times in %s", beta.asked.Load(), time.Since(began))
	}
	if beta.reader != nil || alpha.asked.Load() > beta.asked.Load()+1 {
		t.Error("a worker asks whose page nobody opened")
	}
}

// A page that opens waits for the answers. It does not wait for long, nor if answers came lately.
func TestAPageWaitsForTheAnswers(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	alpha := c.hire("alpha")
	c.hire("beta")
	// Each time it is the first page of the worker. One answer may be late on a busy machine, and is left out.
	testproc.WaitFor(t, "page that has the answers when it goes on", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		page := New(ctx, c.cfg, alpha.self, alpha.past)
		alpha.Fleet = page
		t.Cleanup(func() {
			cancel()
			page.Close()
		})
		alpha.look()
		alpha.Await(t.Context(), testproc.Timeout)
		return names(alpha.look()) == "alpha* beta"
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	alpha.Await(ended, testproc.Timeout)
	alone := c.hire("alone")
	alone.Await(t.Context(), time.Millisecond) // nobody asks
}

// The account may be forbidden to ask, or to hear answers. The page says so, and shows the one worker.
func TestTheOthersMayNotBeKnown(t *testing.T) {
	t.Parallel()
	past := history.New(config.Default().Objective, 64)
	f := New(t.Context(), config.Default(), peer.Identity{Instance: "A", Name: "alpha"}, past)
	now := noon
	f.now = func() time.Time { return now }
	own := &peer.State{Breaker: "closed"}
	ask := func(err error, workers ...peer.State) View {
		now = now.Add(interval)
		f.View(nil, own)
		if _, may := f.ask.next(now); may {
			f.take(workers, false, err)
		}
		return f.View(nil, own)
	}
	for i := range silencesMost {
		if view := ask(nil); (view.Problem != "") != (i == silencesMost-1) || names(view) != "alpha*" || view.Workers[0].Silent {
			t.Errorf("%d questions without an answer: %q, %+v", i+1, view.Problem, view.Workers)
		}
	}
	if view := ask(nil, peer.State{Instance: "A", Name: "alpha"}, peer.State{Name: "beta"}); view.Problem != "" || names(view) != "alpha* beta" {
		t.Errorf("all answer: %q, %s", view.Problem, names(view))
	}
	if view := ask(fmt.Errorf("asking the workers: %w", events.ErrDenied)); !strings.Contains(view.Problem, "permissions") {
		t.Errorf("denied: %q", view.Problem)
	}
	if _, may := f.ask.next(now.Add(refusalPause / 2)); may {
		t.Error("it goes on asking what it may not")
	}
	now = now.Add(refusalPause)
	if view := ask(errors.New("disconnected")); view.Problem != "disconnected" {
		t.Errorf("another error: %q", view.Problem)
	}
	if _, may := f.ask.next(now); !may {
		t.Error("it does not ask again")
	}
}

// After a pause in which no page was open, the workers are asked for what they did meanwhile.
func TestItAsksForWhatItMissed(t *testing.T) {
	t.Parallel()
	q := questions{}
	for _, c := range []struct {
		after time.Duration
		gaps  bool
		want  int
	}{
		{0, false, history.Seconds}, {2 * time.Second, false, 22}, {10 * time.Minute, false, 620}, {time.Hour, false, history.Seconds},
		{2 * time.Second, true, 22}, {20 * time.Second, false, history.Seconds}, {2 * time.Second, false, 22},
	} {
		if c.after == 0 {
			q.last = time.Time{}
		}
		now := q.last.Add(c.after)
		if q.last.IsZero() {
			now = noon
		}
		q.gaps = q.gaps || c.gaps
		if seconds, may := q.next(now); !may || seconds != c.want {
			t.Errorf("after %s: asks for %d s, want %d", c.after, seconds, c.want)
		}
	}
}
