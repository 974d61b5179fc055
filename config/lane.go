package config

import "errors"

// Lane is one of the two ways for events to come in: a subject and its durable consumer.
type Lane string

const (
	// Live is the lane of single logouts, whose user waits.
	Live Lane = "live"
	// Bulk is the lane of many sessions at a time. It gets what the live lane leaves.
	Bulk Lane = "bulk"
)

// Lanes are those that the configuration has. Live is the first; without a bulk subject it is the only one.
func (c Config) Lanes() []Lane {
	if c.BulkSubject == "" {
		return []Lane{Live}
	}
	return []Lane{Live, Bulk}
}

// In returns the configuration with the subject and the consumer of a lane. Both are empty for a lane that is off.
func (c Config) In(lane Lane) Config {
	switch {
	case lane != Bulk:
	case c.BulkSubject == "":
		c.Subject, c.Consumer = "", ""
	default:
		c.Subject, c.Consumer = c.BulkSubject, c.BulkConsumer
	}
	return c
}

// nameBulkLane names the bulk lane after the live one, where the environment names only that. Several installations can share a
// stream or an account, each with names of its own; one of them must not take another's bulk events. A wildcard names no subject
// that events could be published to.
func (c *Config) nameBulkLane(set map[string]bool) {
	if !set["REVOKER_BULK_SUBJECT"] && set["REVOKER_SUBJECT"] && validSubject(c.Subject) && !HasWildcard(c.Subject) {
		c.BulkSubject = c.Subject + ".bulk"
	}
	if !set["REVOKER_BULK_CONSUMER"] && set["REVOKER_CONSUMER"] && validName(c.Consumer) {
		c.BulkConsumer = c.Consumer + "-bulk"
	}
}

func (c Config) validateBulk() []error {
	var errs []error
	refuse := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("REVOKER_BULK_"+text))
		}
	}
	refuse(!validSubject(c.BulkSubject) || HasWildcard(c.BulkSubject), "SUBJECT: not a NATS subject without wildcards")
	refuse(SubjectMatches(c.Subject, c.BulkSubject),
		"SUBJECT: REVOKER_SUBJECT matches it, so bulk events would be taken for live ones; name a subject beside it, or set it to an empty value for one lane")
	refuse(c.BulkSubject == c.DeadLetterSubject, "SUBJECT: must differ from REVOKER_DEAD_LETTER_SUBJECT")
	refuse(c.BulkConsumer == c.Consumer, "CONSUMER: must differ from REVOKER_CONSUMER")
	return errs
}
