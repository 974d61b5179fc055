package memory

import (
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

// The least of the limits counts, wherever in the hierarchy of control groups it is.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"no control groups": {fstest.MapFS{}, math.MaxInt64},
		"cgroup v1":         {fstest.MapFS{"proc/self/cgroup": file("4:memory:/x\n")}, math.MaxInt64},
		"no limit":          {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n")}, math.MaxInt64},
		"a container":       {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1000\n")}, 1000},
		"a unit": {fstest.MapFS{
			"proc/self/cgroup": file("1:name=systemd:/x\n0::/system.slice/revoker.service\n"), "sys/fs/cgroup/system.slice/revoker.service/memory.max": file("2000\n"),
		}, 2000},
		"a slice": {fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/revoker.service\n"), "sys/fs/cgroup/system.slice/revoker.service/memory.max": file("2000\n"),
			"sys/fs/cgroup/system.slice/memory.max": file("1500\n"),
		}, 1500},
	} {
		if got, _ := limitOf(c.root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for limit, warns := range map[string]bool{"201326592": false, "600000000": false, "50000000": true} {
		var log strings.Builder
		root := fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file(limit)}
		Warn(slog.New(slog.NewTextHandler(&log, nil)), 64, root)
		if strings.Contains(log.String(), "REVOKER_CONCURRENCY") != warns {
			t.Errorf("with %s it says %q", limit, log.String())
		}
	}
}
