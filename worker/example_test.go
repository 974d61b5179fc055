package worker_test

import (
	"errors"
	"fmt"

	"revoker/worker"
	"revoker/worker/authlete"
)

// The action decides where there is one, whatever the status.
func ExampleClassify() {
	for _, answer := range []authlete.Response{
		{Status: 200, Action: authlete.ActionOK, Count: 2},
		{Status: 500, Action: authlete.ActionServerError},
		{Status: 400, Action: authlete.ActionCallerError},
		{Status: 400}, // a gateway's: it must not condemn a whole queue
		{Status: 401},
	} {
		fmt.Println(answer.Status, answer.Action, worker.Classify(answer, nil, false))
	}
	fmt.Println(worker.Classify(authlete.Response{}, errors.New("connection refused"), false))
	// Output:
	// 200 OK revoked
	// 500 SERVER_ERROR retry
	// 400 CALLER_ERROR caller_error
	// 400  retry
	// 401  misconfigured
	// retry
}
