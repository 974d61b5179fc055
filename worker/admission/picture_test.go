package admission

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "draw the pictures anew")

// curve is what a panel shows, with one value for each tenth of a second.
type curve struct {
	name, colour string
	values       []float64
}

// mark says what happened at a second.
type mark struct {
	second float64
	text   string
}

// panel is one diagram of a picture.
type panel struct {
	title  string
	top    float64 // of the axis
	curves []curve
	marks  []mark
}

const (
	pictureWidth, panelHeight = 860, 200
	left, above, below        = 50, 34, 26
)

// draw draws the panels one below the other. The seconds are the same for all.
func draw(seconds float64, panels []panel) []byte {
	var out bytes.Buffer
	height := len(panels) * (panelHeight + above + below)
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", pictureWidth, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", pictureWidth, height)
	for i, p := range panels {
		y := float64(i*(panelHeight+above+below) + above)
		at := func(second, value float64) (px, py float64) {
			return left + second/seconds*(pictureWidth-left-20), y + panelHeight - min(value/p.top, 1)*panelHeight
		}
		fmt.Fprintf(&out, `<text x="%d" y="%.0f" font-weight="bold">%s</text>`+"\n", left, y-16, p.title)
		for _, part := range []float64{0, 0.25, 0.5, 0.75, 1} {
			x0, y0 := at(0, part*p.top)
			x1, _ := at(seconds, 0)
			fmt.Fprintf(&out, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end" fill="#555">%g</text>`+"\n", x0, y0, x1, y0, x0-6, y0+4, part*p.top)
		}
		for second := 0.0; second <= seconds; second += 10 {
			x, base := at(second, 0)
			fmt.Fprintf(&out, `<text x="%.0f" y="%.0f" text-anchor="middle" fill="#555">%.0f s</text>`+"\n", x, base+16, second)
		}
		for _, m := range p.marks {
			x, base := at(m.second, 0)
			fmt.Fprintf(&out, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="#999" stroke-dasharray="4"/><text x="%.0f" y="%.0f" fill="#555">%s</text>`+"\n", x, y, x, base, x+4, y+12, m.text)
		}
		for k, c := range p.curves {
			var path strings.Builder
			for n, value := range c.values {
				x, py := at(float64(n)/10, value)
				fmt.Fprintf(&path, "%.1f,%.1f ", x, py)
			}
			fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.TrimSpace(path.String()), c.colour)
			fmt.Fprintf(&out, `<text x="%d" y="%.0f" text-anchor="end" fill="%s">%s</text>`+"\n", pictureWidth-20, y-16+float64(k)*14-14*float64(len(p.curves)-1)/2, c.colour, c.name)
		}
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// The pictures of the document are of these runs.
func TestPictures(t *testing.T) {
	t.Parallel()
	const seconds = 80.0
	for name, picture := range map[string][]panel{"limit.svg": limitRun(seconds), "rate.svg": rateRun(seconds)} {
		got, file := draw(seconds, picture), "../"+name
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s shows another run: go test ./worker/admission -run TestPictures -update (%v)", name, err)
		}
	}
}

// limitRun is a worker with 256 slots and an endless backlog. The API serves 16 calls at a time, then 6, then 16 slow ones.
func limitRun(seconds float64) []panel {
	l := newLoad(1, 256)
	l.now = time.Unix(1_800_000_000, 0)
	s, each := newServers(l, 16, 0), 10*time.Millisecond
	s.each = func() time.Duration { return each*4/5 + time.Duration(l.random.Int64N(int64(each)*2/5)) }
	limit, took, waits := curve{name: "limit on calls in flight", colour: "#1f77b4"}, curve{name: "a call takes, ms", colour: "#d62728"}, l.neighbours()
	others := curve{name: "the API's other users wait, ms", colour: "#2ca02c"}
	sum, n := time.Duration(0), 0
	l.done = func(_ *loadWorker, d time.Duration) { sum, n = sum+d, n+1 }
	for tenth := range int(seconds * 10) {
		switch tenth {
		case 200:
			s.resize(6)
		case 400:
			s.resize(16)
		case 550:
			each = 30 * time.Millisecond
		}
		l.run(100 * time.Millisecond)
		now, _ := l.workers[0].limit.Now(l.now)
		limit.values = append(limit.values, float64(now))
		took.values = append(took.values, float64(sum.Microseconds())/1e3/float64(max(n, 1)))
		others.values = append(others.values, float64(percentile(*waits, .5).Microseconds())/1e3)
		sum, n, *waits = 0, 0, nil
	}
	marks := []mark{{20, "6 at a time"}, {40, "16 again"}, {55, "30 ms each, whatever the load"}}
	return []panel{
		{"The adaptive limit", 64, []curve{limit}, marks},
		{"What it is for", 80, []curve{took, others}, marks},
	}
}

// rateRun is a worker whose API allows 1,000 calls a second, then 2,000, then 400.
func rateRun(seconds float64) []panel {
	api := &bucket{perSecond: 1000, burst: 100, tokens: 100}
	l := newRateLoad(1, api)
	l.random = rand.New(rand.NewPCG(1, 1))
	l.workers[0].rate.random = l.random.Float64
	allowed, accepted := curve{name: "the API allows, calls/s", colour: "#999"}, curve{name: "accepted", colour: "#1f77b4"}
	refused := curve{name: "refused in 0.1 s", colour: "#d62728"}
	for tenth := range int(seconds * 10) {
		switch tenth {
		case 270:
			api.perSecond = 2000
		case 530:
			api.perSecond = 400
		}
		ok, not := l.total(), l.refused
		l.run(100 * time.Millisecond)
		allowed.values = append(allowed.values, api.perSecond)
		accepted.values = append(accepted.values, float64(l.total()-ok)*10)
		refused.values = append(refused.values, float64(l.refused-not))
	}
	return []panel{
		{"The learned rate", 2400, []curve{allowed, accepted}, nil},
		{"What it costs", 24, []curve{refused}, nil},
	}
}
