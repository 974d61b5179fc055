package deploy_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// pods are the pods of the worker and of the setup job.
func pods(t *testing.T, objects map[string]any) map[string]core.PodTemplateSpec {
	t.Helper()
	return map[string]core.PodTemplateSpec{
		"worker": worker(t, objects).Spec.Template,
		"setup":  objects["Job revoker-setup"].(*batch.Job).Spec.Template,
	}
}

// A pod doesn't start if a key that it mounts is not in the Secret.
func TestATLSSecretNeedsOnlyWhatIsUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given     values
		keys      []string
		variables []string
	}{
		"only a CA":        {with("nats.tlsSecret", "tls"), []string{"ca.crt"}, []string{"NATS_CA"}},
		"a CA's other key": {with("nats.tlsSecret", "tls", "nats.tlsKeys.ca", "root.pem"), []string{"root.pem"}, []string{"NATS_CA"}},
		"only a client certificate": {
			with("nats.tlsSecret", "tls", "nats.tlsKeys", values{"ca": "", "cert": "tls.crt", "key": "tls.key"}),
			[]string{"tls.crt", "tls.key"}, []string{"NATS_CERT", "NATS_KEY"},
		},
		"both": {
			with("nats.tlsSecret", "tls", "nats.tlsKeys", values{"cert": "tls.crt", "key": "tls.key"}),
			[]string{"ca.crt", "tls.crt", "tls.key"}, []string{"NATS_CA", "NATS_CERT", "NATS_KEY"},
		},
	} {
		for which, pod := range pods(t, mustRender(t, c.given)) {
			var keys, variables []string
			for _, volume := range pod.Spec.Volumes {
				if volume.Name == "nats-tls" {
					for _, item := range volume.Secret.Items {
						keys = append(keys, item.Key)
					}
				}
			}
			for _, variable := range pod.Spec.Containers[0].Env {
				if strings.HasPrefix(variable.Value, "/etc/revoker/nats-tls/") {
					variables = append(variables, variable.Name)
				}
			}
			if !slices.Equal(keys, c.keys) || !slices.Equal(variables, c.variables) {
				t.Errorf("%s, %s: it mounts %v and sets %v", name, which, keys, variables)
			}
		}
	}
}

// Without a word about it, workers are spread over zones and nodes, and never wait for a place.
func TestWorkersAreSpread(t *testing.T) {
	t.Parallel()
	pod := worker(t, mustRender(t, with())).Spec.Template
	var keys []string
	for _, c := range pod.Spec.TopologySpreadConstraints {
		keys = append(keys, c.TopologyKey)
		selects, err := meta.LabelSelectorAsSelector(c.LabelSelector)
		if err != nil || selects.Empty() || c.WhenUnsatisfiable != core.ScheduleAnyway || !slices.Contains(c.MatchLabelKeys, "pod-template-hash") {
			t.Errorf("%+v: %v", c, err)
		}
		if !matches(c.LabelSelector.MatchLabels, pod.Labels) {
			t.Errorf("%v counts other pods", c.LabelSelector.MatchLabels)
		}
	}
	if !slices.Equal(keys, []string{core.LabelTopologyZone, core.LabelHostname}) {
		t.Errorf("spread over %v", keys)
	}
	own := []any{values{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": values{"matchLabels": values{"a": "b"}}, "matchLabelKeys": []any{"c"}}}
	got := worker(t, mustRender(t, with("topologySpreadConstraints", own))).Spec.Template.Spec.TopologySpreadConstraints
	if len(got) != 1 || got[0].LabelSelector.MatchLabels["a"] != "b" || !slices.Equal(got[0].MatchLabelKeys, []string{"c"}) {
		t.Errorf("%+v", got)
	}
	if got := worker(t, mustRender(t, with("topologySpreadConstraints", []any{}))).Spec.Template.Spec.TopologySpreadConstraints; len(got) != 0 {
		t.Errorf("turned off, there are %+v", got)
	}
}

// The release is called revoker.
func TestNamesCanBeReplaced(t *testing.T) {
	t.Parallel()
	all := full()
	all["nameOverride"], all["fullnameOverride"], all["serviceAccount"] = "logout", "global-logout", values{"name": "identity"}
	for object := range mustRender(t, all) {
		if !strings.Contains(object, " global-logout") && object != "ServiceAccount identity" {
			t.Errorf("%s has the old name", object)
		}
	}
	d := worker(t, mustRender(t, with("nameOverride", "logout")))
	if d.Name != "revoker-logout" || d.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != "logout" {
		t.Errorf("%s selects %v", d.Name, d.Spec.Selector.MatchLabels)
	}
	without := mustRender(t, with("serviceAccount.create", false, "serviceAccount.name", "identity"))
	if without["ServiceAccount revoker"] != nil || worker(t, without).Spec.Template.Spec.ServiceAccountName != "identity" {
		t.Errorf("the service account: %v", slices.Sorted(maps.Keys(without)))
	}
}

// Helm takes names for a release that a Service can't have.
func TestEveryNameIsOneThatAServiceTakes(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]string{"identity": "identity-revoker", strings.Repeat("x", 53): strings.Repeat("x", 50), "my.release": "", "1st": ""} {
		objects, err := renderAs(t, release, with())
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "fullnameOverride")):
			t.Errorf("release %s: %v", release, err)
		case want != "" && (err != nil || objects["Service "+want] == nil):
			t.Errorf("release %s: no service %s among %v, %v", release, want, slices.Collect(maps.Keys(objects)), err)
		}
		if _, err := renderAs(t, release, with("fullnameOverride", "revoker")); err != nil {
			t.Errorf("release %s, its name replaced: %v", release, err)
		}
	}
	for _, tag := range []string{"v9-", "_v9", strings.Repeat("v", 62) + ".9"} {
		version := worker(t, mustRender(t, with("image.tag", tag))).Labels["app.kubernetes.io/version"]
		if wrong := validation.IsValidLabelValue(version); len(wrong) > 0 || version == "" {
			t.Errorf("tag %s: the label %q: %v", tag, version, wrong)
		}
	}
}

func TestEveryObjectHasItsAnnotations(t *testing.T) {
	t.Parallel()
	own := map[string]string{"Ingress revoker": "e", "Service revoker": "g", "ServiceAccount revoker": "i", "Job revoker-setup": "helm.sh/hook"}
	for name, object := range mustRender(t, full()) {
		annotations := object.(meta.Object).GetAnnotations()
		if annotations["owner"] != "identity" || own[name] != "" && annotations[own[name]] == "" {
			t.Errorf("%s has %v", name, annotations)
		}
	}
}

// YAML reads words such as n, on and 1e3 as something else than text. mustRender decodes every object into its type.
func TestNamesThatYAMLReadsOtherwise(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"n", "on", "true", "null", "1e3", "123"} {
		given := with(
			"authlete.secret", name, "authlete.key", name, "nats.secret", name, "nats.key", name, "nats.tlsSecret", name, "console.secret", name, "console.key", name,
			"setup.nats.secret", name, "setup.nats.kind", "user", "setup.nats.user", name, "receive.enabled", true, "receive.token.secret", name,
			"receive.nats.secret", name, "receive.nats.kind", "token", "nameOverride", name, "serviceAccount.name", name, "priorityClassName", name, "image.tag", name,
			"ingress.enabled", true, "ingress.hosts", []any{name}, "ingress.className", name, "config.REVOKER_STREAM", name,
			"receive.ingress.enabled", true, "receive.ingress.hosts", []any{name}, "receive.ingress.className", name,
			"autoscaling.enabled", true, "autoscaling.monitoringEndpoint", name, "autoscaling.account", name,
		)
		if strings.Contains(name, "3") { // no name of a Service
			mustRender(t, given)
			continue
		}
		given["fullnameOverride"] = name
		if mustRender(t, given)["Service "+name] == nil {
			t.Errorf("no Service is named %s", name)
		}
	}
}

// The chart's own labels are what selectors look for, and its checksum is what makes a change of the configuration a rollout.
func TestNoAddedLabelReplacesOneOfTheCharts(t *testing.T) {
	t.Parallel()
	all := receiving()
	other := values{"app.kubernetes.io/name": "x", "app.kubernetes.io/instance": "x", "app.kubernetes.io/component": "x", "app.kubernetes.io/version": "x", "team": "identity"}
	for _, path := range [][]string{{"podLabels"}, {"setup", "podLabels"}, {"receive", "podLabels"}, {"serviceMonitor", "labels"}, {"prometheusRule", "labels"}, {"dashboard", "labels"}} {
		at := all
		for _, name := range path[:len(path)-1] {
			at = at[name].(values)
		}
		at[path[len(path)-1]] = other
	}
	all["podAnnotations"], all["receive"].(values)["podAnnotations"] = values{"checksum/config": "x"}, values{"checksum/config": "x"}
	objects := mustRender(t, all) // which refuses a key that is there twice
	both := pods(t, objects)
	both["receive"] = objects["Deployment revoker-receive"].(*apps.Deployment).Spec.Template
	for which, pod := range both {
		if pod.Labels["app.kubernetes.io/component"] != which || pod.Labels["app.kubernetes.io/instance"] != "revoker" || pod.Labels["team"] != "identity" || pod.Annotations["checksum/config"] == "x" {
			t.Errorf("%s: %v, %v", which, pod.Labels, pod.Annotations)
		}
	}
}

// Two releases of one namespace share no object, and neither selects what is the other's.
func TestTwoReleasesOfOneNamespace(t *testing.T) {
	t.Parallel()
	one, err := renderAs(t, "revoker", receiving())
	if err != nil {
		t.Fatal(err)
	}
	other, err := renderAs(t, "partners", receiving())
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]map[string]string{"receive": other["Deployment partners-revoker-receive"].(*apps.Deployment).Spec.Template.Labels, "worker": worker(t, other).Spec.Template.Labels,
		"setup": other["Job partners-revoker-setup"].(*batch.Job).Spec.Template.Labels, "service": other["Service partners-revoker"].(*core.Service).Labels}
	for name, object := range one {
		if other[name] != nil {
			t.Errorf("both have a %s", name)
		}
		for which, set := range labels {
			if selects := selectorOf(object); selects != nil && matches(selects, set) {
				t.Errorf("%s selects the %s of the other: %v", name, which, selects)
			}
		}
	}
}

func selectorOf(object any) map[string]string {
	switch o := object.(type) {
	case *apps.Deployment:
		return o.Spec.Selector.MatchLabels
	case *core.Service:
		return o.Spec.Selector
	case *policy.PodDisruptionBudget:
		return o.Spec.Selector.MatchLabels
	case *networking.NetworkPolicy:
		return o.Spec.PodSelector.MatchLabels
	case *monitoring.ServiceMonitor:
		return o.Spec.Selector.MatchLabels
	}
	return nil
}

func TestWhatIsAddedReachesThePods(t *testing.T) {
	t.Parallel()
	for which, pod := range pods(t, mustRender(t, full())) {
		c := pod.Spec.Containers[0]
		if c.Image != "revoker@"+digest {
			t.Errorf("%s runs %s", which, c.Image)
		}
		if pod.Spec.PriorityClassName != "high" {
			t.Errorf("%s has the priority %q", which, pod.Spec.PriorityClassName)
		}
		mounted := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/etc/extra" })
		there := slices.ContainsFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Name == "extra" && v.ConfigMap != nil })
		if !mounted || !there {
			t.Errorf("%s: the extra volume is mounted: %v, is there: %v", which, mounted, there)
		}
		for key, value := range map[string]map[string]string{"worker": {"a": "b"}, "setup": {"k": "l"}}[which] {
			if pod.Annotations[key] != value {
				t.Errorf("%s has the annotations %v", which, pod.Annotations)
			}
		}
		if name := map[string]string{"worker": "OTEL_EXPORTER_OTLP_ENDPOINT", "setup": "OTEL_SDK_DISABLED"}[which]; env(c.Env, name) == "" {
			t.Errorf("%s has no %s", which, name)
		}
	}
	if from := worker(t, mustRender(t, full())).Spec.Template.Spec.Containers[0].EnvFrom; len(from) != 2 || from[1].SecretRef.Name != "otel" {
		t.Errorf("the worker's variables are from %+v", from)
	}
	if image := worker(t, mustRender(t, with("image.tag", "v9"))).Spec.Template.Spec.Containers[0].Image; image != "revoker:v9" {
		t.Errorf("without a digest it runs %s", image)
	}
}

// OpenShift assigns the IDs, and refuses a pod that asks for others.
func TestTheUserIsTheClustersChoice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given any
		want  string
	}{
		"the image's": {nil, "65532 65532 65532"},
		"assigned":    {values{"runAsUser": nil, "runAsGroup": nil, "fsGroup": nil}, "none none none"},
		"another":     {values{"runAsUser": 1000680000, "fsGroup": float64(1000680000)}, "1000680000 65532 1000680000"},
	} {
		given := with()
		if c.given != nil {
			given["podSecurityContext"] = c.given
		}
		for which, pod := range pods(t, mustRender(t, given)) {
			var ids []string
			for _, id := range []*int64{pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsGroup, pod.Spec.SecurityContext.FSGroup} {
				if id == nil {
					ids = append(ids, "none")
				} else {
					ids = append(ids, strconv.FormatInt(*id, 10))
				}
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%s, %s: user, group and volume group are %s", name, which, got)
			}
		}
	}
}

func TestAutoscalingByCPU(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, with("autoscaling.enabled", true, "autoscaling.by", "cpu", "autoscaling.cpuPercent", 70))
	spec := objects["HorizontalPodAutoscaler revoker"].(*autoscaling.HorizontalPodAutoscaler).Spec
	d := worker(t, objects)
	if spec.ScaleTargetRef.Name != d.Name || spec.ScaleTargetRef.Kind != "Deployment" || *spec.MinReplicas != 1 || spec.MaxReplicas != 4 {
		t.Errorf("%+v", spec)
	}
	if m := spec.Metrics[0].Resource; m.Name != core.ResourceCPU || *m.Target.AverageUtilization != 70 {
		t.Errorf("%+v", m)
	}
	if d.Spec.Replicas != nil || objects["ScaledObject revoker"] != nil {
		t.Error("two decide on the number of workers")
	}
}

// Helm reads the numbers of a values file as floats.
func TestNumbersStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, with("config.REVOKER_MAX_ACK_PENDING", 100000000.0, "config.AUTHLETE_SERVICE_ID", 1234567890.0, "config.REVOKER_RETRY_SHARE", 0.25, "config.REVOKER_OPS_PPROF", true))
	data := objects["ConfigMap revoker"].(*core.ConfigMap).Data
	for name, want := range map[string]string{
		"REVOKER_MAX_ACK_PENDING": "100000000", "AUTHLETE_SERVICE_ID": "1234567890", "REVOKER_RETRY_SHARE": "0.25", "REVOKER_OPS_PPROF": "true",
	} {
		if inJob := env(objects["Job revoker-setup"].(*batch.Job).Spec.Template.Spec.Containers[0].Env, name); data[name] != want || inJob != want {
			t.Errorf("%s is %q for the worker and %q for the job", name, data[name], inJob)
		}
	}
}
