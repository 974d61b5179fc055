package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// licencesName is a file of each archive.
const licencesName = "LICENSES-THIRD-PARTY.txt"

var licenceFile = regexp.MustCompile(`^(LICEN[CS]E|COPYING|NOTICE|PATENTS)([.-].*)?$`)

// writeLicences writes the licences of what a program is built from: most of them ask for their text beside the program.
func writeLicences(source, program, path string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	list := []string{"list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}"}
	for _, module := range info.Deps {
		list = append(list, module.Path)
	}
	modules, err := goCommand(source, nil, list...)
	if err != nil {
		return err
	}
	toolchain, err := goCommand(source, nil, "env", "GOROOT")
	if err != nil {
		return err
	}
	text := strings.Builder{}
	for line := range strings.Lines("The Go standard library\t" + toolchain + "\n" + modules) {
		name, folder, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if err := addLicences(&text, name, folder); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

func addLicences(text *strings.Builder, name, folder string) error {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return err
	}
	found := false
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		found = true
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "==== %s, %s\n\n%s\n\n", name, entry.Name(), strings.TrimSpace(string(content)))
	}
	if !found {
		return errors.New("it has no licence")
	}
	return nil
}
