// Package issuer holds what is known of an OpenID provider: the algorithms and the keys that it signs with. It finds them by OpenID
// Connect Discovery 1.0, keeps them, and follows their rotation, within a budget of requests that no sender can exceed.
//
//   - issuer.go: what is known, and who asks for more
//   - fetch.go: one request to the provider; metadata.go: what its answers mean
package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"

	"revoker/config"
)

const (
	// Of requests to the provider, whatever asks for them: four at once, then one in twelve seconds, and one for metadata in two
	// minutes. So there are at most 10 in any minute, and a key that is new is known 12 s later at the latest, also while forged key
	// IDs use the budget up.
	fetchBurst       = 4
	fetchInterval    = 12 * time.Second
	metadataInterval = 2 * time.Minute

	refreshInterval = 5 * time.Minute // for keys; the time for which a key that the provider withdrew is still accepted
	discoverEvery   = time.Hour       // for the metadata
	retryInterval   = fetchInterval   // while the provider is away
	// maxAge is how long keys are used while the provider can't be asked. One that signs is hardly away for longer, and a key that
	// was withdrawn must not be accepted for ever.
	maxAge = 24 * time.Hour
)

var (
	// ErrBudget says that the provider was asked so often that it must not be asked again yet.
	ErrBudget = errors.New("the provider was asked for its keys a moment ago")
	// ErrUnknown says that the provider's keys are not known, or too old.
	ErrUnknown = errors.New("the provider's keys are not known")
)

// Issuer is one provider. It is safe for concurrent use.
type Issuer struct {
	config.Issuer
	log    *slog.Logger
	client *http.Client
	budget *rate.Limiter
	// metadata is the budget for looking at metadata again that is known already. If it came out of the other one, the keys would have
	// to wait for another 12 s.
	metadata *rate.Limiter
	now      func() time.Time
	ctx      context.Context // of the fetches; ends with Run
	cancel   context.CancelFunc

	known atomic.Pointer[Known]

	mu       sync.Mutex
	fetching chan struct{} // closed when the running fetch ends; nil while none runs
	failed   error         // why the last fetch failed
	outdated bool          // the next fetch should ask for the metadata too
	closed   bool          // no further fetch begins
	running  sync.WaitGroup

	// Fetched, if not nil, is told of each fetch.
	Fetched func(err error)
}

// Known is what a provider said at some time. It is not changed any more.
type Known struct {
	// Algorithms are those that the provider signs ID tokens with, and so logout tokens, without those that must not be accepted.
	Algorithms []string
	// Keys are those that it signs with.
	Keys []jose.JSONWebKey
	// Sessions tells whether the provider says that its logout tokens have a sid.
	Sessions bool
	// At is when the keys were fetched; zero if only the metadata was.
	At time.Time

	keysURL    string
	discovered time.Time
}

// New returns an issuer of which nothing is known yet.
func New(cfg config.Issuer, log *slog.Logger) *Issuer {
	i := &Issuer{
		Issuer: cfg, log: log.With("issuer", cfg.Name), client: newClient(), now: time.Now,
		budget: rate.NewLimiter(rate.Every(fetchInterval), fetchBurst), metadata: rate.NewLimiter(rate.Every(metadataInterval), 1),
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i
}

// Run keeps what is known fresh until ctx is done. Nothing is fetched any more once it has returned.
func (i *Issuer) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer i.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := retryInterval
		if _, err := i.Refresh(ctx); err == nil {
			wait = refreshInterval
		}
		timer.Reset(wait)
	}
}

// Close ends the fetches. Run does it by itself.
func (i *Issuer) Close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.cancel()
	i.running.Wait()
	i.client.CloseIdleConnections()
}

// Known returns what is known. It is [ErrUnknown] if that is nothing, or too old.
func (i *Issuer) Known() (*Known, error) {
	known := i.known.Load()
	if known == nil || i.now().Sub(known.At) > maxAge {
		return nil, ErrUnknown
	}
	return known, nil
}

// Age is how long ago the keys were fetched; false if they never were.
func (i *Issuer) Age() (time.Duration, bool) {
	known := i.known.Load()
	if known == nil || known.At.IsZero() {
		return 0, false
	}
	return i.now().Sub(known.At), true
}

// Refresh fetches the keys, unless a fetch runs already: then it waits for that one, which may have begun before the provider
// changed its keys, and returns joined. It does nothing but return [ErrBudget] if the provider was asked too often.
func (i *Issuer) Refresh(ctx context.Context) (joined bool, err error) { return i.ask(ctx, false) }

// ask is Refresh. If outdated, it asks for the metadata too, however new it is, unless that was asked for a moment ago.
func (i *Issuer) ask(ctx context.Context, outdated bool) (joined bool, err error) {
	i.mu.Lock()
	i.outdated = i.outdated || outdated
	done := i.fetching
	if done == nil {
		if i.closed {
			i.mu.Unlock()
			return false, ErrUnknown
		}
		if !i.budget.AllowN(i.now(), 1) {
			i.mu.Unlock()
			return false, ErrBudget
		}
		done = make(chan struct{})
		outdated, i.outdated, i.fetching = i.outdated, false, done
		// In the background, because the sender that asks for it may go away, and others wait for it too.
		i.running.Go(func() { i.refresh(done, outdated) })
	} else {
		joined = true
	}
	i.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return joined, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return joined, i.failed
}

// refresh fetches, keeps what comes, and tells those who wait.
func (i *Issuer) refresh(done chan struct{}, outdated bool) {
	known, err := i.fetch(i.ctx, i.known.Load(), outdated)
	if known != nil {
		i.known.Store(known)
	}
	i.mu.Lock()
	before := i.failed
	i.failed, i.fetching = err, nil
	close(done)
	i.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()): // each reason once
		i.log.Warn("the issuer's keys can't be fetched; those that are known stay in use", "error", err)
	case err == nil && before != nil:
		i.log.Info("the issuer's keys can be fetched again")
	}
	if i.Fetched != nil {
		i.Fetched(err)
	}
}

// Candidates are the keys that may have made a signature: those with its key ID, or all if it names none, of the kind that its
// algorithm needs.
func (k *Known) Candidates(keyID, algorithm string) (keys []jose.JSONWebKey) {
	for _, key := range k.Keys {
		if (keyID == "" || key.KeyID == keyID) && (key.Algorithm == "" || key.Algorithm == algorithm) && fits(key.Key, algorithm) {
			keys = append(keys, key)
		}
	}
	return keys
}
