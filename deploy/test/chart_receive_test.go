package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"

	"revoker/config"
)

// receiving turns all of the receivers on, beside everything else.
func receiving() values {
	all := full()
	all["receive"] = values{
		"enabled": true, "token": values{"secret": "senders"},
		"issuers": []any{
			values{"name": "login", "issuer": "https://login.example", "clientIds": []any{"app"}, "serviceId": "77"},
			values{"name": "partner", "issuer": "https://partner.example:8443/realm", "clientIds": []any{"a", "b"}},
		},
		"nats":    values{"secret": "nats-publisher", "kind": "user", "user": "publisher", "inboxPrefix": "_INBOX_publisher"},
		"service": values{"annotations": values{"o": "p"}},
		"ingress": values{"enabled": true, "hosts": []any{"signals.example"}, "className": "nginx", "annotations": values{"q": "r"}, "tls": []any{values{"secretName": "cert"}}},
		"networkPolicy": values{
			"ingressFrom": []any{values{"namespaceSelector": values{"matchLabels": values{"name": "ingress"}}}},
			"extraEgress": []any{values{"ports": []any{values{"port": 3128, "protocol": "TCP"}}}},
		},
		"podAnnotations": values{"s": "t"}, "podLabels": values{"u": "v"}, "extraEnv": []any{values{"name": "OTEL_SDK_DISABLED", "value": "true"}},
		"extraEnvFrom": []any{values{"secretRef": values{"name": "proxy"}}}, "extraVolumes": extraVolumes, "extraVolumeMounts": extraMounts,
	}
	return all
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, receiving())
	if before := mustRender(t, full()); len(objects) != len(before)+6 {
		t.Errorf("%d objects, %d without receivers", len(objects), len(before))
	}
	d := objects["Deployment revoker-receive"].(*apps.Deployment)
	checkPod(t, "Deployment revoker-receive", d.Spec.Template)
	pod, c := d.Spec.Template, d.Spec.Template.Spec.Containers[0]
	if *d.Spec.Replicas != 2 || !slices.Equal(c.Args, []string{"receive"}) || *pod.Spec.TerminationGracePeriodSeconds != 40 {
		t.Errorf("%+v", d.Spec)
	}
	for name, want := range map[string]string{
		"NATS_URL": "tls://a.example:4443,tls://b.example", "NATS_USER": "publisher", "NATS_INBOX_PREFIX": "_INBOX_publisher", "REVOKER_DRAIN_TIMEOUT": "25s",
		"NATS_CA": "/etc/revoker/nats-tls/ca.crt", "AUTHLETE_BASE_URL": "", "OTEL_SDK_DISABLED": "true",
	} {
		if have := env(c.Env, name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	mounted := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/etc/extra" })
	there := slices.ContainsFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Name == "extra" && v.ConfigMap != nil })
	if !mounted || !there || len(c.EnvFrom) != 1 || c.EnvFrom[0].SecretRef.Name != "proxy" {
		t.Errorf("what is added: mounted %v, volume %v, variables from %+v", mounted, there, c.EnvFrom)
	}
	if n := len(slices.DeleteFunc(slices.Clone(c.Env), func(v core.EnvVar) bool { return v.Name != "NATS_INBOX_PREFIX" })); n != 1 {
		t.Errorf("NATS_INBOX_PREFIX is set %d times", n)
	}
	if c.Ports[0].ContainerPort != 8090 || c.Ports[1].ContainerPort != 8091 || env(c.Env, "REVOKER_RECEIVE_ADDR") != ":8090" || env(c.Env, "REVOKER_RECEIVE_OPS_ADDR") != ":8091" {
		t.Errorf("ports %+v", c.Ports)
	}
	if pod.Annotations["s"] != "t" || pod.Labels["u"] != "v" || !matches(d.Spec.Selector.MatchLabels, pod.Labels) {
		t.Errorf("%+v", pod.ObjectMeta)
	}
	budget := objects["PodDisruptionBudget revoker-receive"].(*policy.PodDisruptionBudget)
	if !matches(budget.Spec.Selector.MatchLabels, pod.Labels) || matches(worker(t, objects).Spec.Selector.MatchLabels, pod.Labels) || matches(d.Spec.Selector.MatchLabels, worker(t, objects).Spec.Template.Labels) {
		t.Error("workers and receivers are taken for each other")
	}
}

// What the chart writes is what revoker reads.
func TestTheIssuersAreRead(t *testing.T) {
	t.Parallel()
	data := mustRender(t, receiving())["ConfigMap revoker-receive"].(*core.ConfigMap).Data
	path := filepath.Join(t.TempDir(), "issuers.json")
	if err := os.WriteFile(path, []byte(data["issuers.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	issuers, err := config.Receive{IssuersFile: path}.ReadIssuers()
	if err != nil || len(issuers) != 2 || issuers[0].ServiceID != "77" || !slices.Equal(issuers[1].ClientIDs, []string{"a", "b"}) {
		t.Errorf("%+v, %v", issuers, err)
	}
}

// Signals come in by the Ingress; health and metrics do not go out there.
func TestTheWayToTheReceivers(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, receiving())
	service, d := objects["Service revoker-receive"].(*core.Service), objects["Deployment revoker-receive"].(*apps.Deployment)
	if !matches(service.Spec.Selector, d.Spec.Template.Labels) || service.Spec.PublishNotReadyAddresses || service.Annotations["o"] != "p" {
		t.Errorf("%+v", service)
	}
	monitor := objects["ServiceMonitor revoker"].(*monitoring.ServiceMonitor)
	if !matches(monitor.Spec.Selector.MatchLabels, service.Labels) || !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == monitor.Spec.Endpoints[0].Port }) {
		t.Error("the receivers are not scraped")
	}
	ingress := objects["Ingress revoker-receive"].(*networking.Ingress)
	for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
		if *path.PathType != networking.PathTypeExact || !slices.Contains([]string{"/events", "/backchannel-logout"}, path.Path) || path.Backend.Service.Name != service.Name || path.Backend.Service.Port.Name != "signals" {
			t.Errorf("%+v", path)
		}
	}
	if ingress.Spec.Rules[0].Host != "signals.example" || len(ingress.Spec.Rules[0].HTTP.Paths) != 2 || ingress.Annotations["q"] != "r" {
		t.Errorf("%+v", ingress)
	}
	spec := objects["NetworkPolicy revoker-receive"].(*networking.NetworkPolicy).Spec
	var out []int32
	for _, rule := range spec.Egress {
		for _, port := range rule.Ports {
			out = append(out, port.Port.IntVal)
		}
	}
	if !slices.Equal(out, []int32{53, 53, 4443, 4222, 443, 8443, 4318, 3128}) || !matches(spec.PodSelector.MatchLabels, d.Spec.Template.Labels) {
		t.Errorf("they may reach ports %v", out)
	}
	if from := spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["name"] + " " + spec.Ingress[1].From[0].NamespaceSelector.MatchLabels["name"]; from != "ingress monitoring" {
		t.Errorf("who may reach them: %s", from)
	}
}

func TestReceiversOfLeastValues(t *testing.T) {
	t.Parallel()
	if objects := mustRender(t, with()); objects["Deployment revoker-receive"] != nil || objects["Service revoker-receive"] != nil {
		t.Error("receivers run unasked")
	}
	objects := mustRender(t, with("receive.enabled", true, "receive.token.secret", "senders", "nats.secret", "nats"))
	if objects["ConfigMap revoker-receive"] != nil || objects["Ingress revoker-receive"] != nil {
		t.Error("there is more than was asked for")
	}
	d := objects["Deployment revoker-receive"].(*apps.Deployment)
	checkPod(t, "Deployment revoker-receive", d.Spec.Template)
	if c := d.Spec.Template.Spec.Containers[0]; env(c.Env, "NATS_CREDS") == "" || env(c.Env, "REVOKER_RECEIVE_ISSUERS_FILE") != "" {
		t.Errorf("%+v", c.Env)
	}
	for want, given := range map[string]values{
		"receive: set token.secret or issuers": with("receive.enabled", true),
		"receive.ingress.hosts":                with("receive.enabled", true, "receive.token.secret", "a", "receive.ingress.enabled", true),
		"/receive/issuers/0":                   with("receive.issuers", []any{values{"name": "A"}}),
		"REVOKER_RECEIVE_TOKEN":                with("config.REVOKER_RECEIVE_TOKEN", "in clear"),
	} {
		if _, err := render(t, given); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "'", ""), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Kubernetes before 1.30 refuses a hook of this kind.
func TestReceiversGoOnForAMomentWhereTheyCan(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"v1.29.9": false, "v1.30.0": true, "v1.33.4-gke.1245000": true} {
		d := onKubernetes(t, version, receiving())["Deployment revoker-receive"].(*apps.Deployment)
		lifecycle := d.Spec.Template.Spec.Containers[0].Lifecycle
		if have := lifecycle != nil && lifecycle.PreStop.Sleep.Seconds == 5; have != want {
			t.Errorf("%s: %+v", version, lifecycle)
		}
	}
}

// onKubernetes renders what a cluster of that version gets.
func onKubernetes(t *testing.T, version string, given values) map[string]any {
	t.Helper()
	revoker, err := loadChart()
	if err != nil {
		t.Fatal(err)
	}
	kubernetes, err := common.ParseKubeVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *kubernetes
	all, err := util.ToRenderValues(revoker, given, common.ReleaseOptions{Name: "revoker", Namespace: "identity", IsInstall: true}, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), revoker, all)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]any{}
	for file, text := range files {
		if strings.HasSuffix(file, ".yaml") && strings.TrimSpace(text) != "" {
			name, object := decode(t, file, text)
			objects[name] = object
		}
	}
	return objects
}
