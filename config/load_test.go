package config_test

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

// marker stands for a secret in every value that must not be quoted.
const marker = "s3cr3t-m4rk3r"

// setEnvironment leaves the variables given as the only ones of ours, whatever the machine has set.
func setEnvironment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range []string{"REVOKER_", "NATS_", "AUTHLETE_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // puts the old value back after the test
				os.Unsetenv(name)
			}
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// leaf is one field of Config that a variable sets.
type leaf struct {
	name  string
	tag   reflect.StructTag
	value any
}

func leaves(cfg config.Config) []leaf { return leavesOf(reflect.ValueOf(cfg)) }

func leavesOf(structure reflect.Value) []leaf {
	var list []leaf
	for i := range structure.NumField() {
		field := structure.Type().Field(i)
		if name := field.Tag.Get("envconfig"); name != "" {
			list = append(list, leaf{name, field.Tag, structure.Field(i).Interface()})
		} else {
			list = append(list, leavesOf(structure.Field(i))...)
		}
	}
	return list
}

// variableOf returns the name that a line of an error begins with.
func variableOf(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return name
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	for name, c := range map[string]struct{ got, want any }{
		"stream":              {cfg.Stream, "SESSIONS"},
		"subject":             {cfg.Subject, "session.ended"},
		"bulk subject":        {cfg.BulkSubject, "session.ended.bulk"},
		"bulk consumer":       {cfg.BulkConsumer, "revoker-bulk"},
		"dead-letter stream":  {cfg.DeadLetterStream, "SESSIONS_DLQ"},
		"dead-letter subject": {cfg.DeadLetterSubject, "dlq.session.ended"},
		"concurrency":         {cfg.Concurrency, 64},
		"rate limit":          {cfg.RateLimit, 0.0},
		"ack wait":            {cfg.AckWait, 10 * time.Second},
		"max ack pending":     {cfg.MaxAckPending, 50000},
		"retry jitter":        {cfg.RetryJitter, 0.5},
		"retry max attempts":  {cfg.RetryMaxAttempts, 20},
		"retry max age":       {cfg.RetryMaxAge, 6 * time.Hour},
		"ops address":         {cfg.OpsAddr, "127.0.0.1:8080"},
		"log level":           {cfg.LogLevel, slog.LevelInfo},
		"insecure HTTP":       {cfg.API.AllowInsecureHTTP, false},
		"base URL":            {cfg.API.BaseURL, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

func TestLoadOfAnEmptyEnvironmentIsTheDefault(t *testing.T) {
	setEnvironment(t, nil)
	loadEquals(t, config.Default())
}

func TestDefaultIgnoresTheEnvironment(t *testing.T) {
	setEnvironment(t, map[string]string{"REVOKER_CONCURRENCY": "7", "NATS_TOKEN": marker})
	if cfg := config.Default(); cfg.Concurrency != 64 || !cfg.NATS.Token.IsZero() {
		t.Errorf("got %+v", cfg)
	}
}

func TestEmptyValuesCountAsUnset(t *testing.T) {
	empty := map[string]string{}
	for _, l := range leaves(config.Default()) {
		empty[l.name] = ""
	}
	setEnvironment(t, empty)
	want := config.Default()
	want.OpsAddr, want.BulkSubject, want.Receive.OpsAddr = "", "", ""
	loadEquals(t, want)
}

func TestBareNamesHaveNoEffect(t *testing.T) {
	bare := map[string]string{}
	for _, l := range leaves(config.Default()) {
		if name, ours := strings.CutPrefix(l.name, config.Prefix); ours {
			bare[name] = "7"
		}
	}
	setEnvironment(t, bare)
	loadEquals(t, config.Default())
}

func TestUnknownNamesOfOurPrefixAreRefused(t *testing.T) {
	for name, refused := range map[string]bool{
		"REVOKER_TYPO":           true,
		"REVOKER_":               true,
		"REVOKER_STREAMS":        true,
		"REVOKER_NATS_URL":       true,
		"REVOKER_SERVICE_ID":     true,
		"REVOKER_PORTS":          true,
		"MY_REVOKER_TYPO":        false,
		"AUTHLETE_SOMETHING_NEW": false,
		"NATS_SOMETHING_NEW":     false,
	} {
		t.Run(name, func(t *testing.T) {
			for _, value := range []string{marker, ""} {
				setEnvironment(t, map[string]string{name: value})
				_, err := config.Load()
				if (err != nil) != refused {
					t.Errorf("with %q: got %v, refused should be %v", value, err, refused)
				}
				if refused {
					onlyNames(t, err, name)
				}
			}
		})
	}
}

func TestEveryErrorIsReportedAtOnce(t *testing.T) {
	wrong := map[string]string{"REVOKER_TYPO": marker}
	for _, l := range leaves(config.Default()) {
		switch l.value.(type) {
		case int, float64, bool, time.Duration, slog.Level:
			wrong[l.name] = marker
		}
	}
	for _, name := range []string{
		"REVOKER_STREAM", "REVOKER_SUBJECT", "REVOKER_CONSUMER", "REVOKER_BULK_SUBJECT", "REVOKER_BULK_CONSUMER", "REVOKER_DEAD_LETTER_STREAM", "REVOKER_DEAD_LETTER_SUBJECT",
		"REVOKER_RECEIPTS", "REVOKER_RECEIPT_STREAM", "REVOKER_RECEIPT_SUBJECT", "REVOKER_RECEIPT_MAX_AGE", "REVOKER_RECEIPT_MAX_COUNT",
		"REVOKER_RETENTION", "REVOKER_LOG_FORMAT", "REVOKER_OPS_ADDR", "REVOKER_ALLOWED_SERVICE_IDS",
	} {
		wrong[name] = marker + " with a space"
	}
	for _, name := range []string{"NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY"} {
		wrong[name] = marker
	}
	wrong["NATS_URL"] = "nats://user:" + marker + "@[::1"
	wrong["NATS_USER"], wrong["NATS_TOKEN"] = marker, marker
	setEnvironment(t, wrong)

	cfg, err := config.Load()
	err = errors.Join(err, cfg.ValidateAPI()) // as the commands do
	missing := []string{"AUTHLETE_BASE_URL", "AUTHLETE_SERVICE_ID", "AUTHLETE_BEARER", "NATS_PASSWORD"}
	onlyNames(t, err, slices.AppendSeq(missing, maps.Keys(wrong))...)
}

func loadEquals(t *testing.T, want config.Config) {
	t.Helper()
	got, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// onlyNames fails the test unless the lines of err begin with the variables of want, all of them and no others, and no
// value is quoted.
func onlyNames(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that names %v", want)
	}
	var named []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		named = append(named, strings.Split(variableOf(line), ", ")...)
	}
	slices.Sort(named)
	slices.Sort(want)
	if named = slices.Compact(named); !slices.Equal(named, want) {
		t.Errorf("named %v\nwant  %v\nin:\n%v", named, want, err)
	}
	if strings.Contains(err.Error(), marker) {
		t.Errorf("a value is quoted in:\n%v", err)
	}
}
