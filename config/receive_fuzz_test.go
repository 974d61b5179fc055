package config

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever the issuers' file holds, those that are accepted can be told apart, and no keys would be fetched in clear from elsewhere.
func FuzzIssuers(f *testing.F) {
	for _, seed := range []string{
		`[{"name":"login","issuer":"https://login.example","clientIds":["app"],"serviceId":"1234567890"}]`,
		`[{"name":"a","issuer":"https://a.example","clientIds":["app"]},{"name":"b","issuer":"http://127.0.0.1:3000","clientIds":["x","y"]}]`,
		`[{"name":"a","issuer":"https://a.example","clientIds":["app"]},{"name":"a","issuer":"https://b.example","clientIds":["x"]}]`,
		`[]`, `{}`, `null`, `[null]`, `[{}] x`, `[{"name":"a","issuer":"https://a.example","clientIds":["app"]}]]`, `[{"NAME":"receive"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		issuers, err := decodeIssuers(bytes.NewReader(content))
		if err != nil || checkIssuers(issuers) != nil {
			return
		}
		if !json.Valid(content) {
			t.Errorf("accepted %q, which is not JSON", content)
		}
		names, urls := map[string]bool{}, map[string]bool{}
		for _, issuer := range issuers {
			names[issuer.Name], urls[issuer.URL] = true, true
			secure := strings.HasPrefix(strings.ToLower(issuer.URL), "https://")
			local := strings.Contains(issuer.URL, "localhost") || strings.Contains(issuer.URL, "127.") || strings.Contains(issuer.URL, "::1") || strings.Contains(issuer.URL, "[")
			if issuer.Name == "" || issuer.Name == ReceiveSource || len(issuer.ClientIDs) == 0 || !secure && !local {
				t.Errorf("accepted %+v", issuer)
			}
		}
		if len(issuers) == 0 || len(names) != len(issuers) || len(urls) != len(issuers) {
			t.Errorf("accepted %q", content)
		}
	})
}
