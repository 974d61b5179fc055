package authlete

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/worker/authlete/sim"
)

func tokenFile(path string) func(*config.Config) {
	return func(c *config.Config) { c.API.Bearer, c.API.BearerFile = config.Secret{}, path }
}

func TestTokenFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		err     string
	}{
		"a token":              {content: testToken},
		"a line":               {content: testToken + "\n"},
		"a line of DOS":        {content: testToken + "\r\n"},
		"blank lines":          {content: "\n\t " + testToken + " \n\n"},
		"empty":                {content: "", err: "one token"},
		"a blank line":         {content: " \n", err: "one token"},
		"two tokens":           {content: testToken + "\n" + testToken + "\n", err: "one token"},
		"with its scheme":      {content: "Bearer " + testToken, err: "one token"},
		"a control character":  {content: testToken + "\x00" + testToken, err: "one token"},
		"beyond ASCII":         {content: testToken + "ü", err: "one token"},
		"too large for one":    {content: strings.Repeat(testToken, 2000), err: "too large"},
		"the largest, to spot": {content: testToken + strings.Repeat(" ", maxTokenLength-len(testToken))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, test.content)
			cfg := testConfig(startAPI(t, sim.Options{Token: testToken}).URL())
			tokenFile(path)(&cfg)
			c, err := New(cfg, "test")
			checkError(t, err, test.err)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "AUTHLETE_BEARER_FILE: ") || strings.Contains(err.Error(), testToken) {
					t.Errorf("error %v, want the variable's name and no token", err)
				}
				return
			}
			t.Cleanup(c.Close)
			if got, err := logout(t, c); got.Action != ActionOK || err != nil {
				t.Errorf("response %+v, %v, want OK", got, err)
			}
		})
	}
}

// TestTokenFileIsFollowed goes through a file's life, by a clock of its own.
func TestTokenFileIsFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "first\n")
	source, err := newTokenSource(config.API{BearerFile: path})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	// A look at the file that takes longer than a second, as on a machine that stands still for a moment, counts later.
	check := func(after time.Duration, want string) {
		t.Helper()
		now = now.Add(after)
		eventually(t, "the authorization Bearer "+want, func() bool { return source.authorization(now) == "Bearer "+want })
	}
	check(0, "first")
	replace(t, path, "the-second\n")
	check(time.Second-1, "first") // a look at the file for each call would be waste
	check(1, "the-second")

	for _, useless := range []string{"", "two tokens", strings.Repeat("x", maxTokenLength+1)} {
		replace(t, path, useless)
		check(time.Second, "the-second")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(time.Second, "the-second")
	source.refresh()
	check(0, "the-second")
	write(t, path, "a-third-one")
	check(time.Second, "a-third-one")

	// Neither size nor time tells that this is another file.
	replaceUnnoticed(t, path, "a-fourth-1.")
	check(time.Second, "a-third-one")
	source.refresh()
	check(0, "a-fourth-1.")
}

// TestTokenIsReplaced: without a restart, by whichever way a file gets replaced.
func TestTokenIsReplaced(t *testing.T) {
	t.Parallel()
	for name, swap := range map[string]func(t *testing.T, path, token string){
		"written over": write,
		"renamed over": replace,
		"a symbolic link to another directory, as Kubernetes does": func(t *testing.T, path, token string) {
			data := filepath.Join(filepath.Dir(path), "..data")
			fresh := filepath.Join(filepath.Dir(path), "..2026_03_01")
			if err := os.Mkdir(fresh, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(fresh, "token"), token)
			if err := os.Symlink(filepath.Base(fresh), data+"_tmp"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(data+"_tmp", data); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The layout of a mounted secret: token -> ..data/token, ..data -> ..2026_02_01
			dir := t.TempDir()
			path := filepath.Join(dir, "token")
			if err := os.Mkdir(filepath.Join(dir, "..2026_02_01"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "..2026_02_01", "token"), testToken)
			for link, target := range map[string]string{"..data": "..2026_02_01", "token": "..data/token"} {
				if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			api := startAPI(t, sim.Options{Token: testToken})
			c := newClient(t, api.URL(), tokenFile(path))
			if got, err := logout(t, c); got.Action != ActionOK || err != nil {
				t.Fatalf("response %+v, %v, want OK", got, err)
			}
			swap(t, path, "another-"+testToken)
			api.SetToken("another-" + testToken)
			eventually(t, "a call with the new token", func() bool {
				got, err := logout(t, c)
				return got.Action == ActionOK && err == nil
			})
		})
	}
}

// TestTokenIsReadAgainAfter401: the refusal itself says that the token is old, whatever the file's time and size say.
func TestTokenIsReadAgainAfter401(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "token-a")
	api := startAPI(t, sim.Options{Token: "token-a"})
	c := newClient(t, api.URL(), tokenFile(path))
	if got, _ := logout(t, c); got.Status != 200 {
		t.Fatalf("response %+v, want OK", got)
	}
	replaceUnnoticed(t, path, "token-b")
	api.SetToken("token-b")
	if got, _ := logout(t, c); got.Status != 401 {
		t.Errorf("response %+v, want status 401", got)
	}
	// The next call reads it, unless that takes longer than a second.
	eventually(t, "a call with the new token", func() bool {
		got, _ := logout(t, c)
		return got.Status == 200
	})
	if got, _ := logout(t, c); got.Status != 200 {
		t.Errorf("response %+v, want status 200", got)
	}
}

// TestVanishedTokenFile: while it is away, the last token stays in force.
func TestVanishedTokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, testToken)
	api := startAPI(t, sim.Options{Token: testToken})
	c := newClient(t, api.URL(), tokenFile(path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := logout(t, c); got.Action != ActionOK || err != nil {
			t.Errorf("response %+v, %v, want OK", got, err)
		}
		c.token.refresh()
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts another file in the place of path.
func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// replaceUnnoticed gives the new file the time of the old one.
func replaceUnnoticed(t *testing.T, path, content string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Size() != int64(len(content)) {
		t.Fatalf("%v, or the sizes differ", err)
	}
	write(t, path+".new", content)
	if err := os.Chtimes(path+".new", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
