package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"revoker/config"
)

const unitFile = "../../deploy/systemd/revoker.service"

// unit reads the settings of the systemd unit; a setting may occur more than once.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// environment is what the unit sets, with its credentials in a folder.
func environment(settings map[string][]string, credentials string) (list []string) {
	for _, line := range settings["Environment"] {
		for variable := range strings.FieldsSeq(line) {
			list = append(list, strings.ReplaceAll(variable, "%d", credentials))
		}
	}
	return list
}

// A wrong configuration is not tried again and again; whatever else ends a worker, a crash of the Go runtime included, is.
func TestTheUnitRestartsAllButAWrongConfiguration(t *testing.T) {
	t.Parallel()
	prevented := strings.Fields(strings.Join(unit(t)["RestartPreventExitStatus"], " "))
	if want := []string{strconv.Itoa(exitConfiguration)}; !slices.Equal(prevented, want) || unit(t)["Restart"][0] != "always" {
		t.Errorf("the unit does not restart after %v, want %v", prevented, want)
	}
	s := newSite(t, simulator{})
	s.startNATS()
	wrong := start(t, s.env("REVOKER_CONCURRENCY=many"), binary(t, "revoker"), "run")
	if code := wrong.wait(); code != exitConfiguration {
		t.Errorf("a wrong configuration ends with %d, want %d", code, exitConfiguration)
	}
	crashing := s.startWorker()
	crashing.signal(syscall.SIGQUIT) // the Go runtime ends as after a panic
	if code := crashing.wait(); code <= 0 || slices.Contains(prevented, strconv.Itoa(code)) {
		t.Errorf("a crash ends with %d, after which the unit does not restart", code)
	}
}

// The command, its variables and its credentials are revoker's, and a stop waits for the drain.
func TestTheUnitRunsRevoker(t *testing.T) {
	t.Parallel()
	settings := unit(t)
	s := newSite(t, simulator{})
	s.startNATS()
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, "authlete-token"), []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment(settings, credentials)
	for _, credential := range settings["LoadCredential"] {
		name, _, _ := strings.Cut(credential, ":")
		if !strings.Contains(strings.Join(env, " ")+" ", "="+credentials+"/"+name+" ") {
			t.Errorf("nothing uses credential %s", name)
		}
	}
	// This server knows no credentials file; an empty variable is none.
	env = append(env, "NATS_CREDS=", "AUTHLETE_BEARER=")
	command := strings.Fields(settings["ExecStart"][0])
	p := start(t, append(s.env(), env...), binary(t, filepath.Base(command[0])), command[1:]...)
	waitFor(t, "worker", func() bool { return strings.Contains(p.stderr.String(), `"msg":"working"`) })
	s.publish(0, 1)
	waitFor(t, "revocation with the credential", func() bool { return len(s.sessions()) == 1 })
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	drain := regexp.MustCompile(`REVOKER_DRAIN_TIMEOUT=(\S+)`).FindStringSubmatch(strings.Join(env, " "))
	patience, err := time.ParseDuration(settings["TimeoutStopSec"][0] + "s")
	if err != nil || drain == nil || drain[1] != config.Default().DrainTimeout.String() || patience < config.Default().DrainTimeout+flushTimeout {
		t.Errorf("drain timeout %v, stop after %v: %v", drain, patience, err)
	}
}
