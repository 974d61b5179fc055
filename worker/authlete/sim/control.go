package sim

import (
	"encoding/json"
	"net/http"
	"time"
)

// OutageRequest is the body of POST /sim/outage.
type OutageRequest struct {
	Answer Answer
	// For is how long it lasts; until DELETE /sim/outage for 0.
	For time.Duration
}

// routes lets another process steer and question a simulated API: GET /sim/sessions and /sim/calls, POST and DELETE
// /sim/outage, PUT /sim/token and /sim/capacity. GET /sim/other is what another user of the API asks of it: it waits for a server
// and takes the latency, and nothing is written down.
func (s *Server) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /sim/sessions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Sessions())
	})
	mux.HandleFunc("GET /sim/calls", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(s.Calls()) })
	mux.HandleFunc("GET /sim/other", func(_ http.ResponseWriter, r *http.Request) { s.work(r.Context(), 0) })
	mux.HandleFunc("POST /sim/outage", func(w http.ResponseWriter, r *http.Request) {
		var request OutageRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Outage(request.Answer, request.For)
	})
	mux.HandleFunc("DELETE /sim/outage", func(http.ResponseWriter, *http.Request) { s.Recover() })
	mux.HandleFunc("PUT /sim/capacity", func(w http.ResponseWriter, r *http.Request) {
		var capacity Capacity
		if err := json.NewDecoder(r.Body).Decode(&capacity); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.SetCapacity(capacity)
	})
	mux.HandleFunc("PUT /sim/token", func(w http.ResponseWriter, r *http.Request) {
		var token string
		if err := json.NewDecoder(r.Body).Decode(&token); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.SetToken(token)
	})
}
