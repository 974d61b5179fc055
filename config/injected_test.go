package config_test

import (
	"strings"
	"testing"

	"revoker/config"
)

// What Kubernetes injects beside a Service passes, whatever the Service is called. What only looks like it is a typo.
func TestWhatKubernetesInjectsPasses(t *testing.T) {
	for service, address := range map[string]string{
		"REVOKER": "10.0.0.11", "REVOKER_CONSOLE": "10.0.0.12", "REVOKER_EU": "10.96.0.1", "REVOKER_PORT_8080_TCP": "10.0.0.1", "REVOKER_A__B2": "10.0.0.2",
		"REVOKER_V6": "fd00::1",
	} {
		host := address
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		environment := map[string]string{
			service + "_SERVICE_HOST": address, service + "_SERVICE_PORT": "8080", service + "_SERVICE_PORT_OPS": "8080", service + "_SERVICE_PORT_WEB_TLS": "https", service + "_SERVICE_PORT_OFF": "",
			service + "_PORT": "tcp://" + host + ":8080", service + "_PORT_8080_TCP": "tcp://" + host + ":8080", service + "_PORT_8080_TCP_PROTO": "tcp",
			service + "_PORT_8080_TCP_PORT": "8080", service + "_PORT_8080_TCP_ADDR": address,
			service + "_PORT_53_UDP": "udp://" + host + ":53", service + "_PORT_53_UDP_PROTO": "udp", service + "_PORT_9_SCTP": "sctp://" + host + ":9",
		}
		t.Run(service, func(t *testing.T) {
			setEnvironment(t, environment)
			if _, err := config.Load(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, typo := range []string{
		"REVOKER_SERVICE_ID=77", "REVOKER_PORT=8080", "REVOKER_PORTS=1", "REVOKER_SERVICE=1", "REVOKER_SERVICE_=1", "REVOKER_SERVICE_HOSTS=10.0.0.1",
		"REVOKER_SERVICE_HOST=example.com", "REVOKER_SERVICE_PORT=0", "REVOKER_SERVICE_PORT=65536", "REVOKER_SERVICE_PORT=08", "REVOKER_SERVICE_PORT=not a name",
		"REVOKER_EU_PORT=8080", "REVOKER_PORT=http://10.0.0.1:80", "REVOKER_PORT=tcp://example.com:80", "REVOKER_PORT=tcp://10.0.0.1",
		"REVOKER_PORT_8080_TCP=tcp://10.0.0.1:80", "REVOKER_PORT_8080_TCP=udp://10.0.0.1:8080", "REVOKER_PORT_8080_TCP_PROTO=udp", "REVOKER_PORT_8080_TCP_PORT=80",
		"REVOKER_PORT_8080_TCP_ADDR=x", "REVOKER_PORT_8080_TCP_HOST=10.0.0.1", "REVOKER_PORT_8080_HTTP=tcp://10.0.0.1:8080", "REVOKER_PORT_X_TCP=tcp://10.0.0.1:1",
		"REVOKER_service_SERVICE_HOST=10.0.0.1",
	} {
		t.Run(typo, func(t *testing.T) {
			name, value, _ := strings.Cut(typo, "=")
			setEnvironment(t, map[string]string{name: value})
			_, err := config.Load()
			onlyNames(t, err, name)
		})
	}
}
