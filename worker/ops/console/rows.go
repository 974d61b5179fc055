package console

import (
	"math"

	"revoker/worker/ops/history"
)

// settledRow is one settlement as the page shows it. Its session is masked, and no text of the API is in it.
type settledRow struct {
	Number     int     `json:"n"`
	Time       int64   `json:"t"` // Unix milliseconds
	Session    string  `json:"session"`
	Outcome    string  `json:"outcome"`
	Sequence   uint64  `json:"sequence"`
	Deliveries int     `json:"deliveries"`
	HTTPStatus int     `json:"httpStatus"`
	ResultCode string  `json:"resultCode"`
	Detail     string  `json:"detail"`
	Took       float64 `json:"ms"`
	Age        float64 `json:"age"` // seconds
}

func settledRows(settled []history.Settled) []settledRow {
	rows := make([]settledRow, 0, len(settled))
	for _, s := range settled {
		rows = append(rows, settledRow{
			Number: s.Number, Time: s.At.UnixMilli(), Session: s.Session.Mask(), Outcome: string(s.Outcome), Sequence: s.Sequence,
			Deliveries: s.Deliveries, HTTPStatus: s.Status, ResultCode: publicCode(s.ResultCode), Detail: publicDetail(s.Settlement),
			Took: math.Round(float64(s.Took.Microseconds())) / 1000, Age: s.Age.Seconds(),
		})
	}
	return rows
}

// waitRow is an event that waits for its retry, as the page shows it. Its session is masked, and no text of the API is in it.
type waitRow struct {
	Sequence uint64 `json:"sequence"`
	Session  string `json:"session"`
	// Attempt counts deliveries up to the call that failed last. Due is when the next one is, in Unix milliseconds.
	Attempt int    `json:"attempt"`
	Due     int64  `json:"due"`
	Detail  string `json:"detail"` // of the failure
}

func waitRows(waits []history.Wait) []waitRow {
	rows := make([]waitRow, 0, len(waits))
	for _, w := range waits {
		rows = append(rows, waitRow{
			Sequence: w.Sequence, Session: w.Session.Mask(), Attempt: w.Deliveries, Due: w.Due.UnixMilli(), Detail: publicDetail(w.Settlement),
		})
	}
	return rows
}
