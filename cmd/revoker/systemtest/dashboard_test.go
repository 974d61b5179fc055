package systemtest

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"revoker/internal/testproc"
)

// dashboard is what these tests look at in deploy/grafana/revoker.json.
type dashboard struct {
	Annotations struct {
		List []annotation
	}
	Panels []panel
}

type annotation struct {
	Name, Expr, TitleFormat string
	Enable, UseValueForTime bool
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		Expr, LegendFormat string
		Exemplar           bool
	}
	FieldConfig struct {
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(testproc.ReadFile(t, "deploy/grafana/revoker.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every metric of revoker's own is on the dashboard, and the dashboard is whole: its panels have distinct IDs and places, a
// row, and a description.
func TestTheDashboardIsWhole(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	ids, cells, rows, queries := map[int]bool{}, map[[2]int]int{}, 0, ""
	for i, panel := range d.Panels {
		row := panel.Type == "row"
		if ids[panel.ID] || (len(panel.Targets) == 0) != row || (panel.Description == "") != row || panel.Title == "" || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d: %+v", panel.ID, panel)
		}
		ids[panel.ID] = true
		if row {
			rows++
		} else if rows == 0 {
			t.Errorf("panel %d is in no row", panel.ID)
		}
		if i > 0 && d.Panels[i-1].GridPos.Y > panel.GridPos.Y {
			t.Errorf("panel %d is above the one before it, and may be in another row than it seems", panel.ID)
		}
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				cell := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other, taken := cells[cell]; taken {
					t.Fatalf("panels %d and %d overlap", other, panel.ID)
				}
				cells[cell] = panel.ID
			}
		}
		for _, target := range panel.Targets {
			queries += target.Expr + "\n"
			if n := strings.Count(target.Expr, "{"); n == 0 || strings.Count(target.Expr, `{namespace=~"$namespace", job=~"`) != n {
				t.Errorf("panel %d does not keep installations apart: %s", panel.ID, target.Expr)
			}
		}
	}
	shown := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(revoker_\\w+)` \\|").FindAllStringSubmatch(testproc.ReadFile(t, "deploy/prometheus/README.md"), -1) {
		shown[match[1]] = strings.Contains(queries, match[1])
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	if len(shown) < 20 || rows < 4 {
		t.Errorf("%d metrics in deploy/prometheus/README.md, %d rows", len(shown), rows)
	}
}

// On the axis of what it limits, a limit of 50,000 makes a line of 5 flat. Grafana puts series of one unit on one axis unless
// their labels differ.
func TestLimitsHaveTheirOwnAxis(t *testing.T) {
	t.Parallel()
	limits := 0
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			if panel.Type != "timeseries" || strings.Contains(target.Expr, " / ") || !regexp.MustCompile(`_limit\b|_max_age_`).MatchString(target.Expr) {
				continue
			}
			limits++
			if axis := panel.axis(target.LegendFormat); axis["custom.axisPlacement"] != "right" || axis["custom.axisLabel"] == nil {
				t.Errorf("%s: %s has the axis %v", panel.Title, target.LegendFormat, axis)
			}
		}
	}
	if limits < 3 {
		t.Errorf("only %d limits", limits)
	}
}

// axis returns what is overridden for a series.
func (p panel) axis(series string) map[string]any {
	properties := map[string]any{}
	for _, override := range p.FieldConfig.Overrides {
		name, matches := override.Matcher.Options, false
		switch override.Matcher.ID {
		case "byName":
			matches = name == series
		case "byRegexp": // /…/
			matches = regexp.MustCompile(strings.Trim(name, "/")).MatchString(series)
		}
		if matches {
			for _, property := range override.Properties {
				properties[property.ID] = property.Value
			}
		}
	}
	return properties
}

// The graphs show when a breaker opened and when another version came, and the times to revoked lead to traces.
func TestTheDashboardHasAnnotationsAndExemplars(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	for _, name := range []string{breakerAnnotation, deployAnnotation} {
		if a := d.annotation(t, name); !a.Enable || a.TitleFormat == "" {
			t.Errorf("%+v", a)
		}
	}
	for _, metric := range []string{"revoker_ended_to_revoked_seconds_bucket", "revoker_publish_to_revoked_seconds_bucket"} {
		var lead []string
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				if target.Exemplar && strings.Contains(target.Expr, metric) {
					lead = append(lead, panel.Title)
				}
			}
		}
		if len(lead) != 1 {
			t.Errorf("panels with exemplars of %s: %v", metric, lead)
		}
	}
}

const (
	breakerAnnotation = "Circuit breaker not closed"
	deployAnnotation  = "Deploys and restarts"
)

func (d dashboard) annotation(t *testing.T, name string) annotation {
	t.Helper()
	for _, a := range d.Annotations.List {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no annotation %q", name)
	return annotation{}
}
