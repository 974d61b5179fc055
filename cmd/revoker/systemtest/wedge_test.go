//go:build unix

package systemtest

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// A log that nobody takes stops every slot that writes a line, for as long as that lasts. That has no end of its own, so /livez tells
// it: after twice the request timeout, and 70 s.
func TestALogThatNobodyReadsIsToldByLivez(t *testing.T) {
	t.Parallel()
	const events = 600
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	s.Publish(0, events)
	path := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ops := testport.Address(t)
	testproc.Start(t, s.Env("REVOKER_OPS_ADDR="+ops, "REVOKER_CONCURRENCY=8", "REVOKER_REQUEST_TIMEOUT=1s", "BINARY="+testproc.Binary(t, "revoker"), "LOG="+path),
		"/bin/sh", "-c", `exec "$BINARY" run 2>"$LOG"`)
	live := func() (int, string) {
		response, err := http.Get("http://" + ops + "/livez")
		if err != nil {
			return 0, ""
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	testproc.WaitFor(t, "the worker's first calls", func() bool { return s.Calls() > 0 })
	if status, why := live(); status != http.StatusOK {
		t.Fatalf("/livez: %d %s", status, why)
	}
	// The slots began their last events one after the other, so the first is told before the last one.
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, why := live()
		if status == http.StatusServiceUnavailable && strings.Contains(why, "8 of 8 slots stand still") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/livez: %d %s", status, why)
		}
	}
	if n := s.Calls(); n >= events {
		t.Errorf("%d calls, and the log stopped none", n)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }() // ends when log is closed
	s.WaitDone()
	testproc.WaitFor(t, "a good /livez", func() bool { status, _ := live(); return status == http.StatusOK })
}
