// Package testasyncapi reads events/asyncapi.yaml, and holds messages against it. Tests alone import it.
package testasyncapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"revoker/internal/testproc"
)

// File is the document's path in the repository.
const File = "events/asyncapi.yaml"

// Document is the AsyncAPI document.
type Document struct {
	t        testing.TB
	root     any
	compiler *jsonschema.Compiler
}

// Example is an example of a message. Its header is that of NATS, and Payload what is sent: text as it is, anything else as JSON.
type Example struct {
	Message, Name string
	Header        map[string][]string
	Payload       []byte
}

// Read reads the document.
func Read(t testing.TB) *Document {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(testproc.ReadFile(t, File)))
	if err != nil {
		t.Fatal(err)
	}
	d := &Document{t: t, compiler: jsonschema.NewCompiler()}
	if d.root, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	d.compiler.DefaultDraft(jsonschema.Draft7) // of which AsyncAPI's schemas are a superset
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(File, d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// At is the value at a path of keys; references on the way are followed. It is nil if there is none.
func (d *Document) At(path ...string) any {
	value := d.follow(d.root)
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = d.follow(object[key])
	}
	return value
}

// Object is At for an object, which must be there.
func (d *Document) Object(path ...string) map[string]any {
	d.t.Helper()
	object, is := d.At(path...).(map[string]any)
	if !is {
		d.t.Fatalf("%s has no object at %s", File, strings.Join(path, "/"))
	}
	return object
}

func (d *Document) follow(value any) any {
	object, _ := value.(map[string]any)
	if reference, is := object["$ref"].(string); is {
		return d.At(strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	return value
}

// Validate says how a message differs from what the document says of it.
func (d *Document) Validate(message string, header map[string][]string, payload []byte) error {
	if d.At("components", "messages", message) == nil {
		return fmt.Errorf("%s has no message %s", File, message)
	}
	headers := map[string]any{}
	for name, values := range header {
		headers[name] = strings.Join(values, ", ")
	}
	if err := d.validate(message, "headers", headers); err != nil {
		return err
	}
	if d.At("components", "messages", message, "contentType") == "application/octet-stream" {
		return nil // any bytes
	}
	content, err := d.content(message, payload)
	if err != nil {
		return err
	}
	return d.validate(message, "payload", content)
}

// content is a payload as its schema sees it.
func (d *Document) content(message string, payload []byte) (any, error) {
	if d.At("components", "messages", message, "contentType") == "text/plain" {
		return string(payload), nil
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(payload))
}

func (d *Document) validate(message, part string, value any) error {
	if d.At("components", "messages", message, part) == nil {
		return nil
	}
	schema, err := d.compiler.Compile(fmt.Sprintf("%s#/components/messages/%s/%s", File, message, part))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("the %s of %s: %w", part, message, err)
	}
	return nil
}

// Examples are those of all messages.
func (d *Document) Examples() (list []Example) {
	d.t.Helper()
	for message := range d.Object("components", "messages") {
		examples, _ := d.At("components", "messages", message, "examples").([]any)
		for _, value := range examples {
			example, _ := value.(map[string]any)
			e := Example{Message: message, Name: fmt.Sprint(example["name"]), Header: map[string][]string{}}
			headers, _ := example["headers"].(map[string]any)
			for name, value := range headers {
				e.Header[name] = []string{fmt.Sprint(value)}
			}
			if text, is := example["payload"].(string); is {
				e.Payload = []byte(text)
			} else if e.Payload, _ = json.Marshal(example["payload"]); example["payload"] == nil {
				d.t.Fatalf("example %s of %s has no payload", e.Name, message)
			}
			list = append(list, e)
		}
	}
	return list
}

// SameSettings holds the settings that the document has of a stream or a consumer against a configuration of nats.go.
func SameSettings(documented map[string]any, configured any) error {
	text, err := json.Marshal(configured)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	settings, _ := value.(map[string]any)
	for name, want := range documented {
		// nats.go leaves out what is zero.
		if got := settings[name]; name != "variable" && fmt.Sprint(got) != fmt.Sprint(want) && !(got == nil && fmt.Sprint(want) == "0") {
			return fmt.Errorf("%s is %v, and the document says %v", name, got, want)
		}
	}
	return nil
}
