package console

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	guessesEvery = 2 * time.Second // on average; guessesBurst may come at once
	guessesBurst = 5
	// maxGuessers bounds the addresses to remember.
	maxGuessers = 4096
	ipv6Site    = 64 // prefix length of the smallest IPv6 network that one customer gets
)

// guesses limits how often each client address may guess the token. One limit for all would let anybody lock operators out.
// An IPv6 client can use every address of its /64, so these count as one. Behind a proxy all clients share the proxy's address
// and its limit, because a header that names the client can be forged.
type guesses struct {
	now func() time.Time

	mu      sync.Mutex
	clients map[netip.Prefix]*guesser
}

type guesser struct {
	limit *rate.Limiter
	last  time.Time
}

func newGuesses() *guesses { return &guesses{now: time.Now, clients: map[netip.Prefix]*guesser{}} }

// allow takes one guess from the budget of the client at remote, host and port.
func (g *guesses) allow(remote string) bool {
	client := clientOf(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	known := g.clients[client]
	if known == nil {
		g.makeRoom(now)
		known = &guesser{limit: rate.NewLimiter(rate.Every(guessesEvery), guessesBurst)}
		g.clients[client] = known
	}
	known.last = now
	return known.limit.AllowN(now, 1)
}

// makeRoom forgets the clients whose budget is full again. If there are none, it forgets the one that was silent for longest.
// Somebody with thousands of addresses gets more guesses that way, but the token has at least 16 characters. Nobody else gets
// fewer guesses. The caller holds mu.
func (g *guesses) makeRoom(now time.Time) {
	if len(g.clients) < maxGuessers {
		return
	}
	var silent netip.Prefix
	var since time.Time
	for client, c := range g.clients {
		if now.Sub(c.last) >= guessesBurst*guessesEvery {
			delete(g.clients, client)
		} else if since.IsZero() || c.last.Before(since) {
			silent, since = client, c.last
		}
	}
	if len(g.clients) >= maxGuessers {
		delete(g.clients, silent)
	}
}

// clientOf returns the client that a remote address belongs to. Whatever is not an IP address counts as one client.
func clientOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	address := at.Addr().Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = ipv6Site
	}
	prefix, _ := address.Prefix(bits) // the bits fit
	return prefix
}
