// Package memory tunes the garbage collector for a worker, and warns where the memory limit is too small for its concurrency.
package memory

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets the heap grow to four times what is live between two collections. They cost 1% of the CPU then. With five times a
	// worker with 256 calls in flight has 7 MiB more, and is no faster.
	gcPercent = 300
	// Beyond these collections come earlier. A call in flight needs three goroutines and the buffers of a connection.
	memoryBase    = 56 << 20
	memoryPerCall = 20 << 10

	// What a worker with all its calls in flight is resident with at most: measured 91 MiB at 1,024 and 559 MiB at 16,384.
	// The chart sizes its limit by the same figures.
	residentBase    = 64 << 20
	residentPerCall = 32 << 10
)

// Tune sets the garbage collector up for so many calls in flight. It leaves the choice to GOGC and GOMEMLIMIT where they are set.
func Tune(concurrency int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryBase + memoryPerCall*int64(concurrency))
	}
}

// Warn says so where the memory that this process may use can't hold the configured concurrency. It warns rather than
// refuses to start, since the calls may never all be in flight at a time.
func Warn(log *slog.Logger, concurrency int, root fs.FS) {
	limit, source := limitOf(root)
	if need := residentBase + residentPerCall*int64(concurrency); limit < need {
		log.Warn("the memory limit is too small for the concurrency: with that many calls in flight the process may be killed, or spend"+
			" its time on collecting garbage; raise the limit or lower REVOKER_CONCURRENCY",
			"concurrency", concurrency, "needs", mebibytes(need), "limit", mebibytes(limit), "limit_of", source)
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%dMiB", n>>20) }

// limitOf is the least of GOMEMLIMIT and the limits of this process's control groups (cgroup v2), in bytes, and whose it
// is; math.MaxInt64 for none. root is the file system "/".
func limitOf(root fs.FS) (limit int64, source string) {
	limit = math.MaxInt64
	if os.Getenv("GOMEMLIMIT") != "" {
		limit, source = debug.SetMemoryLimit(-1), "GOMEMLIMIT"
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return limit, source
	}
	_, group, _ := strings.Cut(string(groups), "0::/")
	group, _, _ = strings.Cut(group, "\n")
	const mount = "sys/fs/cgroup"
	// In a container the group's own path may not be there, but its limit is at the mount.
	for folder := path.Join(mount, group); strings.HasPrefix(folder, mount); folder = path.Dir(folder) {
		text, err := fs.ReadFile(root, path.Join(folder, "memory.max"))
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n < limit { // "max" is none
			limit, source = n, "cgroup"
		}
	}
	return limit, source
}
