//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A file that blocks who reads it, as a pipe does, or a file system that is away, holds nobody up for long. The last secret stays in
// force until the file answers.
func TestASecretFileThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	path, now := filepath.Join(t.TempDir(), "secret"), time.Now()
	if err := os.WriteFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ""
	take := func(content []byte) error { got = string(content); return nil }
	file := NewSecretFile(path, 8)
	if err := file.Read(take); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	followed := make(chan bool)
	go func() {
		defer close(followed)
		for range 100 {
			now = now.Add(time.Minute)
			file.Follow(now, take)
		}
	}()
	select {
	case <-followed:
	case <-time.After(50 * secretWait):
		t.Fatal("it waits for a pipe that nobody writes to, or waits for it each time")
	}
	if got != "first" {
		t.Errorf("meanwhile the secret is %q", got)
	}
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.WriteString("second"); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	for deadline := time.Now().Add(30 * time.Second); got != "second"; time.Sleep(time.Millisecond) {
		if file.Follow(now, take); time.Now().After(deadline) {
			t.Fatalf("after the file answered the secret is %q", got)
		}
	}
}
