package config_test

import (
	"strings"
	"testing"

	"revoker/config"
)

// refusedFor fails the test unless a line of err is about variable and has text in it, and none quotes the marker.
func refusedFor(t *testing.T, err error, variable, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one about %s", variable)
	}
	if strings.Contains(err.Error(), marker) {
		t.Errorf("a value is quoted in:\n%v", err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(variableOf(line), variable) && strings.Contains(line, text) {
			return
		}
	}
	t.Errorf("no line about %s with %q in:\n%v", variable, text, err)
}

func TestNamesAndSubjects(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		refused     string // the variable, or empty
	}{
		"a stream with a dot":                {map[string]string{"REVOKER_STREAM": "a.b"}, "REVOKER_STREAM"},
		"a stream with a space":              {map[string]string{"REVOKER_STREAM": "a b"}, "REVOKER_STREAM"},
		"a stream with a slash":              {map[string]string{"REVOKER_STREAM": "a/b"}, "REVOKER_STREAM"},
		"a stream with a wildcard":           {map[string]string{"REVOKER_STREAM": "a*"}, "REVOKER_STREAM"},
		"a stream with dash and underscore":  {map[string]string{"REVOKER_STREAM": "a-b_C9"}, ""},
		"a consumer with a dot":              {map[string]string{"REVOKER_CONSUMER": "a.b"}, "REVOKER_CONSUMER"},
		"a consumer with a line end":         {map[string]string{"REVOKER_CONSUMER": "a\n"}, "REVOKER_CONSUMER"},
		"a dead-letter stream with a dot":    {map[string]string{"REVOKER_DEAD_LETTER_STREAM": "a.b"}, "REVOKER_DEAD_LETTER_STREAM"},
		"one stream for both":                {map[string]string{"REVOKER_DEAD_LETTER_STREAM": "SESSIONS"}, "REVOKER_DEAD_LETTER_STREAM"},
		"a subject with a wildcard":          {map[string]string{"REVOKER_SUBJECT": "session.*"}, ""},
		"a subject with an empty token":      {map[string]string{"REVOKER_SUBJECT": "session..ended"}, "REVOKER_SUBJECT"},
		"a dead-letter subject with *":       {map[string]string{"REVOKER_DEAD_LETTER_SUBJECT": "dlq.*"}, "REVOKER_DEAD_LETTER_SUBJECT"},
		"a dead-letter subject with >":       {map[string]string{"REVOKER_DEAD_LETTER_SUBJECT": "dlq.>"}, "REVOKER_DEAD_LETTER_SUBJECT"},
		"a dead-letter subject with a space": {map[string]string{"REVOKER_DEAD_LETTER_SUBJECT": "dlq. a"}, "REVOKER_DEAD_LETTER_SUBJECT"},
		"one subject for both":               {map[string]string{"REVOKER_DEAD_LETTER_SUBJECT": "session.ended"}, "REVOKER_DEAD_LETTER_SUBJECT"},
		"dead letters among all events":      {map[string]string{"REVOKER_SUBJECT": ">"}, "REVOKER_DEAD_LETTER_SUBJECT, REVOKER_BULK_SUBJECT"},
		"dead letters among some events":     {map[string]string{"REVOKER_SUBJECT": "*.session.ended"}, "REVOKER_DEAD_LETTER_SUBJECT"},
		"a receipt stream with a dot":        {map[string]string{"REVOKER_RECEIPT_STREAM": "a.b"}, "REVOKER_RECEIPT_STREAM"},
		"a receipt subject with a wildcard":  {map[string]string{"REVOKER_RECEIPT_SUBJECT": "a.*"}, "REVOKER_RECEIPT_SUBJECT"},
		"receipts among the events":          {map[string]string{"REVOKER_RECEIPTS": "true", "REVOKER_SUBJECT": "session.>", "REVOKER_BULK_SUBJECT": ""}, "REVOKER_RECEIPT_SUBJECT"},
		"receipts that are off":              {map[string]string{"REVOKER_SUBJECT": "session.>", "REVOKER_BULK_SUBJECT": ""}, ""},
		"events among the receipts":          {map[string]string{"REVOKER_RECEIPTS": "true", "REVOKER_BULK_SUBJECT": "session.revoked.bulk"}, "REVOKER_RECEIPT_SUBJECT"},
		"one stream for receipts and events": {map[string]string{"REVOKER_RECEIPTS": "true", "REVOKER_RECEIPT_STREAM": "SESSIONS"}, "REVOKER_RECEIPT_STREAM"},
		"dead letters beside the events":     {map[string]string{"REVOKER_SUBJECT": "*.ended"}, ""},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.environment, c.refused) })
	}
}

func TestChoicesAndRulesBetweenTwoVariables(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		refused     string
	}{
		"retention interest":    {map[string]string{"REVOKER_RETENTION": "interest"}, ""},
		"retention unknown":     {map[string]string{"REVOKER_RETENTION": "Limits"}, "REVOKER_RETENTION"},
		"log format unknown":    {map[string]string{"REVOKER_LOG_FORMAT": "logfmt"}, "REVOKER_LOG_FORMAT"},
		"log level upper case":  {map[string]string{"REVOKER_LOG_LEVEL": "WARN"}, ""},
		"log level unknown":     {map[string]string{"REVOKER_LOG_LEVEL": "verbose"}, "REVOKER_LOG_LEVEL"},
		"ops address, any host": {map[string]string{"REVOKER_OPS_ADDR": ":0"}, ""},
		"ops address, no port":  {map[string]string{"REVOKER_OPS_ADDR": "127.0.0.1"}, "REVOKER_OPS_ADDR"},
		"ops hosts, several":    {map[string]string{"REVOKER_OPS_HOSTS": "revoker.example, 10.0.0.7,[fd00::1],xn--bcher-kva.example."}, ""},
		"ops hosts, a port":     {map[string]string{"REVOKER_OPS_HOSTS": "revoker.example:8080"}, "REVOKER_OPS_HOSTS"},
		"ops hosts, a URL":      {map[string]string{"REVOKER_OPS_HOSTS": "https://revoker.example"}, "REVOKER_OPS_HOSTS"},
		"ops hosts, a wildcard": {map[string]string{"REVOKER_OPS_HOSTS": "*.example"}, "REVOKER_OPS_HOSTS"},
		"ops hosts, umlauts":    {map[string]string{"REVOKER_OPS_HOSTS": "bücher.example"}, "REVOKER_OPS_HOSTS"},
		"ops hosts, a gap":      {map[string]string{"REVOKER_OPS_HOSTS": "a,,b"}, "REVOKER_OPS_HOSTS"},
		"pending at concurrency": {
			map[string]string{"REVOKER_CONCURRENCY": "9", "REVOKER_MAX_ACK_PENDING": "9"}, "",
		},
		"pending below concurrency": {
			map[string]string{"REVOKER_CONCURRENCY": "10", "REVOKER_MAX_ACK_PENDING": "9"}, "REVOKER_MAX_ACK_PENDING",
		},
		"equal retry intervals": {
			map[string]string{"REVOKER_RETRY_INITIAL_INTERVAL": "3s", "REVOKER_RETRY_MAX_INTERVAL": "3s"}, "",
		},
		"retry intervals crossed": {
			map[string]string{"REVOKER_RETRY_INITIAL_INTERVAL": "4s", "REVOKER_RETRY_MAX_INTERVAL": "3s"}, "REVOKER_RETRY_MAX_INTERVAL",
		},
		"equal probe intervals": {
			map[string]string{"REVOKER_BREAKER_PROBE_INTERVAL": "3s", "REVOKER_BREAKER_MAX_PROBE_INTERVAL": "3s"}, "",
		},
		"probe intervals crossed": {
			map[string]string{"REVOKER_BREAKER_PROBE_INTERVAL": "4s", "REVOKER_BREAKER_MAX_PROBE_INTERVAL": "3s"},
			"REVOKER_BREAKER_MAX_PROBE_INTERVAL",
		},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.environment, c.refused) })
	}
}

// check loads the environment and wants refused to be what the error is about, or no error if that is empty.
func check(t *testing.T, environment map[string]string, refused string) {
	t.Helper()
	setEnvironment(t, environment)
	_, err := config.Load()
	if refused == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	onlyNames(t, err, strings.Split(refused, ", ")...)
}
