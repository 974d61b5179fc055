package systemtest

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/config"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const unitFile = "../../../deploy/systemd/revoker.service"

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

// A wrong configuration is not tried again and again; whatever else ends a worker, a crash of the Go runtime included, is.
func TestTheUnitRestartsAllButAWrongConfiguration(t *testing.T) {
	t.Parallel()
	prevented := strings.Fields(strings.Join(unit(t)["RestartPreventExitStatus"], " "))
	if want := []string{strconv.Itoa(exit.CodeConfiguration)}; !slices.Equal(prevented, want) || unit(t)["Restart"][0] != "always" {
		t.Errorf("the unit does not restart after %v, want %v", prevented, want)
	}
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	wrong := testproc.Start(t, s.Env("REVOKER_CONCURRENCY=many"), testproc.Binary(t, "revoker"), "run")
	if code := wrong.Wait(); code != exit.CodeConfiguration {
		t.Errorf("a wrong configuration ends with %d, want %d", code, exit.CodeConfiguration)
	}
	crashing := s.StartWorker()
	crashing.Signal(syscall.SIGQUIT) // the Go runtime ends as after a panic
	if code := crashing.Wait(); code <= 0 || slices.Contains(prevented, strconv.Itoa(code)) {
		t.Errorf("a crash ends with %d, after which the unit does not restart", code)
	}
}

// The command and its variables are revoker's, and a stop waits for the drain.
func TestTheUnitRunsRevoker(t *testing.T) {
	t.Parallel()
	i := install(t, testsite.Token)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	p := i.start(whereabouts(s)...)
	s.Publish(0, 1)
	testproc.WaitFor(t, "revocation", func() bool { return s.Sessions()["SECRET-session-0"].Revoked() })
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	drain := regexp.MustCompile(`REVOKER_DRAIN_TIMEOUT=(\S+)`).FindStringSubmatch(strings.Join(i.settings["Environment"], " "))
	patience, err := time.ParseDuration(i.settings["TimeoutStopSec"][0] + "s")
	if err != nil || drain == nil || drain[1] != config.Default().DrainTimeout.String() || patience < config.Default().DrainTimeout+connection.FlushTimeout {
		t.Errorf("drain timeout %v, stop after %v: %v", drain, patience, err)
	}
}
