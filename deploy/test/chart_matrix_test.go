package deploy_test

import "fmt"

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var (
	extraVolumes = []any{values{"name": "extra", "configMap": values{"name": "extra"}}}
	extraMounts  = []any{values{"name": "extra", "mountPath": "/etc/extra", "readOnly": true}}
)

// full turns all on.
func full() values {
	return with(
		"nats.secret", "nats-worker", "nats.kind", "nkey", "nats.tlsSecret", "nats-tls", "nats.tlsKeys.cert", "tls.crt", "nats.tlsKeys.key", "tls.key",
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
		"annotations", values{"owner": "identity"}, "image.digest", digest, "priorityClassName", "high",
		"ingress.enabled", true, "ingress.hosts", []any{"revoker.example"}, "ingress.className", "nginx", "ingress.annotations", values{"e": "f"},
		"ingress.tls", []any{values{"secretName": "cert", "hosts": []any{"revoker.example"}}},
		"service.annotations", values{"g": "h"}, "serviceAccount.annotations", values{"i": "j"},
		"setup.podAnnotations", values{"k": "l"}, "setup.podLabels", values{"m": "n"}, "setup.extraEnv", []any{values{"name": "OTEL_SDK_DISABLED", "value": "true"}},
		"extraEnvFrom", []any{values{"secretRef": values{"name": "otel"}}},
		"extraVolumes", extraVolumes, "extraVolumeMounts", extraMounts, "setup.extraVolumes", extraVolumes, "setup.extraVolumeMounts", extraMounts,
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
		"only a CA": with("nats.tlsSecret", "nats-ca"), "OpenShift": with("podSecurityContext", values{"runAsUser": nil, "runAsGroup": nil, "fsGroup": nil}),
		"other UID":    with("podSecurityContext", values{"runAsUser": 1000680000, "runAsGroup": 0.0 + 1000680000, "fsGroup": 1000680000}),
		"CPU":          with("autoscaling.enabled", true, "autoscaling.by", "cpu"),
		"no spreading": with("topologySpreadConstraints", []any{}), "no service account": with("serviceAccount.create", false),
		"other names": with("nameOverride", "logout", "config.NATS_URL", "nats://a"), "other name": with("fullnameOverride", "revoker"),
	}
	for _, kind := range []string{"creds", "nkey", "user", "token"} {
		for _, setup := range []string{"", "nats-operator"} {
			all[fmt.Sprintf("%s, setup %q", kind, setup)] = with("nats.secret", "nats", "nats.kind", kind, "nats.user", "worker", "setup.nats.secret", setup, "setup.nats.kind", kind, "setup.nats.user", "operator")
		}
	}
	return all
}
