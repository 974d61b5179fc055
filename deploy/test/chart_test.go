package deploy_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
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
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const (
	chartFolder = "../helm/revoker"
	runbooks    = "https://git.example.com/identity/revoker/deploy/prometheus/runbooks"
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
	"networking.k8s.io/v1 Ingress":            func() any { return &networking.Ingress{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return &autoscaling.HorizontalPodAutoscaler{} },
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

// loadChart reads the chart once for all tests.
var loadChart = sync.OnceValues(func() (*chart.Chart, error) {
	return loader.Load(chartFolder)
})

// render is `helm template revoker`: the rendered objects, by kind and name.
func render(t *testing.T, given values) (map[string]any, error) {
	t.Helper()
	return renderAs(t, "revoker", given)
}

// renderAs renders a release of another name.
func renderAs(t *testing.T, name string, given values) (map[string]any, error) {
	t.Helper()
	revoker, err := loadChart()
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: name, Namespace: "identity", IsInstall: true}
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
	encoded, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	// The API server's own decoder. Unlike Go's it also refuses a field whose letters have another case.
	wrong, err := strictjson.UnmarshalStrict(encoded, object)
	if err := errors.Join(append(wrong, err)...); err != nil {
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
	for _, object := range objects {
		if d, ok := object.(*apps.Deployment); ok && d.Spec.Selector.MatchLabels["app.kubernetes.io/component"] == "worker" {
			return d
		}
	}
	t.Fatalf("no deployment among %v", slices.Collect(maps.Keys(objects)))
	return nil
}

// As in `helm lint`: with all on, and without a value.
func TestTheChartIsClean(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]values{"full": full(), "bare": {}} {
		for _, m := range lint.RunAll(chartFolder, given, "identity").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// Helm warns of each link whenever it loads the chart.
func TestTheChartHasNoSymbolicLink(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(chartFolder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			t.Errorf("%s is a link", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
	if objects := mustRender(t, full()); len(objects) != 13 {
		t.Errorf("with all on there are %d objects: %v", len(objects), slices.Sorted(maps.Keys(objects)))
	}
}

// What is wrong is refused with the value's name.
func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]values{
		"AUTHLETE_BASE_URL":              {"authlete": values{"secret": "a"}},
		"AUTHLETE_SERVICE_ID":            {"authlete": values{"secret": "a"}, "config": values{"AUTHLETE_BASE_URL": "https://us.authlete.com"}},
		"/image/digest":                  with("image.digest", "sha256:123"),
		"/podSecurityContext/runAsUser":  with("podSecurityContext.runAsUser", 0),
		"nats.tlsKeys":                   with("nats.tlsSecret", "nats-tls", "nats.tlsKeys.cert", "tls.crt"),
		"ingress.hosts":                  with("ingress.enabled", true),
		"/ingress/hosts/0":               with("ingress.enabled", true, "ingress.hosts", []any{"*.example"}),
		"resources.requests.cpu":         with("autoscaling.enabled", true, "autoscaling.by", "cpu", "resources.requests.cpu", nil),
		"/autoscaling/by":                with("autoscaling.by", "memory"),
		"authlete.secret":                with("authlete.secret", ""),
		"REVOKER_TYPO":                   with("config.REVOKER_TYPO", 1),
		"AUTHLETE_BEARER":                with("config.AUTHLETE_BEARER", "in clear"),
		"replica":                        with("replica", 3),
		"/replicas":                      with("replicas", "three"),
		"/nats/kind":                     with("nats.kind", "cred"),
		"/autoscaling/minReplicas":       with("autoscaling.minReplicas", 0),
		"nats.user":                      with("nats.secret", "nats", "nats.kind", "user"),
		"autoscaling.monitoringEndpoint": with("autoscaling.enabled", true, "autoscaling.account", "A"),
		"/prometheusRule/runbookBaseURL": with("prometheusRule.runbookBaseURL", "README.md"),
		"autoscaling.account":            with("autoscaling.enabled", true, "autoscaling.monitoringEndpoint", "a:1"),
	} {
		if _, err := render(t, given); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "'", ""), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A chart can't have files outside of its folder, so it has copies.
func TestTheChartsFilesAreTheOriginals(t *testing.T) {
	t.Parallel()
	for _, original := range []string{"grafana/revoker.json", "prometheus/revoker.rules.yml"} {
		text, file := read(t, root, "deploy", original), filepath.Join(chartFolder, "files", filepath.Base(original))
		switch {
		case read(t, file) == text:
		case *update:
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s is not deploy/%s; `go test -run Original -update .` copies it", file, original)
		}
	}
}
