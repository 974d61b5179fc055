package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	chartFolder = "../helm/revoker"
	runbooks    = "https://git.example.com/identity/revoker/deploy/prometheus/README.md"
)

type values = map[string]any

// kinds are the real types of what the chart may render.
var kinds = map[string]func() any{
	"v1 ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1 Service":                              func() any { return &core.Service{} },
	"v1 ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1 Deployment":                      func() any { return &apps.Deployment{} },
	"batch/v1 Job":                            func() any { return &batch.Job{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"keda.sh/v1alpha1 ScaledObject":           func() any { return &keda.ScaledObject{} },
}

// with adds values to the least that an installation needs; the name of one below another is "a.b".
func with(pairs ...any) values {
	all := values{
		"config":   values{"AUTHLETE_BASE_URL": "https://us.authlete.com", "AUTHLETE_SERVICE_ID": "1234567890"},
		"authlete": values{"secret": "authlete"},
	}
	for i := 0; i < len(pairs); i += 2 {
		path := strings.Split(pairs[i].(string), ".")
		at := all
		for _, name := range path[:len(path)-1] {
			if at[name] == nil {
				at[name] = values{}
			}
			at = at[name].(values)
		}
		at[path[len(path)-1]] = pairs[i+1]
	}
	return all
}

// loadChart tells of symbolic links each time, so once is enough.
var loadChart = sync.OnceValues(func() (*chart.Chart, error) {
	return loader.Load(chartFolder)
})

// render is `helm template`: the rendered objects, by kind and name.
func render(t *testing.T, given values) (map[string]any, error) {
	t.Helper()
	revoker, err := loadChart()
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "revoker", Namespace: "identity", IsInstall: true}
	all, err := util.ToRenderValues(revoker, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), revoker, all)
	if err != nil {
		return nil, err
	}
	objects := map[string]any{}
	for file, text := range files {
		if strings.HasSuffix(file, ".yaml") && strings.TrimSpace(text) != "" {
			name, object := decode(t, file, text)
			objects[name] = object
		}
	}
	return objects, nil
}

// decode reads an object as the API server would that refuses unknown and repeated fields.
func decode(t *testing.T, file, text string) (name string, object any) {
	t.Helper()
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	newObject := kinds[head.APIVersion+" "+head.Kind]
	if newObject == nil {
		t.Fatalf("%s: a %s %s", file, head.APIVersion, head.Kind)
	}
	object = newObject()
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	return head.Kind + " " + head.Metadata.Name, object
}

func mustRender(t *testing.T, given values) map[string]any {
	t.Helper()
	objects, err := render(t, given)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func worker(t *testing.T, objects map[string]any) *apps.Deployment {
	t.Helper()
	d, ok := objects["Deployment revoker"].(*apps.Deployment)
	if !ok {
		t.Fatalf("no deployment among %v", slices.Collect(maps.Keys(objects)))
	}
	return d
}

// full turns all on.
func full() values {
	return with(
		"nats.secret", "nats-worker", "nats.kind", "nkey", "nats.tlsSecret", "nats-tls",
		"config.NATS_URL", "tls://a.example:4443,tls://b.example", "config.NATS_INBOX_PREFIX", "_INBOX_worker", "config.REVOKER_MAX_ACK_PENDING", 1000000,
		"setup.nats.secret", "nats-operator", "setup.nats.kind", "user", "setup.nats.user", "operator", "setup.nats.inboxPrefix", "_INBOX_operator",
		"console.secret", "console", "serviceMonitor.enabled", true, "serviceMonitor.labels", values{"release": "prometheus"},
		"prometheusRule.enabled", true, "prometheusRule.labels", values{"release": "prometheus"}, "prometheusRule.runbookBaseURL", runbooks,
		"dashboard.enabled", true,
		"autoscaling.enabled", true, "autoscaling.monitoringEndpoint", "nats.nats.svc:8222", "autoscaling.account", "REVOKER",
		"networkPolicy.extraEgress", []any{values{"ports": []any{values{"port": 4318, "protocol": "TCP"}}}},
		"networkPolicy.ingressFrom", []any{values{"namespaceSelector": values{"matchLabels": values{"name": "monitoring"}}}},
		"extraEnv", []any{values{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}},
		"image.pullSecrets", []any{values{"name": "registry"}}, "podAnnotations", values{"a": "b"}, "podLabels", values{"c": "d"},
		"nodeSelector", values{"disk": "ssd"}, "tolerations", []any{values{"key": "spot", "operator": "Exists"}},
		"affinity", values{"nodeAffinity": values{}}, "topologySpreadConstraints", []any{values{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}},
	)
}

// matrix is what installations are likely to be.
func matrix() map[string]values {
	all := map[string]values{
		"least": with(), "full": full(), "no setup": with("setup.enabled", false), "one worker": with("replicas", 1),
		"no budget": with("podDisruptionBudget.enabled", false), "no network policy": with("networkPolicy.enabled", false),
		"no resources": with("resources", values{"limits": nil, "requests": nil}), "no drain": with("drainTimeoutSeconds", 0),
	}
	for _, kind := range []string{"creds", "nkey", "user", "token"} {
		for _, setup := range []string{"", "nats-operator"} {
			all[fmt.Sprintf("%s, setup %q", kind, setup)] = with("nats.secret", "nats", "nats.kind", kind, "setup.nats.secret", setup, "setup.nats.kind", kind)
		}
	}
	return all
}

func TestTheChartIsClean(t *testing.T) {
	t.Parallel()
	linter := lint.RunAll(chartFolder, full(), "identity")
	for _, m := range linter.Messages {
		if m.Severity > support.InfoSev {
			t.Error(m)
		}
	}
}

func TestEveryObjectIsWhatItsAPIKnows(t *testing.T) {
	t.Parallel()
	for name, given := range matrix() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := mustRender(t, given)
			for object, is := range objects {
				if text, err := json.Marshal(is); err != nil || strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "%!") {
					t.Errorf("%s: %v %s", object, err, text)
				}
			}
			checkWorker(t, objects)
		})
	}
	if objects := mustRender(t, full()); len(objects) != 11 {
		t.Errorf("with all on there are %d objects: %v", len(objects), slices.Sorted(maps.Keys(objects)))
	}
}

// What is wrong is refused with the value's name.
func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]values{
		"AUTHLETE_BASE_URL":              {"authlete": values{"secret": "a"}},
		"authlete.secret":                with("authlete.secret", ""),
		"REVOKER_TYPO":                   with("config.REVOKER_TYPO", 1),
		"AUTHLETE_BEARER":                with("config.AUTHLETE_BEARER", "in clear"),
		"replica":                        with("replica", 3),
		"/replicas":                      with("replicas", "three"),
		"/nats/kind":                     with("nats.kind", "cred"),
		"/autoscaling/minReplicas":       with("autoscaling.minReplicas", 0),
		"autoscaling.monitoringEndpoint": with("autoscaling.enabled", true, "autoscaling.account", "A"),
		"/prometheusRule/runbookBaseURL": with("prometheusRule.runbookBaseURL", "README.md"),
		"autoscaling.account":            with("autoscaling.enabled", true, "autoscaling.monitoringEndpoint", "a:1"),
	} {
		if _, err := render(t, given); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "'", ""), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
