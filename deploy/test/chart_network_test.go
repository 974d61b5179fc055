package deploy_test

import (
	"slices"
	"strconv"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

func TestIngress(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, full())
	spec := objects["Ingress revoker"].(*networking.Ingress).Spec
	service := objects["Service revoker"].(*core.Service)
	backend := spec.Rules[0].HTTP.Paths[0].Backend.Service
	if spec.Rules[0].Host != "revoker.example" || backend.Name != service.Name || backend.Port.Name != service.Spec.Ports[0].Name {
		t.Errorf("%+v", spec.Rules)
	}
	hosts := func(given values) string {
		return mustRender(t, given)["ConfigMap revoker"].(*core.ConfigMap).Data["REVOKER_OPS_HOSTS"]
	}
	if got := hosts(full()); got != "revoker.example" {
		t.Errorf("the page may be opened under %q", got)
	}
	if got := hosts(with("ingress.enabled", true, "ingress.hosts", []any{"a.example"}, "config.REVOKER_OPS_HOSTS", "b.example, revoker.identity.svc")); got != "b.example, revoker.identity.svc,a.example" {
		t.Errorf("the configuration's own names become %q", got)
	}
	if got := hosts(with("ingress.hosts", []any{"a.example"}, "config.REVOKER_OPS_HOSTS", "b.example")); got != "b.example" {
		t.Errorf("without an Ingress the names are %q", got)
	}
	if *spec.IngressClassName != "nginx" || spec.TLS[0].SecretName != "cert" {
		t.Errorf("%+v", spec)
	}
}

// Without a port in the URL it is the one that the NATS client takes.
func TestTheNetworkPolicyKnowsTheServersPorts(t *testing.T) {
	t.Parallel()
	for servers, want := range map[string][]int32{
		"nats://a": {4222}, "a": {4222}, "tls://a:1,b:2/": {1, 2}, "wss://a": {443}, "ws://a, wss://b": {80, 443}, "wss://a:9": {9}, "nats://[::1]": {4222}, "nats://u:p@a": {4222},
	} {
		policy := mustRender(t, with("config.NATS_URL", servers))["NetworkPolicy revoker-setup"].(*networking.NetworkPolicy)
		var ports []int32
		for _, port := range policy.Spec.Egress[1].Ports {
			ports = append(ports, port.Port.IntVal)
		}
		if !slices.Equal(ports, want) {
			t.Errorf("%s: ports %v, want %v", servers, ports, want)
		}
	}
}

// Where a namespace denies all traffic, the job must have its way to NATS before it runs.
func TestTheNetworkPolicyCoversTheSetupJob(t *testing.T) {
	t.Parallel()
	objects := mustRender(t, full())
	job, policy := objects["Job revoker-setup"].(*batch.Job), objects["NetworkPolicy revoker-setup"].(*networking.NetworkPolicy)
	if !matches(policy.Spec.PodSelector.MatchLabels, job.Spec.Template.Labels) || matches(policy.Spec.PodSelector.MatchLabels, worker(t, objects).Spec.Template.Labels) {
		t.Errorf("it selects %v", policy.Spec.PodSelector.MatchLabels)
	}
	weight := func(annotations map[string]string) int {
		n, _ := strconv.Atoi(annotations["helm.sh/hook-weight"])
		return n
	}
	if policy.Annotations["helm.sh/hook"] != job.Annotations["helm.sh/hook"] || weight(policy.Annotations) >= weight(job.Annotations) {
		t.Errorf("the policy comes after the job: %v", policy.Annotations)
	}
	var ports []int32
	for _, rule := range policy.Spec.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntVal)
		}
	}
	if !slices.Equal(ports, []int32{53, 53, 4443, 4222, 4318}) {
		t.Errorf("the job may reach ports %v", ports)
	}
	if len(policy.Spec.PolicyTypes) != 2 || len(policy.Spec.Ingress) != 0 {
		t.Errorf("who may reach the job: %+v", policy.Spec)
	}
	if without := mustRender(t, with("networkPolicy.enabled", false)); without["NetworkPolicy revoker-setup"] != nil {
		t.Error("turned off, there is a policy")
	}
}
