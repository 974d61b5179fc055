package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"revoker/config"
)

func TestWhatReceiveNeeds(t *testing.T) {
	const token = "a-token-of-senders"
	folder := files(t, "token")
	for name, c := range map[string]struct {
		environment map[string]string
		refused     string
	}{
		"a token":                  {map[string]string{"REVOKER_RECEIVE_TOKEN": token}, ""},
		"a token's file":           {map[string]string{"REVOKER_RECEIVE_TOKEN_FILE": filepath.Join(folder, "token")}, ""},
		"a token for its file":     {map[string]string{"REVOKER_RECEIVE_TOKEN_FILE": marker}, "REVOKER_RECEIVE_TOKEN_FILE"},
		"issuers":                  {map[string]string{"REVOKER_RECEIVE_ISSUERS_FILE": "/nowhere"}, ""},
		"no health":                {map[string]string{"REVOKER_RECEIVE_TOKEN": token, "REVOKER_RECEIVE_OPS_ADDR": ""}, ""},
		"nothing":                  {nil, "REVOKER_RECEIVE_TOKEN, REVOKER_RECEIVE_ISSUERS_FILE"},
		"a token twice":            {map[string]string{"REVOKER_RECEIVE_TOKEN": token, "REVOKER_RECEIVE_TOKEN_FILE": filepath.Join(folder, "token")}, "REVOKER_RECEIVE_TOKEN, REVOKER_RECEIVE_TOKEN_FILE"},
		"a short token":            {map[string]string{"REVOKER_RECEIVE_TOKEN": marker[:8]}, "REVOKER_RECEIVE_TOKEN"},
		"a token with a space":     {map[string]string{"REVOKER_RECEIVE_TOKEN": token + " x"}, "REVOKER_RECEIVE_TOKEN"},
		"an address without port":  {map[string]string{"REVOKER_RECEIVE_TOKEN": token, "REVOKER_RECEIVE_ADDR": "127.0.0.1"}, "REVOKER_RECEIVE_ADDR"},
		"health without a port":    {map[string]string{"REVOKER_RECEIVE_TOKEN": token, "REVOKER_RECEIVE_OPS_ADDR": "::1"}, "REVOKER_RECEIVE_OPS_ADDR"},
		"a subject with wildcards": {map[string]string{"REVOKER_RECEIVE_TOKEN": token, "REVOKER_SUBJECT": "session.>", "REVOKER_BULK_SUBJECT": ""}, "REVOKER_SUBJECT"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, c.environment)
			cfg, err := config.Load()
			if err != nil {
				t.Fatal(err)
			}
			err = cfg.ValidateReceive()
			if c.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refusedFor(t, err, c.refused, "")
		})
	}
}

func readIssuers(t *testing.T, content string) ([]config.Issuer, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "issuers.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Receive{IssuersFile: path}.ReadIssuers()
}

func TestIssuersAreRead(t *testing.T) {
	t.Parallel()
	issuers, err := readIssuers(t, `[
		{"name": "login", "issuer": "https://login.example/tenant", "clientIds": ["app", "web"], "serviceId": "123"},
		{"name": "dev-2", "issuer": "http://127.0.0.1:3000", "clientIds": ["app"]}
	]`)
	if err != nil || len(issuers) != 2 {
		t.Fatal(issuers, err)
	}
	if i := issuers[0]; i.Name != "login" || i.URL != "https://login.example/tenant" || !slices.Equal(i.ClientIDs, []string{"app", "web"}) || i.ServiceID != "123" {
		t.Errorf("%+v", i)
	}
	if none, err := (config.Receive{}).ReadIssuers(); none != nil || err != nil {
		t.Error(none, err)
	}
}

func TestIssuersThatAreWrong(t *testing.T) {
	t.Parallel()
	one := func(members string) string {
		return `[{"name":"a","issuer":"https://a.example","clientIds":["app"]}, {` + members + `}]`
	}
	for content, want := range map[string]string{
		`{}`:   "not a JSON array of issuers",
		`[]`:   "names no issuer",
		`[] x`: "something follows",
		`[]]`:  "something follows",
		one(`"name":"b","issuer":"https://b.example","clientIds":["app"],"audience":"x"`):    "unknown field",
		one(`"name":"B","issuer":"https://b.example","clientIds":["app"]`):                   "issuer 2: name:",
		one(`"name":"receive","issuer":"https://b.example","clientIds":["app"]`):             "issuer 2: name:",
		one(`"name":"b","issuer":"http://b.example","clientIds":["app"]`):                    "issuer 2: issuer: must be https://",
		one(`"name":"b","issuer":"https://u:p@b.example","clientIds":["app"]`):               "issuer 2: issuer: must have no user",
		one(`"name":"b","issuer":"https://b.example?x=y","clientIds":["app"]`):               "issuer 2: issuer: must have no user",
		one(`"name":"b","issuer":"b.example","clientIds":["app"]`):                           "issuer 2: issuer: not an https://",
		one(`"name":"b","issuer":"https://b.example","clientIds":[]`):                        "issuer 2: clientIds:",
		one(`"name":"b","issuer":"https://b.example","clientIds":["app",""]`):                "issuer 2: clientIds:",
		one(`"name":"b","issuer":"https://b.example","clientIds":["app"],"serviceId":"a b"`): "issuer 2: serviceId:",
		one(`"name":"a","issuer":"https://b.example","clientIds":["app"]`):                   "issuer 2: its name or its issuer is that of another",
		one(`"name":"b","issuer":"https://a.example","clientIds":["app"]`):                   "issuer 2: its name or its issuer is that of another",
	} {
		if _, err := readIssuers(t, content); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "REVOKER_RECEIVE_ISSUERS_FILE: ") {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
	if _, err := (config.Receive{IssuersFile: "/nowhere/issuers"}).ReadIssuers(); err == nil || !strings.Contains(err.Error(), `REVOKER_RECEIVE_ISSUERS_FILE: can't read "/nowhere/issuers": no such`) {
		t.Errorf("got %v", err)
	}
}
