package events_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testasyncapi"
)

func TestTheDocumentHasTheTypes(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	sameType(t, d, "workerState", reflect.TypeFor[peer.State](), "components", "schemas", "workerState")
	sameType(t, d, "receiptFacts", reflect.TypeFor[events.ReceiptFacts](), "components", "schemas", "receiptFacts")
	// Of an event, Encode knows the members.
	var members map[string]any
	whole := events.Event{SessionID: "a", ServiceID: "b", EndedAt: time.Now(), Reason: "c"}
	if err := json.Unmarshal(whole.Encode(), &members); err != nil {
		t.Fatal(err)
	}
	sameNames(t, "members of an event", keys(members), keys(d.Object("components", "schemas", "event", "properties")))
	if got, want := fmt.Sprint(d.At("components", "schemas", "event", "properties", "sessionId", "maxLength")), strconv.Itoa(events.MaxSessionIDLength); got != want {
		t.Errorf("the longest session ID is %s, want %s", got, want)
	}
}

// sameType holds a schema against a Go type as encoding/json writes it: the same members, the same ones required, the same types.
func sameType(t *testing.T, d *testasyncapi.Document, name string, goType reflect.Type, path ...string) {
	t.Helper()
	if goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	wants := func(kind string) {
		t.Helper()
		if got := d.At(append(path, "type")...); got != kind {
			t.Errorf("%s is %v, want %s", name, got, kind)
		}
	}
	switch {
	case goType == reflect.TypeFor[time.Time]():
		wants("string")
		if got := d.At(append(path, "format")...); got != "date-time" {
			t.Errorf("%s has the format %v, want date-time", name, got)
		}
	case goType.Kind() == reflect.Struct:
		wants("object")
		sameMembers(t, d, name, goType, path)
	case goType.Kind() == reflect.Slice:
		wants("array")
		sameType(t, d, name+"[]", goType.Elem(), append(path, "items")...)
	case goType.Kind() == reflect.Map:
		wants("object")
		if goType.Key() != reflect.TypeFor[string]() {
			sameType(t, d, name+" (key)", goType.Key(), append(path, "propertyNames")...)
		}
		sameType(t, d, name+"{}", goType.Elem(), append(path, "additionalProperties")...)
	case goType == reflect.TypeFor[config.Lane]():
		wants("string")
		sameNames(t, "lanes", []string{string(config.Live), string(config.Bulk)}, texts(d.At(append(path, "enum")...)))
	case goType.Kind() == reflect.String:
		wants("string")
	case goType.Kind() == reflect.Bool:
		wants("boolean")
	case goType.Kind() == reflect.Float64:
		wants("number")
	case goType.ConvertibleTo(reflect.TypeFor[int64]()):
		wants("integer")
	default:
		t.Errorf("%s is of the type %s: say here what that is in JSON", name, goType)
	}
}

func sameMembers(t *testing.T, d *testasyncapi.Document, name string, goType reflect.Type, path []string) {
	t.Helper()
	var members, required []string
	for _, field := range reflect.VisibleFields(goType) {
		member, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member == "" || member == "-" {
			t.Errorf("%s: the field %s has no name in JSON", name, field.Name)
			continue
		}
		members = append(members, member)
		if options == "" {
			required = append(required, member)
		}
		if at := append(slices.Clone(path), "properties", member); d.At(at...) != nil {
			sameType(t, d, name+"."+member, field.Type, at...)
		}
	}
	sameNames(t, "members of "+name, members, keys(d.Object(append(path, "properties")...)))
	sameNames(t, "required members of "+name, required, texts(d.At(append(path, "required")...)))
}

func TestTheDocumentHasTheHeadersAndReasons(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	used, reasons := map[string]bool{}, map[string]bool{}
	eachConstant(t, func(name, value string) {
		if len(value) > len("Revoker-") && strings.HasPrefix(value, "Revoker-") {
			used[value] = true
		}
		if strings.HasPrefix(name, "Reason") && value == strings.ToUpper(value) {
			reasons[value] = true
		}
	})
	if len(used) < 17 || len(reasons) < 3 {
		t.Fatalf("only %v and %v are found in the code", used, reasons)
	}
	documented := map[string]bool{}
	for _, schema := range []string{"eventHeaders", "deadLetterHeaders", "receiptHeaders"} {
		for header := range d.Object("components", "schemas", schema, "properties") {
			documented[header] = true
		}
	}
	for header := range d.Object("components", "messages", "check", "headers", "properties") {
		documented[header] = true
	}
	for _, header := range []string{events.SourceHeader, jetstream.MsgIDHeader, jetstream.ExpectedStreamHeader, jetstream.ExpectedLastSubjSeqHeader, "Content-Type", "traceparent", "tracestate"} {
		used[header] = true
	}
	sameNames(t, "headers", keys(used), keys(documented))
	sameNames(t, "reasons", keys(reasons), texts(d.At("components", "schemas", "deadLetterHeaders", "properties", events.HeaderReason, "enum")))
	if got := d.At("components", "schemas", "eventHeaders", "properties", events.SourceHeader, "pattern"); got != config.SourceName.String() {
		t.Errorf("a source is %v, want %s", got, config.SourceName)
	}
}

// eachConstant yields the constants of this folder and its rooms that are text.
func eachConstant(t *testing.T, yield func(name, value string)) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, is := node.(*ast.ValueSpec); is {
				for i, value := range spec.Values {
					if literal, is := value.(*ast.BasicLit); is && literal.Kind == token.STRING {
						text, _ := strconv.Unquote(literal.Value)
						yield(spec.Names[i].Name, text)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheDocumentHasTheNamesOnTheWire(t *testing.T) {
	t.Parallel()
	d, cfg := testasyncapi.Read(t), config.Default()
	documented := map[string]string{}
	note := func(variable, value any) { documented[fmt.Sprint(variable)] = fmt.Sprint(value) }
	for channel := range d.Object("channels") {
		if d.At("channels", channel, "x-jetstream") == nil {
			continue
		}
		address, _, _ := strings.Cut(fmt.Sprint(d.At("channels", channel, "address")), ".{")
		note(d.At("channels", channel, "x-jetstream", "variable"), address)
		note(d.At("channels", channel, "x-jetstream", "stream", "variable"), d.At("channels", channel, "x-jetstream", "stream", "name"))
		if d.At("channels", channel, "x-jetstream", "consumer") != nil {
			note(d.At("channels", channel, "x-jetstream", "consumer", "variable"), d.At("channels", channel, "x-jetstream", "consumer", "durable_name"))
		}
	}
	want := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if name := field.Name; strings.HasSuffix(name, "Stream") || strings.HasSuffix(name, "Subject") || strings.HasSuffix(name, "Consumer") {
			want[field.Tag.Get("envconfig")] = field.Tag.Get("default")
		}
	}
	if !maps.Equal(documented, want) {
		t.Errorf("the names are %v, want %v", documented, want)
	}
	workers := fmt.Sprint(d.At("channels", "workers", "address"))
	for parameter := range d.Object("channels", "workers", "parameters") {
		workers = strings.ReplaceAll(workers, "{"+parameter+"}", fmt.Sprint(d.At("channels", "workers", "parameters", parameter, "default")))
	}
	if workers != peer.Subject(cfg) {
		t.Errorf("workers answer on %s, want %s", workers, peer.Subject(cfg))
	}
	if got, want := d.At("channels", "receipts", "address"), events.ReceiptSubject(cfg, "{hash}"); got != want {
		t.Errorf("receipts are on %s, want %s", got, want)
	}
	for name, stream := range map[string]jetstream.StreamConfig{"events": events.EventStream(cfg), "deadLetters": events.DeadLetterStream(cfg), "receipts": events.ReceiptStream(cfg)} {
		if err := testasyncapi.SameSettings(d.Object("components", "x-streams", name), stream); err != nil {
			t.Errorf("stream %s: %v", name, err)
		}
	}
}

// Each example is good for its own schema, and revoker's decoder reads it as it is meant.
func TestTheDocumentsEventsAreRead(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	ended := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := map[string]events.Event{
		"event/whole":    {SessionID: "my-sid", ServiceID: "1234567890", EndedAt: ended, Reason: "logout"},
		"event/smallest": {SessionID: "my-sid"}, "event/odd": {SessionID: "my-sid"},
		"binaryCloudEvent/binary":             {SessionID: "my-sid", Reason: "logout"},
		"structuredCloudEvent/structured":     {SessionID: "my-sid", EndedAt: ended},
		"structuredCloudEvent/withoutHeaders": {SessionID: "my-sid"},
	}
	for _, example := range d.Examples() {
		name := example.Message + "/" + example.Name
		if err := d.Validate(example.Message, example.Header, example.Payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wanted, isEvent := want[name]
		if !isEvent {
			if strings.Contains(strings.ToLower(example.Message), "event") && example.Message != "askEvent" {
				t.Errorf("%s: say here how it is read", name)
			}
			continue
		}
		delete(want, name)
		event, err := events.Decode(example.Header, example.Payload)
		if err != nil || event != wanted {
			t.Errorf("%s is read as %+v, %v", name, event, err)
		}
		if id := example.Header[jetstream.MsgIDHeader]; id != nil && id[0] != event.MessageID(config.Live) {
			t.Errorf("%s has the message ID %s, want %s", name, id[0], event.MessageID(config.Live))
		}
	}
	if len(want) > 0 {
		t.Errorf("the document has no %v", slices.Sorted(maps.Keys(want)))
	}
	for request, message := range map[string]string{"": "askState", peer.LetGo: "letGo", peer.About(1<<64-1, events.SessionID("my-sid").Mask()): "askEvent", peer.HistoryOf(900): "askHistory"} {
		if err := d.Validate(message, nil, []byte(request)); err != nil {
			t.Error(err)
		}
	}
}

// What a schema refuses, the decoder refuses too; and the schema of an event takes what the decoder takes.
func TestTheDocumentAndTheDecoderAgree(t *testing.T) {
	t.Parallel()
	d := testasyncapi.Read(t)
	long := strings.Repeat("a", events.MaxSessionIDLength)
	for payload, good := range map[string]bool{
		`{"sessionId":"a"}`: true, `{"sessionId":"a","serviceId":null,"endedAt":7,"reason":[]}`: true, `{"sessionId":"` + long + `"}`: true,
		`{"sessionId":""}`: false, `{"sessionId":null}`: false, `{"sessionId":1}`: false, `{}`: false, `[]`: false, `"a"`: false, `{"sessionId":"` + long + `a"}`: false,
		`{"sessionId":"a","serviceId":1}`: false,
	} {
		_, err := events.Decode(nil, []byte(payload))
		if invalid := d.Validate("event", nil, []byte(payload)); (invalid == nil) != good || (err == nil) != good {
			t.Errorf("%.40s: the document says %v, the decoder %v", payload, invalid, err)
		}
	}
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

// texts are the strings of a JSON array.
func texts(list any) (found []string) {
	values, _ := list.([]any)
	for _, value := range values {
		found = append(found, fmt.Sprint(value))
	}
	return found
}

func sameNames(t *testing.T, what string, code, document []string) {
	t.Helper()
	slices.Sort(code)
	slices.Sort(document)
	if !slices.Equal(code, document) {
		t.Errorf("%s: the code has %v, %s %v", what, code, testasyncapi.File, document)
	}
}
