package testproc

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// CPU is µs of an ended process for each of n events.
func (p *Process) CPU(n int) float64 {
	state := p.Cmd.ProcessState
	return float64((state.UserTime() + state.SystemTime()).Microseconds()) / float64(n)
}

// Peak is the most resident memory that a running process had so far, in MiB. What the system counts for an ended one, Maxrss,
// includes that of the process which started it.
func (p *Process) Peak() float64 { return p.status("VmHWM:") }

// Resident is the resident memory that a running process has now, in MiB.
func (p *Process) Resident() float64 { return p.status("VmRSS:") }

func (p *Process) status(line string) float64 {
	p.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		p.T.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), line)
	var kib float64
	if _, err := fmt.Sscanf(rest, "%f kB", &kib); err != nil {
		p.T.Fatalf("no memory in %q", status)
	}
	return kib / 1024
}

// PeakToItsEnd waits for the process's end, and returns the most memory that it had. A process's own resource usage counts
// the one that started it too.
func (p *Process) PeakToItsEnd() (mebibytes float64) {
	p.T.Helper()
	for ; p.Running(); time.Sleep(10 * time.Millisecond) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		var kibibytes float64
		if n, _ := fmt.Sscan(line, &kibibytes); n == 1 {
			mebibytes = kibibytes / 1024
		}
	}
	return mebibytes
}
