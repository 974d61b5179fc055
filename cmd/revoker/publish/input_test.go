package publish

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The estimate of the total counts what the rows took, not what was read ahead, which may be the whole of a small file.
func TestTheTotalIsEstimatedByWhatRowsTook(t *testing.T) {
	t.Parallel()
	const n = 40_000
	var plain, packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	for i := range n {
		line := fmt.Sprintf("%s-%d\n", rand.Text()[:4], i)
		plain.WriteString(line)
		_, _ = writer.Write([]byte(line))
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{
		"plain":   {inputFile(t, plain.String())},
		"gzip":    {inputFile(t, packed.String())},
		"several": {inputFile(t, packed.String()), inputFile(t, packed.String()), inputFile(t, packed.String())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := (&options{}).open(t.Context(), files, nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, want := int64(0), int64(n*len(files))
			for more := true; more; more = in.further() {
				for {
					if _, err := in.next(); err != nil {
						break
					}
					if rows++; rows >= want/16 && rows%estimateRows == 0 {
						if got := in.estimate(rows); got < want*8/10 || got > want*12/10 {
							t.Fatalf("after %d of %d rows it estimates %d", rows, want, got)
						}
					}
				}
			}
			if rows != want {
				t.Errorf("%d rows of %d", rows, want)
			}
		})
	}
}

func inputFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sessions")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
