//go:build tools

package systemtest

import (
	"os"
	"path/filepath"
	"testing"
)

// NODE_FOLDER is where .ci/run installed the modules that the document names.
func TestTheDocumentedPublisherInNode(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("NODE_FOLDER")
	if folder == "" {
		t.Fatal("NODE_FOLDER is not set; .ci/run tools sets it")
	}
	file := filepath.Join(folder, "publisher.mjs")
	if err := os.WriteFile(file, documentedPublisher(t, "js"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
	publishes(t, folder, "node", file)
}
