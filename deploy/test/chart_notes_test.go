package deploy_test

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/engine"
)

// notes is what `helm install` prints at its end.
func notes(t *testing.T, given values) string {
	t.Helper()
	revoker, err := loadChart()
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(revoker, given, common.ReleaseOptions{Name: "revoker", Namespace: "identity", IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), revoker, all)
	if err != nil {
		t.Fatal(err)
	}
	return files["revoker/templates/NOTES.txt"]
}

func TestTheNotesAreRight(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]values{
		"revoker:v9 takes events from stream LOGOUTS.\n":            with("image.tag", "v9", "config.REVOKER_STREAM", "LOGOUTS"),
		"revoker@" + digest + " takes events":                       with("image.digest", digest),
		"-n identity port-forward service/logout 8080:80\n":         with("fullnameOverride", "logout", "service.port", 80),
		"2 workers may make 128 calls":                              with(),
		"One worker may make 32768 calls":                           with("replicas", 1, "config.REVOKER_CONCURRENCY", 32768.0),
		"4 workers may make 512 calls":                              with("autoscaling.enabled", true, "autoscaling.by", "cpu", "config.REVOKER_CONCURRENCY", "128"),
		"service/revoker-receive, port 8090":                        with("receive.enabled", true, "receive.token.secret", "senders"),
		"Set prometheusRule.runbookBaseURL to the address at which": with("prometheusRule.enabled", true),
	} {
		if got := notes(t, given); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := notes(t, with("prometheusRule.enabled", true, "prometheusRule.runbookBaseURL", runbooks)); strings.Contains(got, "receive") || strings.Contains(got, "runbook") {
		t.Errorf("it speaks of what is not there, or is:\n%s", got)
	}
}
