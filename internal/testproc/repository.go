package testproc

import (
	"os"
	"path/filepath"
	"testing"
)

// Repository is the path of the repository's folder: the first one above a test's that has a go.mod.
func Repository(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
	}
	t.Fatal("no go.mod above")
	return ""
}

// ReadFile reads a file by its path in the repository.
func ReadFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Repository(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
