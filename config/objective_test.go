package config_test

import (
	"testing"
	"time"

	"revoker/config"
)

func TestObjectivesAreRead(t *testing.T) {
	for value, want := range map[string]config.Objective{
		"":                      {Percent: 99, Within: 5 * time.Second},
		"99% within 5s":         {Percent: 99, Within: 5 * time.Second},
		"  99.9%  within  1m ":  {Percent: 99.9, Within: time.Minute},
		"90% within 10ms":       {Percent: 90, Within: 10 * time.Millisecond},
		"99.999% within 24h":    {Percent: 99.999, Within: 24 * time.Hour},
		"95% within 1h30m0.25s": {Percent: 95, Within: 90*time.Minute + 250*time.Millisecond},
	} {
		t.Run(value, func(t *testing.T) {
			setEnvironment(t, map[string]string{"REVOKER_OBJECTIVE": value})
			cfg, err := config.Load()
			if err != nil || cfg.Objective != want {
				t.Errorf("%+v, %v; want %+v", cfg.Objective, err, want)
			}
			var again config.Objective
			if err := again.UnmarshalText([]byte(want.String())); err != nil || again != want {
				t.Errorf("%q reads as %+v, %v", want.String(), again, err)
			}
		})
	}
}

func TestObjectivesThatAreNoneAreRefused(t *testing.T) {
	const form, bounds = "not an objective such as 99% within 5s", "must be from 90% to 99.999%, within 10ms to 24h"
	for value, want := range map[string]string{
		"99%":               form,
		"99 within 5s":      form,
		"99% in 5s":         form,
		"99% within 5":      form,
		"99% within 5s now": form,
		"x% within 5s":      form,
		"NaN% within 5s":    form,
		"89.9% within 5s":   bounds,
		"100% within 5s":    bounds,
		"Inf% within 5s":    bounds,
		"-99% within 5s":    bounds,
		"99% within 9ms":    bounds,
		"99% within -5s":    bounds,
		"99% within 24h1s":  bounds,
	} {
		t.Run(value, func(t *testing.T) {
			setEnvironment(t, map[string]string{"REVOKER_OBJECTIVE": value})
			_, err := config.Load()
			refusedFor(t, err, "REVOKER_OBJECTIVE", want)
		})
	}
}

// In words as an operator would write it.
func TestObjectivesInWords(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]config.Objective{
		"99% within 5s":      {Percent: 99, Within: 5 * time.Second},
		"99.95% within 1m":   {Percent: 99.95, Within: time.Minute},
		"99.9% within 2h":    {Percent: 99.9, Within: 2 * time.Hour},
		"90% within 1h30m5s": {Percent: 90, Within: 90*time.Minute + 5*time.Second},
		"90% within 50s":     {Percent: 90, Within: 50 * time.Second},
	} {
		if got := o.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if o := (config.Objective{Percent: 99, Within: time.Second}); !o.Met(time.Second) || o.Met(time.Second+1) || o.Ratio() != 0.99 {
		t.Errorf("%v: %v, %v, %v", o, o.Met(time.Second), o.Met(time.Second+1), o.Ratio())
	}
}
