// Package config is revoker's configuration: environment variables, each declared once below with its default, range,
// unit and description, read by [Load] and checked as a whole.
package config

import (
	"log/slog"
	"time"
)

// Config is the whole configuration. The tags of a field are its documentation: `revoker run --help`, the README's
// table and deploy/revoker.env are printed from them.
//
//	envconfig  the variable's full name
//	default    the value when the variable is unset or empty; none means the zero value
//	unit       what a number counts, for the table
//	min, max   the inclusive range of a number or a duration
//	desc       one sentence for the operator
type Config struct {
	NATS NATS
	API  API

	Stream            string `envconfig:"REVOKER_STREAM" default:"SESSIONS" desc:"Stream that holds the session.ended events; created if missing."`
	Subject           string `envconfig:"REVOKER_SUBJECT" default:"session.ended" desc:"Subject of the events; wildcards are allowed. It must not match the other subjects."`
	Consumer          string `envconfig:"REVOKER_CONSUMER" default:"revoker" desc:"Durable pull consumer, shared by all revoker processes; created if missing."`
	BulkSubject       string `envconfig:"REVOKER_BULK_SUBJECT" default:"session.ended.bulk" empty:"kept" desc:"Subject of the bulk lane, whose events wait for the live ones; in the same stream, without wildcards. By default it is REVOKER_SUBJECT with .bulk, if that has no wildcard. An empty value leaves one lane."`
	BulkConsumer      string `envconfig:"REVOKER_BULK_CONSUMER" default:"revoker-bulk" desc:"Durable pull consumer of the bulk lane; created if missing. By default it is REVOKER_CONSUMER with -bulk."`
	DeadLetterStream  string `envconfig:"REVOKER_DEAD_LETTER_STREAM" default:"SESSIONS_DLQ" desc:"Stream that holds the dead letters; created if missing."`
	DeadLetterSubject string `envconfig:"REVOKER_DEAD_LETTER_SUBJECT" default:"dlq.session.ended" desc:"Subject that dead letters are published to."`
	Replicas          int    `envconfig:"REVOKER_REPLICAS" default:"1" min:"1" max:"5" desc:"Replicas of the streams that revoker creates."`
	Retention         string `envconfig:"REVOKER_RETENTION" default:"limits" desc:"Retention of the event stream if revoker creates it: limits (others may subscribe too), interest or workqueue."`

	Receipts        bool          `envconfig:"REVOKER_RECEIPTS" default:"false" desc:"Publishes a receipt, a CloudEvents event of type session.revoked, for each revoked session before its event is acknowledged."`
	ReceiptStream   string        `envconfig:"REVOKER_RECEIPT_STREAM" default:"SESSIONS_REVOKED" desc:"Stream that holds the receipts; created if missing and receipts are on."`
	ReceiptSubject  string        `envconfig:"REVOKER_RECEIPT_SUBJECT" default:"session.revoked" desc:"Subject of the receipts, without wildcards; a dot and the session's hash follow."`
	ReceiptMaxAge   time.Duration `envconfig:"REVOKER_RECEIPT_MAX_AGE" default:"168h" min:"1m" max:"87600h" desc:"Time after which the receipt stream drops a receipt, if revoker creates it."`
	ReceiptMaxCount int           `envconfig:"REVOKER_RECEIPT_MAX_COUNT" default:"1000000" min:"1" max:"1000000000" unit:"receipts" desc:"Receipts that the stream keeps, if revoker creates it; then it drops the oldest. Each takes some 310 bytes of the NATS server's memory."`

	Concurrency    int           `envconfig:"REVOKER_CONCURRENCY" default:"64" min:"1" max:"16384" unit:"calls" desc:"Largest number of API calls in flight."`
	RateLimit      float64       `envconfig:"REVOKER_RATE_LIMIT" default:"0" min:"0" max:"1000000" unit:"calls/s" desc:"Largest number of API calls per second, for this process; 0 sets no limit."`
	RequestTimeout time.Duration `envconfig:"REVOKER_REQUEST_TIMEOUT" default:"10s" min:"10ms" max:"10m" desc:"Time that one API call may take, body included."`
	AckWait        time.Duration `envconfig:"REVOKER_ACK_WAIT" default:"10s" min:"1s" max:"1h" desc:"Time after which the server delivers an event again that a crashed worker held. It is renewed while a call is in progress."`
	MaxAckPending  int           `envconfig:"REVOKER_MAX_ACK_PENDING" default:"50000" min:"1" max:"1000000" unit:"events" desc:"Events of each lane that may be in progress or wait for their retry, over all workers."`

	RetryInitialInterval time.Duration `envconfig:"REVOKER_RETRY_INITIAL_INTERVAL" default:"500ms" min:"1ms" max:"1h" desc:"Delay after an event's first failed attempt."`
	RetryMultiplier      float64       `envconfig:"REVOKER_RETRY_MULTIPLIER" default:"2" min:"1" max:"100" desc:"Factor by which each further attempt's delay grows."`
	RetryMaxInterval     time.Duration `envconfig:"REVOKER_RETRY_MAX_INTERVAL" default:"5m" min:"1ms" max:"24h" desc:"Largest delay between two attempts, before jitter."`
	RetryJitter          float64       `envconfig:"REVOKER_RETRY_JITTER" default:"0.5" min:"0" max:"1" desc:"A delay is spread evenly over (1 ± jitter) × interval."`
	RetryShare           float64       `envconfig:"REVOKER_RETRY_SHARE" default:"0.2" min:"0.01" max:"1" desc:"Share of the slots' capacity that due retries may take from new events. While no new event waits they may take all of it."`
	RetryMaxAttempts     int           `envconfig:"REVOKER_RETRY_MAX_ATTEMPTS" default:"20" min:"1" max:"1000000" unit:"attempts" desc:"Attempts after which an event may be dead-lettered as RETRIES_EXHAUSTED, once the maximum age has passed too. Only failures that the API itself answered count."`
	RetryMaxAge          time.Duration `envconfig:"REVOKER_RETRY_MAX_AGE" default:"6h" min:"0s" max:"8760h" desc:"Age from which an event may be dead-lettered as RETRIES_EXHAUSTED, once the maximum of attempts has passed too."`

	BreakerFailures         int           `envconfig:"REVOKER_BREAKER_FAILURES" default:"20" min:"1" max:"100000" unit:"sessions" desc:"Sessions whose calls must fail in a row, with no success between, before the circuit breaker asks for a second opinion and opens if that is bad too."`
	BreakerProbeInterval    time.Duration `envconfig:"REVOKER_BREAKER_PROBE_INTERVAL" default:"1s" min:"10ms" max:"1h" desc:"Time from the breaker's opening to the first probe. Later it is half of the time that the outage has lasted."`
	BreakerMaxProbeInterval time.Duration `envconfig:"REVOKER_BREAKER_MAX_PROBE_INTERVAL" default:"4s" min:"10ms" max:"1h" desc:"Largest time between two probes, unless a Retry-After asks for more."`
	CallerErrorBrake        int           `envconfig:"REVOKER_CALLER_ERROR_BRAKE" default:"100" min:"0" max:"1000000" unit:"sessions" desc:"Sessions in a row that may get CALLER_ERROR, with no OK between, before the others are held back. An OK lets them go on, or the command revoker resume; 0 sets no limit."`

	Objective Objective `envconfig:"REVOKER_OBJECTIVE" default:"99% within 5s" desc:"How many sessions of the live lane must be revoked how soon after they ended, from 90% to 99.999% and from 10ms to 24h. Metrics, alerts and the console page count by it."`

	DrainTimeout time.Duration `envconfig:"REVOKER_DRAIN_TIMEOUT" default:"25s" min:"0s" max:"1h" desc:"Time that calls in flight get to finish after SIGTERM."`
	OpsAddr      string        `envconfig:"REVOKER_OPS_ADDR" default:"127.0.0.1:8080" empty:"kept" desc:"Address of the console page, /livez, /readyz and /metrics; an empty value turns them off."`
	OpsHosts     []string      `envconfig:"REVOKER_OPS_HOSTS" desc:"Further names or addresses, comma-separated and without a port, under which browsers may open the console page: those of a Service, an ingress or a proxy. Loopback names are always allowed, and on other listeners the machine's own addresses and host name."`
	ConsoleToken Secret        `envconfig:"REVOKER_CONSOLE_TOKEN" desc:"Token that an operator enters on the console page to replay, discard or pause; at least 16 characters. Without it the page is read-only."`
	OpsPprof     bool          `envconfig:"REVOKER_OPS_PPROF" default:"false" desc:"Serves Go's profiles at /debug/pprof/ too, to whoever reaches REVOKER_OPS_ADDR."`
	LogLevel     slog.Level    `envconfig:"REVOKER_LOG_LEVEL" default:"info" desc:"debug, info, warn or error."`
	LogFormat    string        `envconfig:"REVOKER_LOG_FORMAT" default:"json" desc:"json or text."`

	Receive Receive
}

// Receive is how `revoker receive` takes signals in over HTTP. No other command reads it.
type Receive struct {
	Addr        string `envconfig:"REVOKER_RECEIVE_ADDR" default:"127.0.0.1:8090" desc:"Address where revoker receive takes POST /events and POST /backchannel-logout, and serves nothing else."`
	OpsAddr     string `envconfig:"REVOKER_RECEIVE_OPS_ADDR" default:"127.0.0.1:8091" empty:"kept" desc:"Address of /livez, /readyz and /metrics of revoker receive; an empty value turns them off."`
	Token       Secret `envconfig:"REVOKER_RECEIVE_TOKEN" desc:"Bearer token that senders of POST /events must have; at least 16 characters. Without it and REVOKER_RECEIVE_TOKEN_FILE that endpoint is off."`
	TokenFile   string `envconfig:"REVOKER_RECEIVE_TOKEN_FILE" desc:"File that holds the token; read again when it changes. It may hold several, one a line, all of which are accepted, for the time in which senders change theirs."`
	IssuersFile string `envconfig:"REVOKER_RECEIVE_ISSUERS_FILE" desc:"JSON file of the OpenID providers whose logout tokens POST /backchannel-logout accepts; events/receive/README.md describes it. Without it that endpoint is off."`
	Concurrency int    `envconfig:"REVOKER_RECEIVE_CONCURRENCY" default:"256" min:"1" max:"16384" unit:"requests" desc:"Largest number of requests in work, for each of both endpoints; more are answered 503."`
}

// NATS is how to reach the NATS server. The names are those of the NATS CLI.
type NATS struct {
	URL         ServerURLs `envconfig:"NATS_URL" desc:"Server URLs, comma-separated; nats://127.0.0.1:4222 unless NATS_CONTEXT names others."`
	Context     string     `envconfig:"NATS_CONTEXT" desc:"A context of the NATS CLI, by name or absolute path; the other NATS_ variables override what it says."`
	Creds       string     `envconfig:"NATS_CREDS" desc:"Credentials file; read again at each reconnect."`
	NKey        string     `envconfig:"NATS_NKEY" desc:"NKey seed file; read again at each reconnect."`
	User        string     `envconfig:"NATS_USER" desc:"User name, with NATS_PASSWORD."`
	Password    Secret     `envconfig:"NATS_PASSWORD" desc:"Password, with NATS_USER."`
	Token       Secret     `envconfig:"NATS_TOKEN" desc:"Authentication token."`
	CA          string     `envconfig:"NATS_CA" desc:"File with the certificate authorities that the server's certificate must come from."`
	Cert        string     `envconfig:"NATS_CERT" desc:"Client certificate file, with NATS_KEY."`
	Key         string     `envconfig:"NATS_KEY" desc:"Key file of the client certificate, with NATS_CERT."`
	JSDomain    string     `envconfig:"NATS_JS_DOMAIN" desc:"JetStream domain."`
	InboxPrefix string     `envconfig:"NATS_INBOX_PREFIX" desc:"Prefix of reply subjects, where the account restricts them; _INBOX by default."`
}

// API is how to reach the logout API. The names are those of Authlete's own SDKs.
type API struct {
	BaseURL           string   `envconfig:"AUTHLETE_BASE_URL" desc:"Required. Base URL of the Authlete cluster, https://us.authlete.com for example. There is no default: a wrong region would send session IDs to a stranger."`
	ServiceID         string   `envconfig:"AUTHLETE_SERVICE_ID" desc:"Required. Service whose sessions are revoked, for events that name none."`
	Bearer            Secret   `envconfig:"AUTHLETE_BEARER" desc:"Service Access Token or Organization Token. This or AUTHLETE_BEARER_FILE is required."`
	BearerFile        string   `envconfig:"AUTHLETE_BEARER_FILE" desc:"File that holds the token; read again when it changes."`
	AllowedServiceIDs []string `envconfig:"REVOKER_ALLOWED_SERVICE_IDS" desc:"Further services that an event may name, comma-separated."`
	AllowInsecureHTTP bool     `envconfig:"REVOKER_ALLOW_INSECURE_HTTP" default:"false" desc:"Allows http:// to a host that is not loopback; session IDs and the token then travel in clear."`
}
