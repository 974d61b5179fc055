package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Issuer is an OpenID provider whose logout tokens are accepted.
type Issuer struct {
	// Name stands for the issuer in metrics and as the source of its events.
	Name string `json:"name"`
	// URL is the issuer identifier, as its tokens say it in iss.
	URL string `json:"issuer"`
	// ClientIDs are those under which the provider knows the receiver; a token's aud must have one of them.
	ClientIDs []string `json:"clientIds"`
	// ServiceID is the Authlete service whose sessions end; empty for the one that the workers are configured for.
	ServiceID string `json:"serviceId"`
}

const (
	minReceiveToken = 16
	maxIssuersFile  = 1 << 20
	maxSessionParts = 255 // bytes of a client or service ID
)

// SourceName is what a source of events may be called, as a label of metrics and in the header of an event.
var SourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// ReceiveSource is the source of the events that senders post as such.
const ReceiveSource = "receive"

// reservedSources have a meaning already, or may get one.
var reservedSources = []string{ReceiveSource, "publish", "replay", "dlq", "dev", "none", "other", "unknown"}

// ValidateReceive checks what `revoker receive` needs, and returns all it finds.
func (c Config) ValidateReceive() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	r := c.Receive
	_, _, err := net.SplitHostPort(r.Addr)
	refuse(err != nil, "REVOKER_RECEIVE_ADDR: not a host:port address")
	if r.OpsAddr != "" {
		_, _, err := net.SplitHostPort(r.OpsAddr)
		refuse(err != nil, "REVOKER_RECEIVE_OPS_ADDR: not a host:port address")
	}
	refuse(HasWildcard(c.Subject), "REVOKER_SUBJECT: has wildcards, but receive needs one subject to publish to")
	token := r.Token.Reveal()
	refuse(token != "" && r.TokenFile != "", "REVOKER_RECEIVE_TOKEN, REVOKER_RECEIVE_TOKEN_FILE: set one of them, not both")
	refuse(token != "" && (len(token) < minReceiveToken || !printable(token)),
		"REVOKER_RECEIVE_TOKEN: must have at least %d characters, without spaces or control characters", minReceiveToken)
	errs = append(errs, readable("REVOKER_RECEIVE_TOKEN_FILE", r.TokenFile))
	refuse(token == "" && r.TokenFile == "" && r.IssuersFile == "",
		"REVOKER_RECEIVE_TOKEN, REVOKER_RECEIVE_ISSUERS_FILE: none is set, so there is nothing to receive")
	return errors.Join(errs...)
}

// ReadIssuers reads the file of the issuers. There are none without a file.
func (r Receive) ReadIssuers() ([]Issuer, error) {
	if r.IssuersFile == "" {
		return nil, nil
	}
	if err := openFile(r.IssuersFile); err != nil {
		return nil, fmt.Errorf("REVOKER_RECEIVE_ISSUERS_FILE: can't read %q: %w", r.IssuersFile, err)
	}
	file, err := os.Open(r.IssuersFile)
	if err != nil {
		return nil, fmt.Errorf("REVOKER_RECEIVE_ISSUERS_FILE: %w", err)
	}
	defer file.Close()
	issuers, err := decodeIssuers(io.LimitReader(file, maxIssuersFile))
	if err != nil {
		return nil, fmt.Errorf("REVOKER_RECEIVE_ISSUERS_FILE: %w", err)
	}
	return issuers, checkIssuers(issuers)
}

func decodeIssuers(in io.Reader) (issuers []Issuer, err error) {
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields() // a typo must not leave a check out
	if err := decoder.Decode(&issuers); err != nil {
		return nil, fmt.Errorf(`not a JSON array of issuers, such as [{"name":"login","issuer":"https://login.example","clientIds":["app"]}]: %w`, err)
	}
	if _, err := decoder.Token(); err != io.EOF { // More does not see a bracket
		return nil, errors.New("something follows the JSON array of issuers")
	}
	return issuers, nil
}

func checkIssuers(issuers []Issuer) error {
	var errs []error
	if len(issuers) == 0 {
		errs = append(errs, errors.New("it names no issuer"))
	}
	names, urls := map[string]bool{}, map[string]bool{}
	for i, issuer := range issuers {
		for _, problem := range issuer.problems() {
			errs = append(errs, fmt.Errorf("issuer %d: %s", i+1, problem))
		}
		if names[issuer.Name] || urls[issuer.URL] {
			errs = append(errs, fmt.Errorf("issuer %d: its name or its issuer is that of another", i+1))
		}
		names[issuer.Name], urls[issuer.URL] = true, true
	}
	for i, err := range errs {
		errs[i] = fmt.Errorf("REVOKER_RECEIVE_ISSUERS_FILE: %w", err)
	}
	return errors.Join(errs...)
}

func (i Issuer) problems() (list []string) {
	if !SourceName.MatchString(i.Name) || slices.Contains(reservedSources, i.Name) {
		list = append(list, fmt.Sprintf("name: must be 1 to 32 of a-z, 0-9, - and _, and none of %s", strings.Join(reservedSources, ", ")))
	}
	if err := CheckIssuerURL(i.URL); err != nil {
		list = append(list, "issuer: "+err.Error())
	}
	if len(i.ClientIDs) == 0 || slices.ContainsFunc(i.ClientIDs, func(id string) bool { return id == "" || len(id) > maxSessionParts }) {
		list = append(list, "clientIds: at least one client ID is required, and none may be empty")
	}
	if i.ServiceID != "" && (len(i.ServiceID) > maxSessionParts || !printable(i.ServiceID)) {
		list = append(list, "serviceId: not a service ID")
	}
	return list
}

// CheckIssuerURL says why an issuer, or its keys, can't be at the URL. Whoever can change what comes from there can end any session,
// so it must be HTTPS, except on this machine.
func CheckIssuerURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("not an https:// URL with a host")
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return errors.New("must have no user, query or fragment")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return errors.New("must be https://; http:// is only for this machine")
	}
	return nil
}
