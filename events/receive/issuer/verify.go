package issuer

import (
	"context"
	"errors"

	"revoker/events/receive/logouttoken"
)

// Verify decides on a token that says it is this issuer's. It fetches keys where those that are known don't do: the issuer may have
// changed them. An error other than a [*logouttoken.Refusal] means that nothing can be said about the token at the moment. It is
// [ErrBudget] if the keys are known, but none has the token's key ID and algorithm: the issuer may have that key since a moment ago, or
// it is forged.
func (i *Issuer) Verify(ctx context.Context, token *logouttoken.Token) (logouttoken.Logout, error) {
	logout, err := i.try(token)
	// Twice, because a fetch that runs already may have begun before the issuer changed its keys.
	for range 2 {
		if !newKeysMayHelp(err) {
			return logout, err
		}
		joined, failed := i.ask(ctx, is(err, logouttoken.ReasonAlgorithm))
		if failed != nil && !is(err, logouttoken.ReasonSignature) {
			return logout, i.undecided(err, failed)
		}
		logout, err = i.try(token)
		if !joined {
			break
		}
	}
	return logout, err
}

// undecided is why nothing can be said about a token that err refuses, where keys could not be fetched.
func (i *Issuer) undecided(err, failed error) error {
	if !errors.Is(failed, ErrBudget) {
		return failed
	}
	if errors.Is(err, ErrUnknown) {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failed != nil { // the last fetch did, and it would have been the answer
		return i.failed
	}
	return ErrBudget
}

func (i *Issuer) try(token *logouttoken.Token) (logouttoken.Logout, error) {
	known, err := i.Known()
	if err != nil {
		return logouttoken.Logout{}, err
	}
	want := logouttoken.Expected{Issuer: i.URL, ClientIDs: i.ClientIDs, Algorithms: known.Algorithms}
	return token.Verify(known.Candidates(token.KeyID(), token.Algorithm()), want, i.now())
}

// newKeysMayHelp is true for a wrong signature too: there are issuers whose keys have no ID, or the same for ever. It is true for an
// algorithm that the issuer did not sign with so far, because it may change that with its key.
func newKeysMayHelp(err error) bool {
	return errors.Is(err, ErrUnknown) || is(err, logouttoken.ReasonKey) || is(err, logouttoken.ReasonSignature) || is(err, logouttoken.ReasonAlgorithm)
}

func is(err error, reason logouttoken.Reason) bool {
	var refused *logouttoken.Refusal
	return errors.As(err, &refused) && refused.Reason == reason
}
