package receive

import (
	"context"
	"net/http"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cloudeventshttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"revoker/events/internal/eventstest"
)

// The official SDK is a sender of all three modes.
func TestTheCloudEventsSDKAsSender(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	target := "http://" + s.server.Address() + "/events"
	transport, err := cloudeventshttp.New(cloudeventshttp.WithTarget(target), cloudeventshttp.WithHeader("Authorization", "Bearer "+token), cloudeventshttp.WithClient(*s.client))
	if err != nil {
		t.Fatal(err)
	}
	sender, err := client.New(transport, client.WithTimeNow(), client.WithUUIDs())
	if err != nil {
		t.Fatal(err)
	}
	of := func(session string) event.Event {
		e := event.New()
		e.SetType("session.ended")
		e.SetSource("https://login.example/é")
		e.SetID(session)
		if err := e.SetData(event.ApplicationJSON, map[string]string{"sessionId": session}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	var answered *cloudeventshttp.Result
	for session, ctx := range map[string]context.Context{
		"binary":     binding.WithForceBinary(eventstest.Deadline(t)),
		"structured": binding.WithForceStructured(eventstest.Deadline(t)),
	} {
		result := sender.Send(ctx, of(session))
		if !protocol.ResultAs(result, &answered) || answered.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %v", session, result)
		}
	}
	request, err := cloudeventshttp.NewHTTPRequestFromEvents(eventstest.Deadline(t), target, []event.Event{of("first"), of("second")})
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if r := s.do(request); r.status != http.StatusAccepted || r.Accepted != 2 {
		t.Errorf("%+v", r)
	}
	s.has(4)
	wrong := of("wrong")
	wrong.SetType("session.begun")
	if result := sender.Send(eventstest.Deadline(t), wrong); !protocol.ResultAs(result, &answered) || answered.StatusCode != http.StatusBadRequest {
		t.Errorf("%v", result)
	}
}
