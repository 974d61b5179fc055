package deploy_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"revoker/config"
)

// checkWorker holds what must be true of any installation.
func checkWorker(t *testing.T, objects map[string]any) {
	t.Helper()
	d := worker(t, objects)
	if d.Spec.Template.Spec.EnableServiceLinks == nil || *d.Spec.Template.Spec.EnableServiceLinks {
		t.Error("service links are on: every Service of the namespace adds variables")
	}
	for key, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Labels[key] != value {
			t.Errorf("the pods have no label %s=%s", key, value)
		}
	}
	for object, is := range objects {
		switch o := is.(type) {
		case *apps.Deployment:
			checkPod(t, object, o.Spec.Template)
		case *batch.Job:
			checkPod(t, object, o.Spec.Template)
			for _, volume := range o.Spec.Template.Spec.Volumes {
				if volume.ConfigMap != nil && objects["ConfigMap "+volume.ConfigMap.Name] != nil {
					t.Error("the hook runs before there is a ConfigMap")
				}
			}
			if o.Spec.Template.Spec.Containers[0].EnvFrom != nil || o.Spec.Template.Spec.ServiceAccountName != "" {
				t.Error("the hook needs an object of the release, which is not there yet")
			}
			if matches(d.Spec.Selector.MatchLabels, o.Spec.Template.Labels) {
				t.Error("the deployment takes the job's pod for its own")
			}
		case *core.Service:
			if !o.Spec.PublishNotReadyAddresses || !matches(o.Spec.Selector, d.Spec.Template.Labels) {
				t.Errorf("the service does not lead to workers that are not ready: %+v", o.Spec)
			}
		case *core.ConfigMap:
			for name := range o.Data {
				if object == "ConfigMap revoker" && !isVariable(name) {
					t.Errorf("revoker has no variable %s", name)
				}
			}
		}
	}
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// checkPod holds a pod against the restricted Pod Security Standard, and its variables and mounts against revoker.
func checkPod(t *testing.T, object string, pod core.PodTemplateSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s: %s", object, result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
		t.Errorf("%s has a token for the Kubernetes API, which it does not call", object)
	}
	c := pod.Spec.Containers[0]
	if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s can write to its file system", object)
	}
	for _, variable := range c.Env {
		name := variable.Name
		if !isVariable(name) && !strings.HasPrefix(name, "OTEL_") {
			t.Errorf("%s: revoker has no variable %s", object, name)
		}
		secret := slices.Contains([]string{"NATS_PASSWORD", "NATS_TOKEN", "AUTHLETE_BEARER", "REVOKER_CONSOLE_TOKEN"}, name)
		if secret && (variable.Value != "" || variable.ValueFrom.SecretKeyRef == nil) {
			t.Errorf("%s: %s is in clear", object, name)
		}
		if strings.HasPrefix(variable.Value, "/") && !mountedFile(pod.Spec, variable.Value) {
			t.Errorf("%s: nothing is mounted for %s=%s", object, name, variable.Value)
		}
	}
	for _, mount := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name }) {
			t.Errorf("%s: no volume %s", object, mount.Name)
		}
	}
}

// mountedFile reports whether a Secret or a ConfigMap is mounted so that it has this file.
func mountedFile(pod core.PodSpec, path string) bool {
	for _, mount := range pod.Containers[0].VolumeMounts {
		for _, volume := range pod.Volumes {
			var items []core.KeyToPath
			switch {
			case volume.Secret != nil:
				items = volume.Secret.Items
			case volume.ConfigMap != nil:
				items = volume.ConfigMap.Items
			}
			if volume.Name == mount.Name && slices.ContainsFunc(items, func(item core.KeyToPath) bool {
				return mount.MountPath+"/"+item.Path == path
			}) {
				return true
			}
		}
	}
	return false
}

func env(list []core.EnvVar, name string) string {
	for _, variable := range list {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

// Ports, paths, times and user are those of revoker and of its image.
func TestTheChartFitsRevoker(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, full())
	d := worker(t, objects)
	c := d.Spec.Template.Spec.Containers[0]
	dockerfile := read(t, root, "deploy/docker/Dockerfile")
	if !strings.Contains(dockerfile, "\nUSER 65532:65532\n") || *d.Spec.Template.Spec.SecurityContext.RunAsUser != 65532 {
		t.Error("the user is another one than the image's")
	}
	if got := env(c.Env, "REVOKER_OPS_ADDR"); got != ":8080" || c.Ports[0].ContainerPort != 8080 {
		t.Errorf("it listens on %s, the port is %d", got, c.Ports[0].ContainerPort)
	}
	if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("the probes ask %s and %s", c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path)
	}
	ops := read(t, root, "worker/ops/ops.go")
	for _, path := range []string{"/livez", "/readyz", objects["ServiceMonitor revoker"].(*monitoring.ServiceMonitor).Spec.Endpoints[0].Path} {
		if !strings.Contains(ops, ` `+path+`"`) {
			t.Errorf("revoker does not serve %s", path)
		}
	}
	if got := env(c.Env, "REVOKER_DRAIN_TIMEOUT"); got != config.Default().DrainTimeout.String() || *d.Spec.Template.Spec.TerminationGracePeriodSeconds != 35 {
		t.Errorf("drain timeout %s, grace period %d", got, *d.Spec.Template.Spec.TerminationGracePeriodSeconds)
	}
	if d.Spec.Replicas != nil {
		t.Error("the deployment and KEDA would both decide on the number of workers")
	}
	if got := objects["ConfigMap revoker"].(*core.ConfigMap).Data["REVOKER_MAX_ACK_PENDING"]; got != "1000000" {
		t.Errorf("a large number becomes %s", got)
	}
	var ports []int32
	for _, rule := range objects["NetworkPolicy revoker"].(*networking.NetworkPolicy).Spec.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntVal)
		}
	}
	if !slices.Equal(ports, []int32{53, 53, 4443, 4222, 443, 4318}) {
		t.Errorf("it may reach ports %v", ports)
	}
}

// The setup job has the operator's identity, not the worker's, and otherwise the same configuration.
func TestTheSetupJobIsTheOperator(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, full())
	job := objects["Job revoker-setup"].(*batch.Job)
	variables := job.Spec.Template.Spec.Containers[0].Env
	for name, want := range map[string]string{
		"NATS_USER": "operator", "NATS_INBOX_PREFIX": "_INBOX_operator", "NATS_NKEY": "", "REVOKER_MAX_ACK_PENDING": "1000000", "NATS_CA": "/etc/revoker/nats-tls/ca.crt",
	} {
		if got := env(variables, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if hooks := job.Annotations["helm.sh/hook"]; hooks != "pre-install,pre-upgrade" {
		t.Errorf("it runs at %s", hooks)
	}
	shared := mustRender(t, with("nats.secret", "nats", "nats.kind", "creds"))["Job revoker-setup"].(*batch.Job)
	if got := env(shared.Spec.Template.Spec.Containers[0].Env, "NATS_CREDS"); got == "" {
		t.Error("without one of its own it has no identity")
	}
}

// A wrong configuration ends the job at once; another failure, a NATS server that is not up yet for example, is tried again.
func TestTheSetupJobDoesNotRetryAWrongConfiguration(t *testing.T) {
	t.Parallel()
	job := mustRender(t, full())["Job revoker-setup"].(*batch.Job)
	code := regexp.MustCompile(`CodeConfiguration = (\d+)`).FindStringSubmatch(read(t, root, "cmd/revoker/exit/exit.go"))
	if job.Spec.PodFailurePolicy == nil || len(job.Spec.PodFailurePolicy.Rules) != 1 || code == nil {
		t.Fatalf("policy %+v, code %v", job.Spec.PodFailurePolicy, code)
	}
	rule, name := job.Spec.PodFailurePolicy.Rules[0], job.Spec.Template.Spec.Containers[0].Name
	exit := rule.OnExitCodes
	if rule.Action != batch.PodFailurePolicyActionFailJob || *exit.ContainerName != name || exit.Operator != batch.PodFailurePolicyOnExitCodesOpIn ||
		len(exit.Values) != 1 || strconv.Itoa(int(exit.Values[0])) != code[1] {
		t.Errorf("%s after %+v, want exit code %s", rule.Action, exit, code[1])
	}
}

// The limit of memory holds what the code says that the concurrency needs, at the configuration's bounds too.
func TestTheMemoryLimitHoldsTheConcurrency(t *testing.T) {
	t.Parallel()
	code := read(t, root, "cmd/revoker/memory/memory.go")
	figure := func(name, shift string) int64 {
		match := regexp.MustCompile(name + ` += (\d+) << ` + shift + "\n").FindStringSubmatch(code)
		if match == nil {
			t.Fatalf("no %s in memory.go", name)
		}
		n, _ := strconv.ParseInt(match[1], 10, 64)
		return n
	}
	base, perCall := figure("residentBase", "20")<<20, figure("residentPerCall", "10")<<10
	field, _ := reflect.TypeFor[config.Config]().FieldByName("Concurrency")
	limits := map[string]any{"the default": nil, "the least": field.Tag.Get("min"), "as a number": 1024, "many": 4096, "the most": field.Tag.Get("max")}
	for name, concurrency := range limits {
		given, calls := with(), int64(config.Default().Concurrency)
		if concurrency != nil {
			given = with("config.REVOKER_CONCURRENCY", concurrency)
			calls, _ = strconv.ParseInt(fmt.Sprint(concurrency), 10, 64)
		}
		limit := worker(t, mustRender(t, given)).Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
		if need := base + perCall*calls; limit < need || limit > 4*need {
			t.Errorf("%s: the limit is %d MiB, %d calls need %d MiB", name, limit>>20, calls, need>>20)
		}
	}
	given := worker(t, mustRender(t, with("resources.limits", values{"memory": "1Gi", "cpu": 1}))).Spec.Template.Spec.Containers[0].Resources.Limits
	if given.Memory().Value() != 1<<30 || given.Cpu().Value() != 1 {
		t.Errorf("given ones become %v", given)
	}
	none := worker(t, mustRender(t, with("resources", values{"limits": nil}))).Spec.Template.Spec.Containers[0].Resources.Limits
	if len(none) != 0 {
		t.Errorf("none become %v", none)
	}
}

func TestAutoscaling(t *testing.T) {
	t.Parallel()
	given := full()
	given["config"].(values)["REVOKER_STREAM"] = "LOGOUTS"
	s := mustRender(t, given)["ScaledObject revoker"].(*keda.ScaledObject)
	for i, lane := range config.Default().Lanes() {
		trigger := s.Spec.Triggers[i]
		for name, want := range map[string]string{
			"natsServerMonitoringEndpoint": "nats.nats.svc:8222", "account": "REVOKER", "stream": "LOGOUTS", "consumer": config.Default().In(lane).Consumer, "lagThreshold": "5000", "useHttps": "false",
		} {
			if got := trigger.Metadata[name]; got != want {
				t.Errorf("%s: %s is %q, want %q", lane, name, got, want)
			}
		}
		if trigger.Type != "nats-jetstream" {
			t.Errorf("%+v", trigger)
		}
	}
	if *s.Spec.MinReplicaCount < 1 || *s.Spec.MaxReplicaCount > 10 || s.Spec.ScaleTargetRef.Name != "revoker" {
		t.Errorf("%+v", s.Spec)
	}
}

// The chart names the consumers as the worker does, so that KEDA looks at each of them and at no other: it goes to the maximum for
// one that does not exist.
func TestAutoscalingLooksAtTheLanesThatThereAre(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config    values
		consumers []string
	}{
		"default":         {values{}, []string{"revoker", "revoker-bulk"}},
		"live named":      {values{"REVOKER_CONSUMER": "logout"}, []string{"logout", "logout-bulk"}},
		"both named":      {values{"REVOKER_CONSUMER": "logout", "REVOKER_BULK_CONSUMER": "many"}, []string{"logout", "many"}},
		"one lane":        {values{"REVOKER_BULK_SUBJECT": ""}, []string{"revoker"}},
		"another subject": {values{"REVOKER_BULK_SUBJECT": "many"}, []string{"revoker", "revoker-bulk"}},
	} {
		given := full()
		for variable, value := range c.config {
			given["config"].(values)[variable] = value
		}
		var consumers []string
		for _, trigger := range mustRender(t, given)["ScaledObject revoker"].(*keda.ScaledObject).Spec.Triggers {
			consumers = append(consumers, trigger.Metadata["consumer"])
		}
		if !slices.Equal(consumers, c.consumers) {
			t.Errorf("%s: %v, want %v", name, consumers, c.consumers)
		}
	}
}

// Without an address of the runbooks an alert has no link, rather than one that opens nothing.
func TestAlertsHaveNoLinkWithoutAnAddress(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, with("prometheusRule.enabled", true))
	for _, rule := range alerts(objects["PrometheusRule revoker"].(*monitoring.PrometheusRule)) {
		if link, there := rule.Annotations["runbook_url"]; there || rule.Annotations["summary"] == "" {
			t.Errorf("%s: link %q, annotations %v", rule.Alert, link, rule.Annotations)
		}
	}
}

// With a ServiceMonitor the chart knows what Prometheus calls the workers: the namespace and the Service. So workers of another release
// do not hide that these are gone.
func TestTheAlertOnNoWorkerIsOfTheRelease(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]values{
		`absent(revoker_build_info{namespace="identity", job="logout"})`: with("prometheusRule.enabled", true, "serviceMonitor.enabled", true, "fullnameOverride", "logout"),
		`absent(revoker_build_info)`:                                     with("prometheusRule.enabled", true, "fullnameOverride", "logout"),
	} {
		objects := mustRender(t, given)
		for _, rule := range alerts(objects["PrometheusRule logout"].(*monitoring.PrometheusRule)) {
			if rule.Alert == "RevokerDown" && rule.Expr.StrVal != want {
				t.Errorf("it is %s, want %s", rule.Expr.StrVal, want)
			}
		}
	}
}

// The rules and the dashboard are those that are tested elsewhere.
func TestRulesAndDashboardAreTheSame(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, full())
	rules := objects["PrometheusRule revoker"].(*monitoring.PrometheusRule)
	text := read(t, root, "deploy/prometheus/revoker.rules.yml")
	if n := strings.Count(text, "alert: "); n == 0 || len(alerts(rules)) != n {
		t.Errorf("%d alerts there: %+v", n, rules.Spec.Groups)
	}
	if there, here := strings.Count(text, "- record: "), recorded(rules); there == 0 || here != there {
		t.Errorf("%d rules that record something, want %d", here, there)
	}
	for _, rule := range alerts(rules) {
		if !strings.Contains(text, "alert: "+rule.Alert+"\n") || !strings.Contains(strings.ReplaceAll(text, "''", "'"), rule.Annotations["description"]) {
			t.Errorf("%+v is not there", rule)
		}
		if want := runbooks + "/" + rule.Alert + ".md"; rule.Annotations["runbook_url"] != want {
			t.Errorf("the runbook of %s is at %q, want %q", rule.Alert, rule.Annotations["runbook_url"], want)
		}
	}
	if objects["ConfigMap revoker-dashboard"].(*core.ConfigMap).Data["revoker.json"] != read(t, root, "deploy/grafana/revoker.json") {
		t.Error("the dashboard is another one")
	}
}

func alerts(rules *monitoring.PrometheusRule) (list []monitoring.Rule) {
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				list = append(list, rule)
			}
		}
	}
	return list
}

// recorded counts the rules that record something. They have no runbook.
func recorded(rules *monitoring.PrometheusRule) (n int) {
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" && len(rule.Annotations) == 0 {
				n++
			}
		}
	}
	return n
}
