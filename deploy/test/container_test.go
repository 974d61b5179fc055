package deploy_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files are the names of an image's files, and its size in bytes.
func (i image) files(t *testing.T) (list []string, size int64) {
	t.Helper()
	err := filepath.WalkDir(i.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
			list = append(list, strings.TrimPrefix(path, i.folder))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list, size
}

// start runs a container as an engine would: as the image's user, in the image's files alone, which can't be written to.
func (i image) start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	uid, _, _ := strings.Cut(i.user, ":")
	isolate := []string{"--mount"}
	as := []string{"--userspec=" + i.user}
	if os.Getuid() != 0 {
		isolate, as = []string{"--user", "--map-user=" + uid, "--mount"}, nil
	}
	script := fmt.Sprintf(`mount --bind %[1]q %[1]q && mount -o remount,bind,ro %[1]q && exec chroot %[2]s %[1]q "$@"`, i.folder, strings.Join(as, " "))
	if args == nil {
		args = i.command
	}
	line := append(append(append(isolate, "sh", "-c", script, "sh"), i.entrypoint...), args...)
	return start(t, append(i.env, env...), "unshare", line...)
}
