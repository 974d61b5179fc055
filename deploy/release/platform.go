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
	name := fmt.Sprintf("revoker-%s-%s-%s", r.version, p.os, p.arch)
	files := []file{{name: name + "/revoker", path: program, mode: 0o755}}
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
	toolchain, err := goToolchain()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "release,grpcnotrace",
		"-ldflags", "-s -w -buildid= -X main.version="+r.version+" -X main.commit="+commit, "-o", program, "./cmd/revoker")
	cmd.Dir, cmd.Stderr = r.source, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN="+toolchain)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// goToolchain is the Go of this module's go.mod, whichever runs this program: go fetches it if it is not here.
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
