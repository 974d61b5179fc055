package main

import (
	"strings"
	"testing"
)

func TestTracesWanted(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]string{
		"":                            "off",
		"OTEL_TRACES_EXPORTER=otlp":   "on",
		"OTEL_TRACES_EXPORTER=none":   "off",
		"OTEL_TRACES_EXPORTER=zipkin": "OTEL_TRACES_EXPORTER: must be otlp or none",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318":                                                           "on",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector/v1/traces":                                              "on",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 OTEL_SDK_DISABLED=true":                                    "off",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 OTEL_TRACES_EXPORTER=none":                                 "off",
		"OTEL_EXPORTER_OTLP_ENDPOINT=SECRET:4318":                                                                     "OTEL_EXPORTER_OTLP_ENDPOINT: not an http or https URL",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                                  "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf or http/json",
		"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf": "on",
	} {
		wanted, err := tracesWanted(func(name string) string {
			for variable := range strings.FieldsSeq(environment) {
				if key, value, _ := strings.Cut(variable, "="); key == name {
					return value
				}
			}
			return ""
		})
		got := map[bool]string{true: "on", false: "off"}[wanted]
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", environment, got, want)
		}
	}
}
