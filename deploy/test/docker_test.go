package deploy_test

import (
	"crypto/sha256"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	maxImage = 25 << 20 // bytes
	version  = "v1.2.3-test"
)

// TestImage builds the image and runs it beside a NATS server, with the simulated API in a container of its own.
func TestImage(t *testing.T) {
	t.Parallel()
	i := build(t, root, map[string]string{"VERSION": version})
	files, size := i.files(t)
	if want := []string{"/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/revoker"}; !slices.Equal(files, want) {
		t.Errorf("it has %v, want %v: no shell, no library, no source", files, want)
	}
	if size >= maxImage {
		t.Errorf("it has %d bytes", size)
	}
	t.Logf("the image has %.1f MB", float64(size)/1e6)
	pem, err := os.ReadFile(filepath.Join(i.folder, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
		t.Errorf("no certificate authorities: %v", err)
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(i.user) {
		t.Errorf("its user is %q", i.user)
	}

	said := i.start(t, nil, "version")
	if code := said.wait(t); code != 0 || !strings.HasPrefix(said.out.String(), "revoker "+version+" ") {
		t.Errorf("version: exit code %d, %s", code, said.out.String())
	}
	url, api, ops := startNATS(t), freeAddress(t), freeAddress(t)
	env := []string{
		"NATS_URL=" + url, "AUTHLETE_BASE_URL=http://" + api, "AUTHLETE_SERVICE_ID=1", "AUTHLETE_BEARER=token",
		"REVOKER_OPS_ADDR=" + ops, "REVOKER_LOG_LEVEL=debug", "TZ=Asia/Tokyo",
	}
	i.start(t, env, "simulate", "--addr", api).says(t, "serving a simulated logout API")
	health := append([]string{i.healthcheck[0]}, i.healthcheck[1:]...)
	if health[0] != "CMD" || !slices.Equal(health[1:2], i.entrypoint) {
		t.Fatalf("the health check is %v", health)
	}
	if code := i.start(t, env, health[2:]...).wait(t); code == 0 {
		t.Error("it is healthy before it runs")
	}
	worker := i.start(t, env)
	worker.says(t, `"outcome":"revoked"`)
	if !strings.Contains(worker.out.String(), "+09:00") {
		t.Error("it does not know the time of Tokyo")
	}
	if code := i.start(t, env, health[2:]...).wait(t); code != 0 {
		t.Errorf("it is not healthy while it works: %d", code)
	}
	// A restart would not give it another token, or bring NATS back.
	unready := append(slices.Clone(env), "NATS_URL=nats://127.0.0.1:1", "AUTHLETE_BEARER=another", "REVOKER_OPS_ADDR="+freeAddress(t))
	i.start(t, unready).says(t, "NATS can't be reached")
	if code := i.start(t, unready, health[2:]...).wait(t); code != 0 {
		t.Errorf("an engine would restart a worker that is not ready: %d", code)
	}
	if err := worker.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := worker.wait(t); code != 0 {
		t.Errorf("stopped, it ends with %d", code)
	}
}

// The same sources in another place, at another time, give the same files.
func TestTheImageIsReproducible(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "cmd", "config", "events", "worker", "deploy/docker"} {
		(&builder{t: t}).copyTree(root, name, filepath.Join(elsewhere, name), nil)
	}
	sums := map[string]bool{}
	for _, context := range []string{root, elsewhere} {
		sums[string(sha256Of(t, build(t, context, nil)))] = true
	}
	if len(sums) != 1 {
		t.Error("two builds differ")
	}
}

func sha256Of(t *testing.T, i image) []byte {
	t.Helper()
	sum := sha256.New()
	files, _ := i.files(t)
	for _, name := range files {
		info, err := os.Stat(filepath.Join(i.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write([]byte(name + info.Mode().String() + read(t, i.folder, name)))
	}
	return sum.Sum(nil)
}

// The base image has the Go of go.mod.
func TestTheBuildUsesTheGoOfGoMod(t *testing.T) {
	t.Parallel()
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, root, "go.mod"))
	if text := read(t, root, "deploy/docker/Dockerfile"); want == nil || !strings.Contains(text, "FROM golang:"+want[1]+" AS build") {
		t.Errorf("it does not use Go %v", want)
	}
}
