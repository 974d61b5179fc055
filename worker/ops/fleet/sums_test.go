package fleet

import (
	"math"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker/ops/history"
)

var noon = time.Unix(1_700_000_000, 0) // a step begins

// step is one that begins so many seconds after noon.
func step(second int64, change func(*peer.Step)) peer.Step {
	s := peer.Step{Time: noon.Unix() + second}
	if change != nil {
		change(&s)
	}
	return s
}

func at(second int64) time.Time { return noon.Add(time.Duration(second) * time.Second) }

func tell(now time.Time, steps ...peer.Step) *peer.History {
	return &peer.History{Now: now, Steps: steps}
}

func revoked(n int) func(*peer.Step) { return func(s *peer.Step) { s.Revoked = n } }

func nearly(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) <= want/20 }

// The figures of two workers are one: counts add up, and a quantile is of all their calls.
func TestTheFiguresOfWorkersAddUp(t *testing.T) {
	t.Parallel()
	limits, backlogs := []int{10, 30}, []int{100, 102}
	var s sums
	// Buckets 212 and 318 are around 10.6 ms and 1 s.
	s.take(&member{}, tell(at(5), step(0, func(s *peer.Step) {
		s.Revoked, s.Calls, s.Busy, s.Failed = 990, 990, 10, map[string]int{"CALLER_ERROR": 2, "SECRET": 7}
		s.Took, s.Live, s.Limit, s.Rate, s.LiveBacklog = peer.Histogram{212, 990}, peer.Histogram{212, 990}, &limits[0], 50, &backlogs[0]
	})), true, at(5))
	s.take(&member{}, tell(at(5), step(0, func(s *peer.Step) {
		s.Revoked, s.Calls, s.Busy, s.Failed = 5, 10, 10, map[string]int{"CALLER_ERROR": 1, "no answer": 5}
		s.Took, s.Live, s.Limit, s.LiveBacklog = peer.Histogram{318, 10}, peer.Histogram{318, 10}, &limits[1], &backlogs[1]
	})), true, at(5))
	points, _ := s.points(0, false, at(5))
	if len(points) != 1 {
		t.Fatalf("%+v", points)
	}
	p := points[0]
	if p.Time != noon.Unix() || p.Workers != 2 || p.Revoked != 199 || p.Calls != 200 || p.InFlight != 4 || *p.Limit != 40 || p.Rate != nil || *p.Live.Backlog != 101 || p.Bulk.Backlog != nil {
		t.Errorf("%+v", p)
	}
	if len(p.Failed) != 2 || p.Failed["CALLER_ERROR"] != 3 || p.Failed["no answer"] != 5 {
		t.Errorf("failures by cause: %v", p.Failed)
	}
	if !nearly(p.Live.P50, 0.0106) || !nearly(p.Live.P99, 0.0106) || !nearly(p.P50, 10.6) { // 1% of 1,000 took a second
		t.Errorf("p50 %v s and %v ms, p99 %v s", *p.Live.P50, *p.P50, *p.Live.P99)
	}
	quarter := s.times(at(5)).Quarter[config.Live]
	if quarter.Revoked != 1000 || s.times(at(5)).Minute[config.Live] != quarter {
		t.Errorf("in 15 minutes: %+v", quarter)
	}
	if later := s.times(at(120)); later.Minute[config.Live].Revoked != 0 || later.Quarter[config.Live] != quarter {
		t.Errorf("two minutes later: %+v", later)
	}
	if later := s.times(at(history.Seconds + 1)); len(later.Quarter) != 0 {
		t.Errorf("later than 15 minutes: %+v", later)
	}
}

// Answers overlap, and a worker may be asked for everything again. Each of its steps counts once.
func TestAStepCountsOnce(t *testing.T) {
	t.Parallel()
	var s sums
	var m member
	for range 3 {
		s.take(&m, tell(at(10), step(0, revoked(10)), step(5, revoked(20))), false, at(10))
		s.take(&m, tell(at(10), step(0, revoked(10)), step(5, revoked(20))), true, at(10))
	}
	s.take(&m, tell(at(15), step(5, revoked(20)), step(10, revoked(30)), step(10, revoked(30)), step(0, revoked(10))), false, at(15))
	points, _ := s.points(0, false, at(15))
	if len(points) != 3 || points[0].Revoked != 2 || points[1].Revoked != 4 || points[2].Revoked != 6 {
		t.Errorf("%+v", points)
	}
}

// A worker that was silent for a while knows more than it is usually asked for. It is asked for all before anything is taken.
func TestAGapIsFilled(t *testing.T) {
	t.Parallel()
	var s sums
	var m member
	if !s.take(&m, tell(at(5), step(0, revoked(5))), true, at(5)) {
		t.Error("the first answer is not taken")
	}
	if s.take(&m, tell(at(60), step(50, revoked(5)), step(55, revoked(5))), false, at(60)) {
		t.Error("an answer with a gap before it is taken")
	}
	all := []peer.Step{}
	for second := int64(0); second < 60; second += stepSeconds {
		all = append(all, step(second, revoked(5)))
	}
	if !s.take(&m, tell(at(60), all...), true, at(60)) {
		t.Error("all that it knows is not taken")
	}
	points, _ := s.points(0, false, at(60))
	if len(points) != 12 {
		t.Fatalf("%d points", len(points))
	}
	for _, p := range points {
		if p.Revoked != 1 {
			t.Errorf("%+v", p)
		}
	}
}

// The worker's clock may be wrong. Its steps are put where they belong, and a difference near the middle between two steps does not
// move them to and fro.
func TestClocksMayDiffer(t *testing.T) {
	t.Parallel()
	for _, wrong := range []int64{-3600, -7, -3, -2, 0, 2, 3, 8, 3600} {
		var s sums
		var m member
		for i := range int64(20) {
			now := 10 + 5*i
			jitter := i % 2
			s.take(&m, tell(at(now+wrong), step((now+wrong)/5*5-5, revoked(5))), true, at(now+jitter))
		}
		points, _ := s.points(0, false, at(200))
		for _, p := range points {
			if p.Revoked != 1 || p.Workers != 1 || p.Time < noon.Unix() || p.Time > noon.Unix()+105 {
				t.Errorf("a clock that is %d s ahead: %+v", wrong, p)
			}
		}
		if len(points) < 19 {
			t.Errorf("a clock that is %d s ahead: %d points", wrong, len(points))
		}
	}
}

// A point is shown once the slowest worker had time to tell, and again if one tells still later.
func TestPointsComeOnceUnlessTheyChange(t *testing.T) {
	t.Parallel()
	var s sums
	var quick, slow member
	s.take(&quick, tell(at(5), step(0, revoked(5))), true, at(5))
	points, version := s.points(0, true, at(5))
	if len(points) != 0 {
		t.Fatalf("too soon: %+v", points)
	}
	if points, version = s.points(version, true, at(10)); len(points) != 1 || points[0].Revoked != 1 {
		t.Fatalf("%+v", points)
	}
	if points, version = s.points(version, true, at(11)); len(points) != 0 {
		t.Errorf("again: %+v", points)
	}
	s.take(&slow, tell(at(12), step(0, revoked(10))), true, at(12))
	if points, version = s.points(version, true, at(12)); len(points) != 1 || points[0].Revoked != 3 || points[0].Workers != 2 {
		t.Errorf("after the slow worker told: %+v", points)
	}
	if points, _ = s.points(version, true, at(13)); len(points) != 0 {
		t.Errorf("once more: %+v", points)
	}
	if points, _ = s.points(0, true, at(13)); len(points) != 1 {
		t.Errorf("for a page that opens: %+v", points)
	}
}

// Whoever may answer may answer anything.
func TestStrangeStepsAreLeftOut(t *testing.T) {
	t.Parallel()
	var s sums
	limit, backlog := -5, -7
	strange := []peer.Step{
		step(1<<40, revoked(1)), step(-1<<40, revoked(1)), step(3, revoked(1)), step(50, revoked(1)), {Time: math.MinInt64}, {Time: math.MaxInt64},
		step(0, func(s *peer.Step) {
			s.Revoked, s.Calls, s.Busy, s.Rate, s.Limit, s.LiveBacklog = -1, -1, -1, -1, &limit, &backlog
			s.Failed, s.Took = map[string]int{"CALLER_ERROR": -3}, peer.Histogram{-1, 7, 1 << 40, 1}
		}),
	}
	for _, now := range []time.Time{at(5), {}, time.Unix(1<<55, 0), time.Unix(-1<<55, 0)} {
		for _, one := range strange {
			s.take(&member{}, tell(now, one), true, at(5))
		}
		s.take(&member{}, tell(now), true, at(5))
	}
	points, _ := s.points(0, false, at(history.Seconds/2))
	for _, p := range points {
		if p.Revoked < 0 || p.Calls < 0 || p.InFlight < 0 || p.Failed != nil || p.P50 != nil || p.Live.Backlog != nil || *p.Limit != 0 {
			t.Errorf("%+v", p)
		}
	}
}
