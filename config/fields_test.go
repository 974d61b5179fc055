package config_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

// everyVariable is an environment that sets all variables that can be set together, to no variable's default.
func everyVariable(file string) map[string]string {
	return map[string]string{
		"NATS_URL": "nats://a:1,nats://b:2", "NATS_CONTEXT": "production",
		"NATS_USER": "alice", "NATS_PASSWORD": "password",
		"NATS_CA": file + "ca", "NATS_CERT": file + "cert", "NATS_KEY": file + "key",
		"NATS_JS_DOMAIN": "hub", "NATS_INBOX_PREFIX": "_INBOX_alice",
		"AUTHLETE_BASE_URL": "https://api.example", "AUTHLETE_SERVICE_ID": "1234",
		"AUTHLETE_BEARER": "bearer", "AUTHLETE_BEARER_FILE": file + "bearer",
		"REVOKER_ALLOWED_SERVICE_IDS": "5,6", "REVOKER_ALLOW_INSECURE_HTTP": "true",
		"REVOKER_STREAM": "EVENTS", "REVOKER_SUBJECT": "events.*", "REVOKER_CONSUMER": "logout",
		"REVOKER_BULK_SUBJECT": "many.events", "REVOKER_BULK_CONSUMER": "cleanup",
		"REVOKER_DEAD_LETTER_STREAM": "DEAD", "REVOKER_DEAD_LETTER_SUBJECT": "dead.events",
		"REVOKER_RECEIPTS": "true", "REVOKER_RECEIPT_STREAM": "DONE", "REVOKER_RECEIPT_SUBJECT": "done.events",
		"REVOKER_RECEIPT_MAX_AGE": "29h", "REVOKER_RECEIPT_MAX_COUNT": "30",
		"REVOKER_REPLICAS": "3", "REVOKER_RETENTION": "workqueue",
		"REVOKER_CONCURRENCY": "10", "REVOKER_RATE_LIMIT": "11.5", "REVOKER_REQUEST_TIMEOUT": "12s",
		"REVOKER_ACK_WAIT": "13s", "REVOKER_MAX_ACK_PENDING": "14",
		"REVOKER_RETRY_INITIAL_INTERVAL": "15ms", "REVOKER_RETRY_MULTIPLIER": "1.6", "REVOKER_RETRY_MAX_INTERVAL": "17s",
		"REVOKER_RETRY_JITTER": "0.18", "REVOKER_RETRY_SHARE": "0.19", "REVOKER_RETRY_MAX_ATTEMPTS": "21",
		"REVOKER_RETRY_MAX_AGE":    "22h",
		"REVOKER_BREAKER_FAILURES": "23", "REVOKER_BREAKER_PROBE_INTERVAL": "24ms", "REVOKER_BREAKER_MAX_PROBE_INTERVAL": "25s",
		"REVOKER_CALLER_ERROR_BRAKE": "255", "REVOKER_OBJECTIVE": "99.5% within 25500ms", "REVOKER_DRAIN_TIMEOUT": "26s", "REVOKER_OPS_ADDR": "[::1]:27", "REVOKER_OPS_PPROF": "true", "REVOKER_OPS_HOSTS": "revoker.example,10.0.0.7", "REVOKER_CONSOLE_TOKEN": "a-console-token-28",
		"REVOKER_LOG_LEVEL": "debug", "REVOKER_LOG_FORMAT": "text",
		"REVOKER_RECEIVE_ADDR": "[::1]:29", "REVOKER_RECEIVE_OPS_ADDR": "[::1]:30", "REVOKER_RECEIVE_TOKEN": "a-receive-token-31",
		"REVOKER_RECEIVE_TOKEN_FILE": file + "receive", "REVOKER_RECEIVE_ISSUERS_FILE": file + "issuers", "REVOKER_RECEIVE_CONCURRENCY": "32",
	}
}

// everyField is what everyVariable must load as.
func everyField(file string) config.Config {
	return config.Config{
		NATS: config.NATS{
			URL: config.NewServerURLs("nats://a:1,nats://b:2"), Context: "production",
			User: "alice", Password: config.NewSecret("password"),
			CA: file + "ca", Cert: file + "cert", Key: file + "key",
			JSDomain: "hub", InboxPrefix: "_INBOX_alice",
		},
		API: config.API{
			BaseURL: "https://api.example", ServiceID: "1234",
			Bearer: config.NewSecret("bearer"), BearerFile: file + "bearer",
			AllowedServiceIDs: []string{"5", "6"}, AllowInsecureHTTP: true,
		},
		Stream: "EVENTS", Subject: "events.*", Consumer: "logout",
		BulkSubject: "many.events", BulkConsumer: "cleanup",
		DeadLetterStream: "DEAD", DeadLetterSubject: "dead.events",
		Receipts: true, ReceiptStream: "DONE", ReceiptSubject: "done.events", ReceiptMaxAge: 29 * time.Hour, ReceiptMaxCount: 30,
		Replicas: 3, Retention: "workqueue",
		Concurrency: 10, RateLimit: 11.5, RequestTimeout: 12 * time.Second,
		AckWait: 13 * time.Second, MaxAckPending: 14,
		RetryInitialInterval: 15 * time.Millisecond, RetryMultiplier: 1.6, RetryMaxInterval: 17 * time.Second,
		RetryJitter: 0.18, RetryShare: 0.19, RetryMaxAttempts: 21, RetryMaxAge: 22 * time.Hour,
		BreakerFailures: 23, BreakerProbeInterval: 24 * time.Millisecond, BreakerMaxProbeInterval: 25 * time.Second,
		CallerErrorBrake: 255, Objective: config.Objective{Percent: 99.5, Within: 25500 * time.Millisecond}, DrainTimeout: 26 * time.Second, OpsAddr: "[::1]:27", OpsPprof: true, OpsHosts: []string{"revoker.example", "10.0.0.7"}, ConsoleToken: config.NewSecret("a-console-token-28"),
		LogLevel: slog.LevelDebug, LogFormat: "text",
		Receive: config.Receive{
			Addr: "[::1]:29", OpsAddr: "[::1]:30", Token: config.NewSecret("a-receive-token-31"), TokenFile: file + "receive", IssuersFile: file + "issuers",
			Concurrency: 32,
		},
	}
}

func TestEveryVariableSetsItsField(t *testing.T) {
	file := files(t, "ca", "cert", "key", "bearer", "creds", "nkey")
	setEnvironment(t, everyVariable(file))
	loadEquals(t, everyField(file))
}

// Only one way to authenticate may be set, so these can't be set with the rest.
func TestOtherWaysToAuthenticateSetTheirFields(t *testing.T) {
	file := files(t, "creds", "nkey")
	for name, c := range otherWays(file) {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, map[string]string{name: c.value})
			want := config.Default()
			want.NATS = c.want
			loadEquals(t, want)
		})
	}
}

type otherWay struct {
	value string
	want  config.NATS
}

func otherWays(file string) map[string]otherWay {
	return map[string]otherWay{
		"NATS_CREDS": {file + "creds", config.NATS{Creds: file + "creds"}},
		"NATS_NKEY":  {file + "nkey", config.NATS{NKey: file + "nkey"}},
		"NATS_TOKEN": {"token", config.NATS{Token: config.NewSecret("token")}},
	}
}

// Without this, a new variable could be left out of the tests above, or be set to what it is anyway.
func TestTheTablesAboveLeaveNoVariableOut(t *testing.T) {
	t.Parallel()
	set, standard, want := everyVariable("f"), leaves(config.Default()), leaves(everyField("f"))
	others := otherWays("f")
	for i, l := range want {
		if _, other := others[l.name]; other {
			continue
		}
		if _, ok := set[l.name]; !ok {
			t.Errorf("%s is not tested", l.name)
		}
		if reflect.DeepEqual(l.value, standard[i].value) {
			t.Errorf("%s is tested with its default", l.name)
		}
	}
	if got := len(set) + len(others); got != len(want) {
		t.Errorf("the tables have %d variables, Config has %d", got, len(want))
	}
}

// files makes a file for each name and returns what to put before a name to reach it.
func files(t *testing.T, names ...string) string {
	t.Helper()
	directory := t.TempDir() + string(filepath.Separator)
	for _, name := range names {
		if err := os.WriteFile(directory+name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestNamesAreFullUpperCaseAndUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, l := range leaves(config.Default()) {
		if seen[l.name] {
			t.Errorf("%s is declared twice", l.name)
		}
		seen[l.name] = true
		if l.name != strings.ToUpper(l.name) || l.tag.Get("desc") == "" {
			t.Errorf("%s is not upper case or lacks a description", l.name)
		}
	}
}
