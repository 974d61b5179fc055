package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ownVariables are what the chart sets itself, from values of their own.
var ownVariables = []string{
	"AUTHLETE_BEARER", "AUTHLETE_BEARER_FILE", "REVOKER_OPS_ADDR", "REVOKER_DRAIN_TIMEOUT", "REVOKER_CONSOLE_TOKEN",
	"NATS_CONTEXT", "NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_CA", "NATS_CERT", "NATS_KEY",
}

type schema struct {
	Description string
	Properties  map[string]schema
}

func chartSchema(t *testing.T) (s schema) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, chartFolder, "values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryValueIsDescribed(t *testing.T) {
	t.Parallel()
	var defaults any
	if err := yaml.Unmarshal([]byte(read(t, chartFolder, "values.yaml")), &defaults); err != nil {
		t.Fatal(err)
	}
	var described func(path string, s schema, value any)
	described = func(path string, s schema, value any) {
		if s.Description == "" {
			t.Errorf("%s has no description", path)
		}
		for name, property := range s.Properties {
			described(path+"."+name, property, nil)
		}
		object, _ := value.(values)
		for name, below := range object {
			property, known := s.Properties[name]
			if len(s.Properties) > 0 && !known {
				t.Errorf("%s.%s is not in the schema", path, name)
			}
			if known {
				described(path+"."+name, property, below)
			}
		}
	}
	described("values", chartSchema(t), defaults)
}

// A variable that is new, renamed or described anew is so in the chart too.
func TestTheSchemaHasRevokersVariables(t *testing.T) {
	t.Parallel()
	properties := chartSchema(t).Properties["config"].Properties
	own := strings.Join(ownVariables, " ") + " "
	for _, v := range variables() {
		property, known := properties[v.name]
		delete(properties, v.name)
		if strings.Contains(own, v.name+" ") {
			if known {
				t.Errorf("%s is the chart's own", v.name)
			}
			continue
		}
		if property.Description != v.description {
			t.Errorf("%s is described as %q, in revoker as %q", v.name, property.Description, v.description)
		}
	}
	for name := range properties {
		t.Errorf("revoker has no variable %s", name)
	}
}
