package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTimeout = 5 * time.Second // for one request
	maxBody      = 1 << 20         // bytes
)

// newClient follows no redirect: what is behind it was not configured.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxResponseHeaderBytes = 1, 64<<10
	return &http.Client{
		Transport: transport, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch asks the provider for its keys, and for its metadata where that is not known, old or outdated. The caller has paid for one
// request. What it returns is nil where nothing new is known, and may be of use despite an error.
func (i *Issuer) fetch(ctx context.Context, old *Known, outdated bool) (*Known, error) {
	known := &Known{}
	if old != nil {
		*known = *old
	}
	needed := known.discovered.IsZero()
	again := (outdated || i.now().Sub(known.discovered) > discoverEvery) && !needed && i.metadata.AllowN(i.now(), 1)
	if needed || again {
		if err := i.discover(ctx, known); err != nil {
			return nil, err
		}
		if needed && !i.budget.AllowN(i.now(), 1) {
			return known, ErrBudget // the next fetch goes on from here
		}
	}
	at := i.now() // before the request: a key may be withdrawn meanwhile
	body, err := i.get(ctx, "its keys", known.keysURL)
	var keys []jose.JSONWebKey
	if err == nil {
		keys, err = parseKeys(body)
	}
	if err != nil {
		known.discovered = time.Time{} // the keys may have moved; those that are known stay in use
		return known, err
	}
	known.Keys, known.At = keys, at
	return known, nil
}

func (i *Issuer) discover(ctx context.Context, known *Known) error {
	body, err := i.get(ctx, "its metadata", discoveryURL(i.URL))
	if err != nil {
		return err
	}
	m, err := parseMetadata(body, i.URL)
	if err != nil {
		return err
	}
	known.Algorithms, known.Sessions, known.keysURL, known.discovered = m.Algorithms, m.Sessions, m.KeysURL, i.now()
	return nil
}

// get makes one request. Its error quotes nothing of the answer.
func (i *Issuer) get(ctx context.Context, what, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which the configuration has
		}
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for %s: it answered %d", what, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	case len(body) > maxBody:
		return nil, fmt.Errorf("asking for %s: the answer is larger than %d bytes", what, maxBody)
	}
	return body, nil
}
