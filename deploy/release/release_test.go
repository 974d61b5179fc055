package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// described is what `revoker version --json` prints.
type described struct {
	Version, Commit, CommitTime, Go, OS, Arch string
	Modified                                  bool
	Dependencies                              []struct{ Path, Version, Sum string }
}

func describe(t *testing.T, program string) (d described) {
	t.Helper()
	if err := json.Unmarshal([]byte(command(t, ".", program, "version", "--json")), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Dependencies) < 20 || d.OS != runtime.GOOS || d.Arch != runtime.GOARCH {
		t.Errorf("%+v", d)
	}
	return d
}

// built builds the release of a source for this machine's platform.
func built(t *testing.T, source string) string {
	t.Helper()
	notes, err := readNotes(source, theVersion(t))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "dist")
	if err := build(release{source: source, out: out, version: theVersion(t), date: notes.date, platforms: []platform{{runtime.GOOS, runtime.GOARCH}}}); err != nil {
		t.Fatal(err)
	}
	return out
}

// A clone, and the source archive of its commit in another folder with other times, give the same bytes. They are what a release has.
func TestTwoBuildsAreTheSame(t *testing.T) {
	t.Parallel()
	clone := newClone(t)
	dist, again := built(t, clone), built(t, unpacked(t, clone))
	sums := read(t, dist, "SHA256SUMS")
	if other := read(t, again, "SHA256SUMS"); other != sums {
		t.Errorf("two builds differ:\n%s\n%s", sums, other)
	}
	command(t, again, "sha256sum", "--check", "--strict", filepath.Join(dist, "SHA256SUMS"))
	version := theVersion(t)
	name := "revoker-" + version + "-" + runtime.GOOS + "-" + runtime.GOARCH
	want := []string{"SHA256SUMS", "revoker-" + strings.TrimPrefix(version, "v") + ".tgz", name + ".cdx.json", name + ".tar.gz"}
	var got []string
	entries, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) || strings.Count(sums, "\n") != len(want)-1 {
		t.Errorf("it has %v, want %v, and the sums\n%s", got, want, sums)
	}
	folder := t.TempDir()
	unpackArchive(t, filepath.Join(dist, name+".tar.gz"), folder)
	for _, path := range beside {
		if read(t, folder, name, filepath.Base(path)) != read(t, clone, path) {
			t.Errorf("%s is not the one of the sources", path)
		}
	}
	d := describe(t, filepath.Join(folder, name, "revoker"))
	toolchain, err := goToolchain()
	if err != nil {
		t.Fatal(err)
	}
	if d.Version != version || d.Commit != command(t, clone, "git", "rev-parse", "HEAD") || d.Modified || d.Go != toolchain {
		t.Errorf("the program says %+v", d)
	}
	licences := read(t, folder, name, licencesName)
	for _, module := range d.Dependencies {
		if !strings.Contains(licences, "\n==== "+module.Path+" "+module.Version+", ") {
			t.Errorf("%s has no licence of %s", licencesName, module.Path)
		}
	}
	checkSBOM(t, read(t, dist, name+".cdx.json"), d)
}

// unpackArchive unpacks an archive and checks that nothing in it is this machine's.
func unpackArchive(t *testing.T, path, folder string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if !zipped.ModTime.IsZero() || zipped.Name != "" {
		t.Errorf("%s: %+v", path, zipped.Header)
	}
	archive := tar.NewReader(zipped)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		program := strings.HasSuffix(header.Name, "/revoker")
		if mode := map[bool]int64{true: 0o755, false: 0o644}[program]; header.Mode != mode || header.Uid != 0 || header.Uname != "" {
			t.Errorf("%+v", header)
		}
		if header.ModTime.UTC().Hour() != 0 || header.ModTime.After(time.Now()) {
			t.Errorf("%s is of %s", header.Name, header.ModTime)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		write(t, string(content), folder, header.Name)
		if err := os.Chmod(filepath.Join(folder, header.Name), os.FileMode(header.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// The bill of materials has the modules that the program says it is built from, and their licences.
func checkSBOM(t *testing.T, text string, d described) {
	t.Helper()
	var bill struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct {
			Name, Version, PURL string
			Evidence            struct{ Licenses []any }
		}
	}
	if err := json.Unmarshal([]byte(text), &bill); err != nil {
		t.Fatal(err)
	}
	if main := bill.Metadata.Component; bill.BOMFormat != "CycloneDX" || main.Name != "revoker" || main.Version != d.Version {
		t.Errorf("it is of %s, in %s %s", main, bill.BOMFormat, bill.SpecVersion)
	}
	for _, module := range d.Dependencies {
		found := false
		for _, c := range bill.Components {
			if c.Name == module.Path && c.Version == module.Version {
				found = len(c.Evidence.Licenses) > 0
			}
		}
		if !found {
			t.Errorf("%s %s is not in it, or without its licence", module.Path, module.Version)
		}
	}
	if n := len(bill.Components); n != len(d.Dependencies)+1 {
		t.Errorf("it has %d components, want %d and Go's own library", n, len(d.Dependencies))
	}
}

// Programs that are not of a release know their commit too.
func TestOtherBuildsKnowTheirCommit(t *testing.T) {
	t.Parallel()
	clone := newClone(t)
	commit, bin := command(t, clone, "git", "rev-parse", "HEAD"), t.TempDir()
	cmd := exec.Command("go", "install", "./cmd/revoker")
	cmd.Dir, cmd.Env = clone, append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-buildvcs=true", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if d := describe(t, filepath.Join(bin, "revoker")); d.Version != theVersion(t) || d.Commit != commit || d.CommitTime == "" || d.Modified {
		t.Errorf("`go install` in a clone at a tag: %+v", d)
	}
	program := filepath.Join(bin, "unpacked")
	command(t, unpacked(t, clone), "go", "build", "-o", program, "./cmd/revoker")
	if d := describe(t, program); d.Version != "devel-"+commit[:12] || d.Commit != commit || d.Modified {
		t.Errorf("`go build` in an unpacked archive: %+v", d)
	}
}

func TestAChangedCloneIsNotReleased(t *testing.T) {
	t.Parallel()
	clone := newClone(t)
	r := release{source: clone, out: filepath.Join(t.TempDir(), "dist"), version: theVersion(t)}
	r.version = "v99.0.0"
	if err := build(r); err == nil || !strings.Contains(err.Error(), `"version: 99.0.0"`) {
		t.Errorf("of a version that the chart does not have: %v", err)
	}
	r.out, r.version = filepath.Join(t.TempDir(), "dist"), "1.2.3"
	if err := build(r); err == nil || !strings.Contains(err.Error(), "not a version") {
		t.Errorf("without a v: %v", err)
	}
	r.version = theVersion(t)
	write(t, "", clone, "cmd", "revoker", "extra.go")
	if err := build(r); err == nil || !strings.Contains(err.Error(), "cmd/revoker/extra.go") {
		t.Errorf("with another file: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(clone, ".git")); err != nil {
		t.Fatal(err)
	}
	if err := build(r); err == nil || !strings.Contains(err.Error(), "the commit is not known") {
		t.Errorf("without a commit: %v", err)
	}
}
