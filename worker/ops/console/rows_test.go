package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete"
	"revoker/worker/ops/history"
)

// A visitor sees the rows too, so no session ID and no text of the API is in them.
func TestRowsAreMasked(t *testing.T) {
	t.Parallel()
	due := time.UnixMilli(1_700_000_005_000)
	failed := worker.Settlement{
		Outcome: worker.Retry, Sequence: 3, Deliveries: 4, Status: 500, Action: authlete.ActionServerError, ResultCode: "A503101",
		Session: "SECRET-3", Detail: "SECRET text of the API", Took: 1500 * time.Microsecond, Age: 2 * time.Second,
	}
	const detail = "SERVER_ERROR, HTTP 500, A503101"
	mask := events.SessionID("SECRET-3").Mask()
	settled := settledRows([]history.Settled{{Number: 7, At: due, Settlement: failed}})
	waits := waitRows([]history.Wait{{Due: due, Settlement: failed}})
	if settled[0] != (settledRow{7, due.UnixMilli(), mask, "retry", 3, 4, 500, "A503101", detail, 1.5, 2}) {
		t.Errorf("%+v", settled)
	}
	if waits[0] != (waitRow{3, mask, 4, due.UnixMilli(), detail}) {
		t.Errorf("%+v", waits)
	}
	if strings.Contains(fmt.Sprint(settled, waits), "SECRET") {
		t.Errorf("%+v, %+v", settled, waits)
	}
}
