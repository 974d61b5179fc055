package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// page holds the files of the console page. The browser loads nothing from elsewhere. uplot.js and uplot.css are uPlot 1.6.32 as
// published (MIT, https://github.com/leeoniya/uPlot).
//
//go:embed page
var page embed.FS

// asset is a file of the page, as it is and compressed. Compressed all files together have 53 KB instead of 140 KB.
type asset struct {
	kind       string // its media type
	tag        string // its ETag: a page that is opened again loads nothing anew
	plain, zip []byte
}

// assets are read when the first page is opened.
var assets = sync.OnceValue(func() map[string]asset {
	found := map[string]asset{}
	_ = fs.WalkDir(page, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := page.ReadFile(name)
		sum := sha256.Sum256(content)
		found[strings.TrimPrefix(name, "page")] = asset{mime.TypeByExtension(path.Ext(name)), hex.EncodeToString(sum[:8]), content, compressed(content)}
		return err
	}) // embedded, so it can be read
	found["/"] = found["/index.html"]
	return found
})

func compressed(content []byte) []byte {
	var zip bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zip, gzip.BestCompression) // there is such a level
	_, _ = w.Write(content)                                 // a Buffer takes everything
	_ = w.Close()
	return zip.Bytes()
}

func servePage(w http.ResponseWriter, r *http.Request) {
	file, ok := assets()[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header, content, tag := w.Header(), file.plain, file.tag
	header.Set("Content-Type", file.kind)
	header.Set("Vary", "Accept-Encoding")
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
		content, tag = file.zip, tag+"-gzip"
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// takesGzip reports whether the sender takes gzip.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if coding, weight, _ := strings.Cut(coding, ";"); strings.TrimSpace(coding) == "gzip" {
			return strings.ReplaceAll(strings.TrimSpace(weight), " ", "") != "q=0"
		}
	}
	return false
}
