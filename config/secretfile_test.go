package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file is followed: what replaces it is read within a second, and what can't be taken changes nothing until it can.
func TestASecretFileIsFollowed(t *testing.T) {
	t.Parallel()
	path, now := filepath.Join(t.TempDir(), "secret"), time.Unix(1_800_000_000, 0)
	write := func(content string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	take := func(content []byte) error {
		if len(content) == 0 {
			return errors.New("empty")
		}
		got = string(content)
		return nil
	}
	file := NewSecretFile(path, 8)
	// A look that takes longer than Follow waits, as on a machine that stands still for a moment, is taken later.
	follow := func(now time.Time) {
		t.Helper()
		began := time.Now()
		file.Follow(now, take)
		if waited := time.Since(began); file.look != nil && waited < secretWait {
			t.Errorf("it waited %s for the file", waited)
		}
		for file.look != nil {
			file.Follow(now, take)
		}
	}
	if err := file.Read(take); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	write("too large", 0)
	if err := file.Read(take); err == nil || got != "" {
		t.Errorf("a file that is too large: %v, %q", err, got)
	}
	write("first", 5*time.Second)
	if err := file.Read(take); err != nil || got != "first" {
		t.Fatalf("%v, %q", err, got)
	}
	follow(now)
	for _, step := range []struct {
		content string
		after   time.Duration
		want    string
	}{{"second", 500 * time.Millisecond, "first"}, {"second", time.Second, "second"}, {"", time.Second, "second"}, {"third", time.Second, "third"}} {
		now = now.Add(step.after)
		write(step.content, 0)
		if follow(now); got != step.want {
			t.Errorf("%q written, %s later: %q, want %q", step.content, step.after, got, step.want)
		}
	}
	got = ""
	if follow(now.Add(time.Second)); got != "" {
		t.Errorf("read again, although it is the same: %q", got)
	}
	file.Forget()
	if follow(now.Add(time.Second)); got != "third" {
		t.Errorf("after Forget: %q", got)
	}
}
