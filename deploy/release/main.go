// Command release builds what a release of revoker has into the folder dist: archives of the program for each platform, a software bill
// of materials for each, the Helm chart and the checksums. The same commit gives the same bytes wherever and whenever it is built, from
// a clone or from a source archive.
//
//	go run -C deploy/release . notes v1.2.3     # prints what CHANGELOG.md says of it
//	go run -C deploy/release . build v1.2.3     # builds it
//	go run -C deploy/release . chart v1.2.3     # packs the chart alone, as it lies here, to try it
//
// It is not GoReleaser: that is several hundred modules and a tool of its own for the bill of materials, to run what stands here.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const usage = `go run -C deploy/release . notes VERSION
go run -C deploy/release . build [-platforms linux/amd64,…] [-out FOLDER] VERSION
go run -C deploy/release . chart [-out FOLDER] VERSION`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	platforms := flags.String("platforms", allPlatforms, "platforms to build for")
	folder := flags.String("out", filepath.Join(root, "dist"), "folder for what is built")
	if len(args) == 0 {
		return errors.New(usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New(usage)
	}
	r := release{source: root, out: *folder, version: flags.Arg(0), date: time.Unix(0, 0)}
	if args[0] == "chart" {
		return packChart(r)
	}
	notes, err := readNotes(root, r.version)
	if err != nil {
		return err
	}
	r.date = notes.date
	switch args[0] {
	case "notes":
		_, err := fmt.Fprint(out, notes.text)
		return err
	case "build":
		if err := checkGo(runtime.Version()); err != nil {
			return err
		}
		if r.platforms, err = parsePlatforms(*platforms); err != nil {
			return err
		}
		return build(r)
	}
	return errors.New(usage)
}

// checkGo refuses another Go than that of go.mod: it would compile the same programs, but may compress them otherwise.
func checkGo(running string) error {
	want, err := goToolchain()
	if err == nil && running != want {
		err = fmt.Errorf("this runs with %s: set GOTOOLCHAIN=%s, and go fetches that", running, want)
	}
	return err
}
