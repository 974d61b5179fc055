package config_test

import (
	"slices"
	"testing"

	"revoker/config"
)

func TestEachLaneHasItsSubjectAndConsumer(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	if lanes := cfg.Lanes(); !slices.Equal(lanes, []config.Lane{config.Live, config.Bulk}) {
		t.Errorf("lanes %v", lanes)
	}
	if live := cfg.In(config.Live); live.Subject != "session.ended" || live.Consumer != "revoker" {
		t.Errorf("live: %s, %s", live.Subject, live.Consumer)
	}
	if bulk := cfg.In(config.Bulk); bulk.Subject != "session.ended.bulk" || bulk.Consumer != "revoker-bulk" || bulk.Stream != cfg.Stream {
		t.Errorf("bulk: %s, %s", bulk.Subject, bulk.Consumer)
	}
	cfg.BulkSubject = ""
	if lanes := cfg.Lanes(); !slices.Equal(lanes, []config.Lane{config.Live}) {
		t.Errorf("lanes %v without a bulk subject", lanes)
	}
	if bulk := cfg.In(config.Bulk); bulk.Subject != "" || bulk.Consumer != "" {
		t.Errorf("bulk without a subject: %s, %s", bulk.Subject, bulk.Consumer)
	}
}

// Two installations that share a stream have live names of their own. One must not take the other's bulk events.
func TestTheBulkLaneIsNamedAfterTheLiveOne(t *testing.T) {
	for name, c := range map[string]struct {
		environment       map[string]string
		subject, consumer string
	}{
		"nothing set":  {nil, "session.ended.bulk", "revoker-bulk"},
		"subject":      {map[string]string{"REVOKER_SUBJECT": "eu.logout"}, "eu.logout.bulk", "revoker-bulk"},
		"consumer":     {map[string]string{"REVOKER_CONSUMER": "revoker-eu"}, "session.ended.bulk", "revoker-eu-bulk"},
		"a wildcard":   {map[string]string{"REVOKER_SUBJECT": "logout.*"}, "session.ended.bulk", "revoker-bulk"},
		"both subject": {map[string]string{"REVOKER_SUBJECT": "eu.logout", "REVOKER_BULK_SUBJECT": "eu.many"}, "eu.many", "revoker-bulk"},
		"both consumer": {
			map[string]string{"REVOKER_CONSUMER": "eu", "REVOKER_BULK_CONSUMER": "many"}, "session.ended.bulk", "many",
		},
		"off": {map[string]string{"REVOKER_SUBJECT": "eu.logout", "REVOKER_BULK_SUBJECT": ""}, "", "revoker-bulk"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, c.environment)
			cfg, err := config.Load()
			if err != nil || cfg.BulkSubject != c.subject || cfg.BulkConsumer != c.consumer {
				t.Errorf("got %q, %q, %v; want %q, %q", cfg.BulkSubject, cfg.BulkConsumer, err, c.subject, c.consumer)
			}
		})
	}
}

func TestTheBulkLaneIsBesideTheLiveOne(t *testing.T) {
	const taken = "REVOKER_SUBJECT matches it"
	for name, c := range map[string]struct {
		environment    map[string]string
		variable, text string // of the refusal, or empty
	}{
		"all sessions":      {map[string]string{"REVOKER_SUBJECT": "session.>"}, "REVOKER_BULK_SUBJECT", taken},
		"all of three":      {map[string]string{"REVOKER_SUBJECT": "session.*.*"}, "REVOKER_BULK_SUBJECT", taken},
		"the same":          {map[string]string{"REVOKER_BULK_SUBJECT": "session.ended"}, "REVOKER_BULK_SUBJECT", taken},
		"a wildcard beside": {map[string]string{"REVOKER_SUBJECT": "session.*"}, "", ""},
		"another subject":   {map[string]string{"REVOKER_SUBJECT": "session.>", "REVOKER_BULK_SUBJECT": "bulk.ended"}, "", ""},
		"one lane":          {map[string]string{"REVOKER_SUBJECT": "session.>", "REVOKER_BULK_SUBJECT": ""}, "", ""},
		"bulk wildcard":     {map[string]string{"REVOKER_BULK_SUBJECT": "bulk.*"}, "REVOKER_BULK_SUBJECT", "without wildcards"},
		"bulk, no subject":  {map[string]string{"REVOKER_BULK_SUBJECT": "bulk..ended"}, "REVOKER_BULK_SUBJECT", "not a NATS subject"},
		"dead letters":      {map[string]string{"REVOKER_BULK_SUBJECT": "dlq.session.ended"}, "REVOKER_BULK_SUBJECT", "REVOKER_DEAD_LETTER_SUBJECT"},
		"one consumer":      {map[string]string{"REVOKER_BULK_CONSUMER": "revoker"}, "REVOKER_BULK_CONSUMER", "must differ from REVOKER_CONSUMER"},
		"a consumer's name": {map[string]string{"REVOKER_BULK_CONSUMER": "a.b"}, "REVOKER_BULK_CONSUMER", "no spaces, dots"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, c.environment, c.variable)
			if c.variable != "" {
				_, err := config.Load()
				refusedFor(t, err, c.variable, c.text)
			}
		})
	}
}
