package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write revoker's variables into the chart's values.schema.json, and copy the rules and the dashboard into the chart")

// ownVariables are what the chart sets itself, from values of their own.
var ownVariables = []string{
	"AUTHLETE_BEARER", "AUTHLETE_BEARER_FILE", "REVOKER_OPS_ADDR", "REVOKER_DRAIN_TIMEOUT", "REVOKER_CONSOLE_TOKEN",
	"REVOKER_RECEIVE_ADDR", "REVOKER_RECEIVE_OPS_ADDR", "REVOKER_RECEIVE_TOKEN", "REVOKER_RECEIVE_TOKEN_FILE", "REVOKER_RECEIVE_ISSUERS_FILE",
	"NATS_CONTEXT", "NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_CA", "NATS_CERT", "NATS_KEY",
}

type schema struct {
	Description          string
	Type                 any // a name or a list of names
	Properties           map[string]schema
	AdditionalProperties any // false, or what the values of a map are
}

// A misspelt value is refused wherever it stands. Free are what Helm hands to every chart and what Kubernetes itself describes.
func TestNoMisspeltValueIsTaken(t *testing.T) {
	t.Parallel()
	var all schema
	if err := json.Unmarshal([]byte(read(t, chartFolder, "values.schema.json")), &all); err != nil {
		t.Fatal(err)
	}
	free := []string{"values.global", "values.affinity"}
	var closed func(path string, s schema)
	closed = func(path string, s schema) {
		if s.Type == "object" && s.AdditionalProperties == nil && !slices.Contains(free, path) {
			t.Errorf("%s takes any name", path)
		}
		for name, property := range s.Properties {
			closed(path+"."+name, property)
		}
	}
	closed("values", all)
}

func TestEveryValueIsDescribed(t *testing.T) {
	t.Parallel()
	var all schema
	if err := json.Unmarshal([]byte(read(t, chartFolder, "values.schema.json")), &all); err != nil {
		t.Fatal(err)
	}
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
	described("values", all, defaults)
}

// A variable that is new, renamed or described anew is so in the chart too.
func TestTheSchemaHasRevokersVariables(t *testing.T) {
	t.Parallel()
	const begin, end = `      "properties": {` + "\n", "\n      },\n"
	file := filepath.Join(chartFolder, "values.schema.json")
	before, rest, found := strings.Cut(read(t, file), `    "config": {`)
	head, rest, begins := strings.Cut(rest, begin)
	have, after, ends := strings.Cut(rest, end)
	if !found || !begins || !ends {
		t.Fatal("the schema has no config with properties")
	}
	want := configSchema(t)
	switch {
	case have == want:
	case *update:
		text := before + `    "config": {` + head + begin + want + end + after
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("values.schema.json has not revoker's variables; `go test -run Schema -update .` writes them")
	}
}

// configSchema is the properties of the value config.
func configSchema(t *testing.T) string {
	t.Helper()
	var list []string
	for _, v := range variables() {
		if slices.Contains(ownVariables, v.name) {
			continue
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("        ", "  ")
		err := encoder.Encode(struct {
			Description string   `json:"description"`
			Type        []string `json:"type"`
		}{v.description, []string{"string", "number", "boolean"}})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, `        "`+v.name+`": `+strings.TrimSpace(text.String()))
	}
	return strings.Join(list, ",\n")
}
