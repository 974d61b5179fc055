package deploy_test

import (
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"revoker/config"
	"revoker/internal/testport"
)

const (
	// maxImage is 10% above what the image has, in bytes. What turns off the linker's search for methods that nothing calls adds 5 MB:
	// text/template, json-iterator, gRPC without its tag. `go build -ldflags -dumpdep` marks them with <ReflectMethod>.
	maxImage = 18 << 20
	version  = "v1.2.3-test"
	revision = "0123abc"
)

// TestImage builds the image and runs it beside a NATS server, with the simulated API in a container of its own.
func TestImage(t *testing.T) {
	t.Parallel()
	i := build(t, root, map[string]string{"VERSION": version, "REVISION": revision})
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

	said := i.start(t, nil, "version", "--json")
	if code := said.wait(t); code != 0 || !strings.Contains(said.out.String(), `"version": "`+version+`"`) || !strings.Contains(said.out.String(), `"commit": "`+revision+`"`) {
		t.Errorf("version: exit code %d, %s", code, said.out.String())
	}
	url, api, ops := startNATS(t), testport.Address(t), testport.Address(t)
	env := []string{
		"NATS_URL=" + url, "AUTHLETE_BASE_URL=http://" + api, "AUTHLETE_SERVICE_ID=1", "AUTHLETE_BEARER=token",
		"REVOKER_OPS_ADDR=" + ops, "REVOKER_LOG_LEVEL=debug", "TZ=Asia/Tokyo",
	}
	other := i
	other.user = "1000680000:0" // as OpenShift assigns it
	other.start(t, env, "simulate", "--addr", api).says(t, "serving a simulated logout API")
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
	unready := append(slices.Clone(env), "NATS_URL=nats://127.0.0.1:1", "AUTHLETE_BEARER=another", "REVOKER_OPS_ADDR="+testport.Address(t))
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

// For another architecture the build runs on the builder's own, and Go compiles for the other.
func TestTheImageIsForBothArchitectures(t *testing.T) {
	t.Parallel()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	delete(machines, runtime.GOARCH) // TestImage runs it
	for architecture, want := range machines {
		i := build(t, root, map[string]string{"TARGETARCH": architecture})
		file, err := elf.Open(filepath.Join(i.folder, "revoker"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Machine != want {
			t.Errorf("for %s it has a program for %s", architecture, file.Machine)
		}
	}
	if got := newBuilder(t, root, map[string]string{"BUILDPLATFORM": "linux/own"}).stages["build"].platform; got != "linux/own" {
		t.Errorf("the build runs on %q", got)
	}
}

// The names are those of the OCI image specification: https://specs.opencontainers.org/image-spec/annotations/.
func TestTheImageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	want := map[string]string{"version": version, "revision": revision, "source": "https://git.example.com/revoker", "licenses": "Apache-2.0", "title": "revoker"}
	b := newBuilder(t, root, map[string]string{"VERSION": version, "REVISION": want["revision"], "SOURCE": want["source"]})
	last := b.parsed[len(b.parsed)-1]
	s := b.stages[last.Name]
	for _, command := range last.Commands {
		switch command.(type) {
		case *instructions.ArgCommand, *instructions.LabelCommand:
			b.do(s, command)
		}
	}
	for name, value := range want {
		if got := s.labels["org.opencontainers.image."+name]; got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if s.labels["org.opencontainers.image.description"] == "" || len(s.labels) != len(want)+1 {
		t.Errorf("%v", s.labels)
	}
}

// The command that the document gives: the page can be reached, the token is there, and a new one comes in.
func TestTheDocumentedContainer(t *testing.T) {
	t.Parallel()
	_, text, found := strings.Cut(read(t, root, "deploy/README.md"), "    docker run ")
	command, _, _ := strings.Cut(text, "\n\n")
	if !found {
		t.Fatal("no `docker run`")
	}
	flags := map[string]string{}
	words := strings.Fields(strings.ReplaceAll(command, "\\\n", " "))
	for i, word := range words[:len(words)-1] {
		if strings.HasPrefix(word, "--") {
			flags[word] = strings.Trim(words[i+1], `"`)
		}
	}
	b := newBuilder(t, root, nil)
	ports := ""
	for _, command := range b.parsed[len(b.parsed)-1].Commands {
		if expose, is := command.(*instructions.ExposeCommand); is {
			ports = expose.Ports[0]
		}
	}
	if got := flags["--publish"]; !strings.HasPrefix(got, "127.0.0.1:") || !strings.HasSuffix(got, ":"+ports) || ports == "" {
		t.Errorf("it publishes %q, the image has %q", got, ports)
	}
	file, isFile := strings.CutPrefix(flags["--env"], "AUTHLETE_BEARER_FILE=")
	mount := strings.Split(flags["--volume"], ":")
	if !isFile || len(mount) != 3 || mount[1] != filepath.Dir(file) || mount[2] != "ro" {
		t.Errorf("the token is at %q, mounted is %v", file, mount)
	}
	// The lines before it bring the files, and the token to a user who can read it.
	before, _, _ := strings.Cut(read(t, root, "deploy/README.md"), "    docker run ")
	if !strings.Contains(before, "    cp deploy/revoker.env "+flags["--env-file"]+" ") {
		t.Errorf("nothing makes %s", flags["--env-file"])
	}
	token := regexp.MustCompile(`\n    sudo install -D -m 400 -o (\d+) \S+ (\S+)\n`).FindStringSubmatch(before)
	if token == nil || "$PWD/"+filepath.Dir(token[2]) != mount[0] || filepath.Base(token[2]) != filepath.Base(file) {
		t.Fatalf("the token is brought by %q", token)
	}
	if !strings.Contains(read(t, root, "deploy/docker/Dockerfile"), "\nUSER "+token[1]+":") {
		t.Errorf("the token belongs to %s, who is not the image's user", token[1])
	}
	grace, err := strconv.Atoi(flags["--stop-timeout"])
	if _, readOnly := flags["--read-only"]; !readOnly || err != nil || time.Duration(grace)*time.Second <= config.Default().DrainTimeout {
		t.Errorf("%v", flags)
	}
}

// The base image has the Go of go.mod, and a digest: a tag may name another image tomorrow.
func TestTheBuildUsesTheGoOfGoMod(t *testing.T) {
	t.Parallel()
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, root, "go.mod"))
	if language == nil {
		t.Fatal("go.mod names no Go")
	}
	want := regexp.MustCompile(`^golang:` + regexp.QuoteMeta(language[1]) + `\.\d+@sha256:[0-9a-f]{64}$`)
	if base := newBuilder(t, root, nil).stages["build"].base; !want.MatchString(base) {
		t.Errorf("it uses %s, not Go %s by its digest", base, language[1])
	}
	other := "golang:1.26@" + digest
	if base := newBuilder(t, root, map[string]string{"GO_IMAGE": other}).stages["build"].base; base != other {
		t.Errorf("told to use %s it uses %s", other, base)
	}
}
