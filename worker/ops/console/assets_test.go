package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serve answers a request for a file of the page.
func serve(path string, header map[string]string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	servePage(recorder, request)
	return recorder
}

// The files of the page are compressed for those who take that, and a page that is opened again loads none anew.
func TestThePagesFiles(t *testing.T) {
	t.Parallel()
	for path, kind := range map[string]string{"/": "text/html", "/index.html": "text/html", "/console.js": "text/javascript", "/console.css": "text/css", "/icon.svg": "image/svg+xml", "/uplot.css": "text/css"} {
		plain := serve(path, nil)
		if plain.Code != http.StatusOK || !strings.HasPrefix(plain.Header().Get("Content-Type"), kind) || plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v", path, plain.Code, plain.Header())
		}
		zipped := serve(path, map[string]string{"Accept-Encoding": "br, gzip;q=0.5"})
		reader, err := gzip.NewReader(zipped.Body)
		if err != nil || zipped.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s, compressed: %v %v", path, err, zipped.Header())
		}
		if content, err := io.ReadAll(reader); err != nil || !bytes.Equal(content, plain.Body.Bytes()) {
			t.Errorf("%s: compressed it is something else: %v", path, err)
		}
		tag := zipped.Header().Get("ETag")
		if again := serve(path, map[string]string{"Accept-Encoding": "gzip", "If-None-Match": tag}); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d, %d bytes", path, again.Code, again.Body.Len())
		}
		if tag == plain.Header().Get("ETag") || plain.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: a cache can't tell the two forms apart", path)
		}
	}
	for _, path := range []string{"/nope.js", "/page/index.html", "/../console.go", "/page"} {
		if got := serve(path, nil); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	if got := serve("/", map[string]string{"Accept-Encoding": "gzip;q=0, identity"}); got.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for somebody who refuses that")
	}
}

// Every script that the page names is there, and every script that is there is named.
func TestThePageNamesItsScripts(t *testing.T) {
	t.Parallel()
	index, scripts := serve("/", nil).Body.String(), 0
	for name := range assets() {
		if !strings.HasSuffix(name, ".js") {
			continue
		}
		if scripts++; !strings.Contains(index, `<script src="`+name[1:]+`" defer>`) {
			t.Errorf("the page does not name %s", name)
		}
	}
	if named := strings.Count(index, "<script "); named != scripts {
		t.Errorf("the page names %d scripts, and %d are there", named, scripts)
	}
}

func TestAnOutcomeThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if status, text := d.ask(d.visitor, "GET", "/console/feed?outcome=SECRET", nil); status != http.StatusBadRequest || strings.Contains(text, "SECRET") {
		t.Errorf("%d %s", status, text)
	}
}
