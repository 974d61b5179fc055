// Package retry decides when an event that is handed back is due again.
//
// [Policy] is the exponential policy: how long one event waits after an attempt. [Pacer] spreads the due times of many, so that those
// which come back do not starve those which are new.
package retry
