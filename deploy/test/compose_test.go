package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// compose loads compose.yaml as `docker compose` does, strictly.
func compose(t *testing.T, env map[string]string, profiles ...string) *types.Project {
	t.Helper()
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	options, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithEnv(list), cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeHasWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	want := []string{"grafana", "jaeger", "nats", "prometheus", "receive", "revoker", "setup"}
	if got := compose(t, nil).ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	project := compose(t, nil, "demo")
	if got, want := project.ServiceNames(), slices.Insert(want, 0, "demo"); !slices.Equal(got, want) {
		t.Errorf("services of the demo %v, want %v", got, want)
	}
	for name, s := range project.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to others", name, port.Published)
			}
		}
		for _, volume := range s.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for variable := range s.Environment {
			if ours := strings.HasPrefix(s.Image, "revoker:"); ours && !isVariable(variable) && !strings.HasPrefix(variable, "OTEL_") {
				t.Errorf("%s: revoker has no variable %s", name, variable)
			}
		}
		if strings.HasPrefix(s.Image, "revoker:") && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"})) {
			t.Errorf("%s may more than it needs", name)
		}
	}
}

// The demo's API is where the worker looks for it, and takes its token; with the real one's variables nothing is left of it.
func TestComposeDemo(t *testing.T) {
	t.Parallel()
	project := compose(t, nil, "demo")
	demo, revoker := project.Services["demo"], project.Services["revoker"]
	address := demo.Command[slices.Index(demo.Command, "--addr")+1]
	if got := *revoker.Environment["AUTHLETE_BASE_URL"]; got != "http://"+address || demo.NetworkMode != "service:revoker" {
		t.Errorf("the worker calls %s, the demo listens on %s in network %s", got, address, demo.NetworkMode)
	}
	for _, name := range []string{"AUTHLETE_BEARER", "AUTHLETE_SERVICE_ID"} {
		if *demo.Environment[name] != *revoker.Environment[name] {
			t.Errorf("%s differs", name)
		}
	}
	own := map[string]string{"AUTHLETE_BASE_URL": "https://us.authlete.com", "AUTHLETE_SERVICE_ID": "42", "AUTHLETE_BEARER": "own"}
	environment := compose(t, own).Services["revoker"].Environment
	for name, want := range own {
		if *environment[name] != want {
			t.Errorf("%s is %s, want %s", name, *environment[name], want)
		}
	}
}

// A dot on the dashboard's time to revoked leads to the trace of that revocation.
func TestComposeLeadsFromAMetricToItsTrace(t *testing.T) {
	t.Parallel()
	project := compose(t, nil)
	var sources struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       struct {
				ExemplarTraceIDDestinations []struct{ Name, DatasourceUID string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../compose/grafana-datasource.yaml")), &sources); err != nil {
		t.Fatal(err)
	}
	url := map[string]string{}
	for _, source := range sources.Datasources {
		url[source.UID] = source.URL
	}
	leads := sources.Datasources[0].JSONData.ExemplarTraceIDDestinations
	if len(leads) != 1 || !strings.HasPrefix(url[leads[0].DatasourceUID], "http://jaeger:") {
		t.Fatalf("%+v leads to %v", leads, url)
	}
	if !strings.Contains(read(t, root, "worker/metrics.go"), `prometheus.Labels{"`+leads[0].Name+`":`) {
		t.Errorf("revoker does not put the trace into the label %s", leads[0].Name)
	}
	if got := project.Services["revoker"].Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; got == nil || *got != "http://jaeger:4318" {
		t.Errorf("traces go to %v", got)
	}
	if _, there := project.Services["jaeger"]; !there {
		t.Error("nothing takes the traces")
	}
	if !slices.Contains(project.Services["prometheus"].Command, "--enable-feature=exemplar-storage") {
		t.Error("Prometheus keeps no exemplars")
	}
	off := compose(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
	if got := off.Services["revoker"].Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; *got != "" {
		t.Errorf("traces can't be turned off: %s", *got)
	}
}

// The times, ports, identities and versions are those of revoker, of its image, and of deploy/nats.
func TestComposeFitsTheRest(t *testing.T) {
	t.Parallel()
	project := compose(t, nil, "demo")
	revoker, nats := project.Services["revoker"], project.Services["nats"]
	if port := revoker.Ports[0].Target; !strings.Contains(read(t, root, "deploy/docker/Dockerfile"), "EXPOSE 8080\n") || port != 8080 {
		t.Errorf("port %d is not the image's", port)
	}
	if want := "github.com/nats-io/nats-server/v2 v" + strings.TrimSuffix(strings.TrimPrefix(nats.Image, "nats:"), "-alpine") + "\n"; !strings.Contains(read(t, root, "go.mod"), want) {
		t.Errorf("%s is not the server of the tests", nats.Image)
	}
	accounts := read(t, root, "deploy/nats/accounts.conf")
	for _, name := range []string{"setup", "revoker", "receive", "demo"} {
		env := project.Services[name].Environment
		user := *env["NATS_USER"]
		variable := "NATS_" + strings.ToUpper(user) + "_PASSWORD"
		if !strings.Contains(accounts, "user: "+user+", password: $"+variable+"\n") || *nats.Environment[variable] != *env["NATS_PASSWORD"] {
			t.Errorf("%s: %s has another password there", name, user)
		}
		if !regexp.MustCompile(`subscribe: \[\s*"` + regexp.QuoteMeta(*env["NATS_INBOX_PREFIX"]) + `\.>"`).MatchString(accounts) {
			t.Errorf("%s: no inbox %s", name, *env["NATS_INBOX_PREFIX"])
		}
	}
	var prometheus struct {
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
		RuleFiles []string `json:"rule_files"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "../compose/prometheus.yml")), &prometheus); err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, job := range prometheus.ScrapeConfigs {
		targets = append(targets, job.StaticConfigs[0].Targets...)
	}
	if !slices.Equal(targets, []string{"revoker:8080", "receive:8091"}) {
		t.Errorf("Prometheus scrapes %v", targets)
	}
	receive := project.Services["receive"].Environment
	if ops := *receive["REVOKER_RECEIVE_OPS_ADDR"]; "receive"+ops != targets[1] || *receive["REVOKER_OPS_ADDR"] != "127.0.0.1"+ops || *receive["REVOKER_RECEIVE_ADDR"] != ":8090" {
		t.Errorf("%v", receive)
	}
	for _, file := range append(prometheus.RuleFiles, *project.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]) {
		if !mounted(project, file) {
			t.Errorf("nothing is mounted at %s", file)
		}
	}
}

// mounted tells whether a path in some container is a file here.
func mounted(project *types.Project, path string) bool {
	for _, s := range project.Services {
		for _, volume := range s.Volumes {
			below, under := strings.CutPrefix(path, volume.Target)
			if info, err := os.Stat(filepath.Join(volume.Source, below)); under && volume.Type == types.VolumeTypeBind && err == nil && !info.IsDir() {
				return true
			}
		}
	}
	return false
}
