//go:build tools

package systemtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"revoker/internal/testasyncapi"
	"revoker/internal/testproc"
)

// AsyncAPI's own parser has nothing against the document's form and references. It does not look into examples; other tests do.
func TestTheAsyncAPIDocumentIsValid(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("ASYNCAPI_PARSER")
	if folder == "" {
		t.Fatal("ASYNCAPI_PARSER is not set: the folder of npm's @asyncapi/parser. .ci/run tools sets it")
	}
	script, err := filepath.Abs("testdata/asyncapi.mjs")
	if err != nil {
		t.Fatal(err)
	}
	p := testproc.Start(t, []string{"ASYNCAPI_PARSER=" + folder}, "node", script, filepath.Join(testproc.Repository(t), testasyncapi.File))
	if code := p.Wait(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr.String())
	}
	var found struct {
		Version     string
		Operations  int
		Diagnostics []struct {
			Code, Message string
			Path          []any
			Severity      int // 0 is an error, 1 a warning. The others are hints, that there is a later AsyncAPI for example.
		}
	}
	if err := json.Unmarshal([]byte(p.Stdout.String()), &found); err != nil {
		t.Fatalf("%v in %s", err, p.Stdout.String())
	}
	for _, f := range found.Diagnostics {
		if f.Severity <= 1 {
			t.Errorf("%v: %s (%s)", f.Path, f.Message, f.Code)
		}
	}
	if found.Version != "3.0.0" || found.Operations == 0 {
		t.Errorf("read as version %s with %d operations", found.Version, found.Operations)
	}
}
