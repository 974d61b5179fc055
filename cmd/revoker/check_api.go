package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/worker"
	"revoker/worker/authlete"
)

// certificateWarning is how long before a certificate's end it is warned of.
const certificateWarning = 14 * 24 * time.Hour

// checkAPI makes a call without a session for each service.
func checkAPI(ctx context.Context, cfg config.Config, api *authlete.Client, list *admin.Findings) {
	for i, service := range append([]string{cfg.API.ServiceID}, cfg.API.AllowedServiceIDs...) {
		variable := "AUTHLETE_SERVICE_ID"
		if i > 0 {
			variable = "REVOKER_ALLOWED_SERVICE_IDS"
		}
		tried := worker.TryService(ctx, api, service, variable)
		if i == 0 && !checkWay(cfg, tried.Probe, time.Now(), list) {
			return
		}
		*list = append(*list, judgeAnswer(cfg.API.BaseURL, service, tried))
	}
}

// checkWay looks at the way to the API, and reports whether an answer came.
func checkWay(cfg config.Config, p authlete.Probe, now time.Time, list *admin.Findings) bool {
	base, _ := url.Parse(cfg.API.BaseURL) // it was validated
	const hostName, tlsName = "API host", "API encryption"
	switch {
	case p.Resolving != nil:
		list.Add(admin.Failed, hostName, p.Resolving.Error(), "look at AUTHLETE_BASE_URL, at the DNS, and at HTTPS_PROXY, if it is set")
		return false
	case p.Connecting != nil:
		list.Add(admin.Failed, hostName, p.Connecting.Error(), "look at AUTHLETE_BASE_URL, and at firewalls, or HTTPS_PROXY, between")
		return false
	case len(p.Addresses) > 0:
		list.Add(admin.OK, hostName, fmt.Sprintf("%s, reached at %s", base.Host, strings.Join(p.Addresses, ", ")), "")
	default:
		list.Add(admin.OK, hostName, base.Host, "")
	}
	var plain tls.RecordHeaderError
	encryption := tls.VersionName(p.TLS) + "; the certificate "
	switch {
	case errors.As(p.Handshaking, &plain):
		list.Add(admin.Failed, tlsName, "what answers on this port does not speak TLS", "look at the port in AUTHLETE_BASE_URL; https:// needs one with TLS")
		return false
	case p.Handshaking != nil:
		list.Add(admin.Failed, tlsName, p.Handshaking.Error(),
			"the certificate must be for this host and from an authority that this machine trusts (SSL_CERT_FILE)")
		return false
	case p.TLS == 0 && base.Scheme == "http":
		list.Add(plainHTTP(base))
	case p.TLS != 0 && p.Expires.Sub(now) < certificateWarning:
		list.Add(admin.Warning, tlsName, encryption+"ends "+terminal.Moment(p.Expires), "have it renewed")
	case p.TLS != 0:
		list.Add(admin.OK, tlsName, encryption+"is good until "+terminal.Moment(p.Expires), "")
	}
	return true
}

func plainHTTP(base *url.URL) (admin.State, string, string, string) {
	if config.Loopback(base.Hostname()) {
		return admin.OK, "API encryption", "none, on this machine alone", ""
	}
	return admin.Warning, "API encryption", "the token and session IDs travel in clear", "use https:// in AUTHLETE_BASE_URL"
}

// judgeAnswer says what the answer to a call without a session tells of the token and of the service.
func judgeAnswer(baseURL, service string, p worker.Preflight) admin.Finding {
	f := admin.Finding{Name: "API answer for service " + service, State: admin.Failed, Detail: p.Detail}
	base, _ := url.Parse(baseURL) // it was validated
	switch {
	case p.Outcome == worker.CallerError || p.Outcome == worker.Revoked:
		f.State, f.Detail = admin.OK, "the token is accepted: "+f.Detail+", as it should to a call without a session"
	case p.Outcome == worker.Misconfigured:
		f.Remedy = "look at " + p.Suspect
		if p.Response.Status == 404 && strings.Trim(base.Path, "/") != "" {
			f.Remedy += ": it has the path " + base.Path + ", after which revoker puts /api/" + service + "/nativesso/logout"
		}
	case p.Response.Status == 400 && p.Response.ResultCode != "":
		f.State, f.Remedy = admin.Warning, "it does not tell whether the token is accepted; --call SESSION_ID does"
	case base.Scheme == "http": // to a port with TLS some servers answer 400, others close the connection
		f.Remedy = "if this port has TLS, write https:// in AUTHLETE_BASE_URL; while it is like this events wait in the stream and are retried"
	default:
		f.Remedy = "while it is like this events wait in the stream and are retried; look at AUTHLETE_BASE_URL if it lasts"
	}
	return f
}

// checkCall makes one real call.
func checkCall(ctx context.Context, cfg config.Config, api *authlete.Client, session events.SessionID, list *admin.Findings) {
	response, err := api.Logout(ctx, cfg.API.ServiceID, string(session))
	name := "logout of session " + session.Mask()
	outcome := worker.Classify(response, err, ctx.Err() != nil)
	if outcome == worker.Revoked {
		list.Add(admin.OK, name, terminal.Counted(response.Count, "token")+" deleted", "")
		return
	}
	// Before they are cut short, where half an ID would be left.
	response.Action = authlete.Action(events.MaskIn(string(response.Action), session))
	response.ResultCode = events.MaskIn(response.ResultCode, session)
	detail := events.MaskIn(worker.Describe(response, err), session)
	list.Add(admin.Failed, name, detail, "an event for this session would come to: "+string(outcome))
}
