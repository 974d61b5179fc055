package ops

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	guessesEvery = 2 * time.Second // on average; a few may come at once
	guessesBurst = 5
	// maxGuessers bounds the addresses that are remembered.
	maxGuessers = 4096
	ipv6Site    = 64 // bits of an IPv6 address that one customer has at least
)

// guesses limits how often a token may be guessed, for each client address by itself, so that nobody who guesses keeps an
// operator out. An IPv6 client can choose among all addresses of its /64, so they count as one. Behind a proxy all clients
// have the proxy's address and share one limit: what a header says of the client could be made up.
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

// makeRoom forgets whose budget is whole again, and if all are busy, the one that was silent for longest. Whoever has
// thousands of addresses gets more guesses that way, of a token that has 16 characters; nobody else gets fewer. The caller
// holds mu.
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

// clientOf is whom a remote address belongs to. What is not an address, a Unix socket's for example, is one client.
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
