package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// file is one of an archive.
type file struct {
	name string // in the archive
	path string
	mode int64
}

// writeArchive writes a tar.gz whose bytes depend on names, contents, modes and the date alone.
func writeArchive(path string, files []file, date time.Time) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, zipped.Close()) }()
	archive := tar.NewWriter(zipped)
	defer func() { err = errors.Join(err, archive.Close()) }()
	for _, f := range files {
		content, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		header := tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(content)), ModTime: date, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(&header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return nil
}

const chartFolder = "deploy/helm/revoker"

// packChart writes the chart as `helm package` would: an archive of its folder. Helm itself stamps the files with the times that they
// have on disk. deploy/test loads the package with Helm's library.
func packChart(r release) error {
	folder := filepath.Join(r.source, chartFolder)
	about, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return err
	}
	number := strings.TrimPrefix(r.version, "v")
	for _, line := range []string{"version: " + number, "appVersion: " + r.version} {
		if !strings.Contains("\n"+string(about), "\n"+line+"\n") {
			return fmt.Errorf("its Chart.yaml does not say %q", line)
		}
	}
	var files []file
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(folder, path)
		files = append(files, file{name: "revoker/" + filepath.ToSlash(inside), path: path, mode: 0o644})
		return err
	})
	if err != nil {
		return err
	}
	return writeArchive(filepath.Join(r.out, "revoker-"+number+".tgz"), files, r.date)
}

// writeChecksums writes SHA256SUMS, which `sha256sum --check` reads.
func writeChecksums(folder string) error {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
