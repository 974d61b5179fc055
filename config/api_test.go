package config_test

import (
	"testing"

	"revoker/config"
)

// usable returns a configuration that ValidateAPI accepts.
func usable() config.Config {
	cfg := config.Default()
	cfg.API.BaseURL, cfg.API.ServiceID, cfg.API.Bearer = "https://us.authlete.com", "1234", config.NewSecret("token")
	return cfg
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	const clear = "in clear"
	for base, refused := range map[string]string{ // what the error says, or nothing
		"https://example.com":                        "",
		"https://example.com/":                       "",
		"https://example.com:8443/authlete":          "",
		"HTTPS://example.com":                        "",
		"http://localhost:8080":                      "",
		"http://127.0.0.1:8080":                      "",
		"http://127.9.9.9":                           "",
		"http://[::1]:8080":                          "",
		"http://example.com":                         clear,
		"http://localhost.example.com":               clear,
		"http://127.0.0.1.example.com":               clear,
		"http://10.0.0.1":                            clear,
		"http://0.0.0.0":                             clear,
		"":                                           "required",
		"example.com":                                "not an https:// URL",
		"https:example.com":                          "not an https:// URL",
		"https://":                                   "not an https:// URL",
		"https://:443":                               "not an https:// URL",
		"https:///api":                               "not an https:// URL",
		"ftp://example.com":                          "not an https:// URL",
		"https://example.com:" + marker:              "not an https:// URL",
		"https://example.com/%" + marker:             "not an https:// URL",
		"https://example.com\n":                      "not an https:// URL",
		"https://" + marker + "@example.com":         "no user",
		"https://user:" + marker + "@example.com":    "no user",
		"https://example.com/?key=" + marker:         "no user, query",
		"https://example.com/?":                      "no user, query",
		"https://example.com/#" + marker:             "no user, query or fragment",
		"https://example.com/api/1/nativesso/logout": "must be what stands before /api/",
		"http://user:" + marker + "@127.0.0.1":       "no user",
	} {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			cfg := usable()
			cfg.API.BaseURL = base
			checkAPI(t, cfg, "AUTHLETE_BASE_URL", refused)
		})
	}
}

func TestInsecureHTTPMustBeAllowed(t *testing.T) {
	setEnvironment(t, map[string]string{
		"AUTHLETE_BASE_URL": "http://example.com", "AUTHLETE_SERVICE_ID": "1", "AUTHLETE_BEARER": marker,
	})
	for _, allowed := range []string{"", "false", "true"} {
		t.Setenv("REVOKER_ALLOW_INSECURE_HTTP", allowed)
		cfg, err := config.Load()
		if err != nil {
			t.Fatal(err)
		}
		refused := "in clear"
		if allowed == "true" {
			refused = ""
		}
		checkAPI(t, cfg, "AUTHLETE_BASE_URL", refused)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	file := files(t, "token")
	for name, c := range map[string]struct{ token, file, variable, refused string }{
		"the token":           {token: marker},
		"its file":            {file: file + "token"},
		"neither":             {variable: "AUTHLETE_BEARER", refused: "required, or AUTHLETE_BEARER_FILE"},
		"both":                {token: marker, file: file + "token", variable: "AUTHLETE_BEARER, AUTHLETE_BEARER_FILE", refused: "not both"},
		"no such file":        {file: file + "none", variable: "AUTHLETE_BEARER_FILE", refused: "can't read \"" + file + "none\": no such file or directory"},
		"a directory":         {file: file, variable: "AUTHLETE_BEARER_FILE", refused: "can't read \"" + file + "\": it is a directory"},
		"the token itself":    {file: marker, variable: "AUTHLETE_BEARER_FILE", refused: "no such file or directory; the path is not shown"},
		"a space":             {token: marker + " x", variable: "AUTHLETE_BEARER", refused: "no spaces"},
		"a line end":          {token: marker + "\n", variable: "AUTHLETE_BEARER", refused: "line ends"},
		"a carriage return":   {token: marker + "\r", variable: "AUTHLETE_BEARER", refused: "line ends"},
		"a control character": {token: marker + "\x7f", variable: "AUTHLETE_BEARER", refused: "control characters"},
		"not ASCII":           {token: marker + "é", variable: "AUTHLETE_BEARER", refused: "no spaces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := usable()
			cfg.API.Bearer, cfg.API.BearerFile = config.NewSecret(c.token), c.file
			checkAPI(t, cfg, c.variable, c.refused)
		})
	}
}

func TestServiceIDs(t *testing.T) {
	t.Parallel()
	for id, usableID := range map[string]bool{
		"1234": true, "my-service": true, "a/b": true, "...": true,
		".": false, "..": false, "1 2": false, " 12": false, "12\n": false, "12\x00": false, "12\x7f": false, "é": false,
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			refused := "not a service ID"
			if usableID {
				refused = ""
			}
			cfg := usable()
			cfg.API.ServiceID = id
			checkAPI(t, cfg, "AUTHLETE_SERVICE_ID", refused)
			cfg = usable()
			cfg.API.AllowedServiceIDs = []string{"5678", id}
			checkAPI(t, cfg, "REVOKER_ALLOWED_SERVICE_IDS", refused)
		})
	}
}

func TestWhatTheAPINeedsIsRequiredAtOnce(t *testing.T) {
	t.Parallel()
	onlyNames(t, config.Default().ValidateAPI(), "AUTHLETE_BASE_URL", "AUTHLETE_SERVICE_ID", "AUTHLETE_BEARER")
}

func TestErrorsComeInTheSameOrderEachTime(t *testing.T) {
	t.Parallel()
	cfg := usable()
	cfg.API.ServiceID, cfg.API.AllowedServiceIDs = ".", []string{".."}
	first := cfg.ValidateAPI().Error()
	for range 50 {
		if err := cfg.ValidateAPI(); err.Error() != first {
			t.Fatalf("got\n%v\nafter\n%s", err, first)
		}
	}
}

func checkAPI(t *testing.T, cfg config.Config, variable, refused string) {
	t.Helper()
	err := cfg.ValidateAPI()
	if refused == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	refusedFor(t, err, variable, refused)
}
