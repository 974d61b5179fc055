package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// platform is an operating system and an architecture, as Go names them.
type platform struct{ os, arch string }

const allPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

func parsePlatforms(list string) (platforms []platform, err error) {
	for _, name := range strings.Split(list, ",") {
		if !strings.Contains(","+allPlatforms+",", ","+name+",") {
			return nil, fmt.Errorf("platform %q: the platforms are %s", name, allPlatforms)
		}
		system, arch, _ := strings.Cut(name, "/")
		platforms = append(platforms, platform{system, arch})
	}
	return platforms, nil
}

// beside are the files that an archive has beside the program.
var beside = []string{
	"LICENSE", "README.md", "CHANGELOG.md", "deploy/revoker.env", "deploy/systemd/revoker.service", "deploy/systemd/revoker-receive.service",
}

// buildPlatform writes the archive and the bill of materials of one platform. folder must not exist.
func buildPlatform(r release, p platform, commit, folder string) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	program := filepath.Join(folder, "revoker")
	if err := compile(r, p, commit, program); err != nil {
		return err
	}
	licences := filepath.Join(folder, licencesName)
	if err := writeLicences(r.source, program, licences); err != nil {
		return fmt.Errorf("the licences: %w", err)
	}
	name := fmt.Sprintf("revoker-%s-%s-%s", r.version, p.os, p.arch)
	files := []file{{name: name + "/revoker", path: program, mode: 0o755}, {name: name + "/" + licencesName, path: licences, mode: 0o644}}
	for _, path := range beside {
		files = append(files, file{name: name + "/" + filepath.Base(path), path: filepath.Join(r.source, path), mode: 0o644})
	}
	if err := writeArchive(filepath.Join(r.out, name+".tar.gz"), files, r.date); err != nil {
		return err
	}
	return writeSBOM(program, r.version, filepath.Join(r.out, name+".cdx.json"))
}

// compile builds the program as the image has it, but with `revoker dev`. Nothing of this machine gets into it: neither its folders, nor
// its Git, nor its settings of Go, nor its version of Go.
func compile(r release, p platform, commit, program string) error {
	_, err := goCommand(r.source, []string{"CGO_ENABLED=0", "GOOS=" + p.os, "GOARCH=" + p.arch, "GOAMD64=v1", "GOARM64=v8.0"},
		"build", "-trimpath", "-buildvcs=false", "-tags", "release,grpcnotrace",
		"-ldflags", "-s -w -buildid= -X main.version="+r.version+" -X main.commit="+commit, "-o", program, "./cmd/revoker")
	return err
}

// goCommand runs the Go of this module's go.mod in the sources, whichever Go runs this program. Go fetches it if it is not here.
func goCommand(source string, env []string, args ...string) (string, error) {
	toolchain, err := goToolchain()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = source, os.Stderr
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN="+toolchain), env...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

func goToolchain() (string, error) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if version, found := strings.CutPrefix(line, "go "); found {
			return "go" + strings.TrimSpace(version), nil
		}
	}
	return "", errors.New("go.mod names no Go")
}
