package admission

import (
	"math"
	"time"
)

const (
	// floorInterval is how often the floor is measured while the limit follows the latency, and boundRounds times that while it
	// is at its bound. Where calls take long and the last measurement agreed, it is no shorter than rareness calls. A measurement takes
	// floorCalls calls' time, between two bounds, or the time in which those in flight end, and one more.
	floorInterval = 10 * time.Second
	boundRounds   = 6
	rareness      = 10
	floorCalls    = 5
	minFloorTime  = 200 * time.Millisecond
	maxFloorTime  = time.Second
	// earlyInterval is instead of floorInterval for a worker whose first calls may have waited in a queue, as where workers began together,
	// until a measurement agrees with its floor, or maxDoubts did not. earlyLimit is how many calls are used then: a part of a limit that
	// was found beside a queue may still be a queue.
	earlyInterval = time.Second
	earlyLimit    = 2
	maxDoubts     = 5
	// drained is the part of the limit that is used meanwhile, and drainPart the part of the time in which the queue drains.
	drained   = 0.25
	drainPart = 0.4
)

// measureFloor lets fewer calls go for a moment, so that the queue drains and the floor shows: the API may have become slower
// for all, whatever the load. The moment is a round one of the wall clock, so that a whole fleet measures at the same time.
// One worker alone would measure the queue of the others.
func (l *Limit) measureFloor(now time.Time) {
	if l.measuring > 0 {
		if !now.Before(l.measured) && (l.window.n >= minSamples || !now.Before(l.patience)) {
			l.endMeasuring(now)
		}
		return
	}
	growing := !l.doubled && l.limit < float64(l.bound) // from a floor that fewer calls found
	if l.floor == 0 || growing {
		return
	}
	took := time.Duration(l.took * float64(time.Second))
	interval := floorInterval
	for l.trusted && interval < rareness*took {
		interval *= 2
	}
	early := l.doubled && l.doubts > 0 && floorCalls*took <= maxFloorTime
	if early {
		interval = earlyInterval
	}
	round, since := now.UnixNano()/int64(interval), time.Duration(now.UnixNano()%int64(interval))
	if round == l.round {
		return
	}
	l.round = round
	lasts := min(max(floorCalls*took, minFloorTime), maxFloorTime)
	drain := max(time.Duration(drainPart*float64(lasts)), took) // the calls in flight must end
	lasts = max(lasts, drain+took)
	if since > lasts/3 || !l.bounded || l.trusted && l.limit >= float64(l.bound) && round%boundRounds != 0 {
		return
	}
	l.measuring, l.measured = l.limit, now.Add(lasts-since)
	if l.limit = max(l.limit*drained, 1); early {
		l.limit = min(l.limit, earlyLimit)
	}
	l.window = window{began: now.Add(drain - since)}
	l.patience = l.measured.Add(max(maxFloorTime, took))
}

// endMeasuring ends it. If the floor has risen above the target the limit was cut for nothing, and starts anew from where it is. In doubt
// nothing is raised, for other workers may not have measured at the time.
func (l *Limit) endMeasuring(now time.Time) {
	w := l.window
	l.stopMeasuring()
	l.restartWindow(now)
	doubtful := l.doubts > 0
	l.doubts = max(l.doubts-1, 0)
	if w.n == 0 {
		return
	}
	took, exact := l.remote(w), math.Sqrt(l.scatter/float64(w.n))
	took = max(took-w.stall, min(took, l.floor))
	if took <= l.target {
		l.doubts = 0
	}
	if doubtful && took > l.floor {
		if took <= l.floor*(1+2*exact) { // within what chance does
			l.floor = (l.floor + took) / 2
			l.aim()
		}
		return
	}
	l.trusted = took > l.floor*(1-targetPart)
	if took > l.target {
		l.doubled, l.streak = false, 0
	}
	if math.Abs(took-l.floor) <= 2*exact*l.floor {
		took = l.floor + (took-l.floor)*floorWeight // within what chance does
	}
	l.floor = took
	l.aim()
}

// rise takes what calls take now for the floor, after cuts that were in vain.
func (l *Limit) rise(took float64) {
	l.floor, l.cutFrom = took, 0
	l.doubled, l.streak = false, 0
	l.aim()
}

func (l *Limit) stopMeasuring() {
	if l.measuring > 0 {
		l.limit, l.measuring = l.measuring, 0
	}
}
