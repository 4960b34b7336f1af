//go:build journeys

package tests

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nearby lets destinations be on this machine.
var nearby = settings{"VIVA_NOTIFY_ALLOW_NETWORKS": "127.0.0.0/8", "VIVA_NOTIFY_ALLOW_HTTP": "true"}

// An event is what a receiver is told of.
type event struct {
	ID       string
	Type     string
	Severity string
	KeyID    string `json:"key_id"`
	Data     map[string]string

	message string    // that it came in
	heard   time.Time // when it first came
	times   int       // in how many different messages
}

// A receiver is a webhook's other end.
type receiver struct {
	url string

	mu     sync.Mutex
	events map[string]*event // by id
	seen   map[string]int    // how often each message came
	fails  bool              // the first attempt at every other message
	tried  map[string]bool
	broken []string // what was no message
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{events: map[string]*event{}, seen: map[string]int{}, tried: map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook"
	t.Cleanup(func() { require.Empty(t, r.broken) })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var body struct {
		Data struct {
			ID      string
			Events  []*event
			Omitted int
		}
	}
	err := json.NewDecoder(request.Body).Decode(&body)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.broken = append(r.broken, err.Error())
		return
	case request.Header.Get("Webhook-Signature") == "" || request.Header.Get("Webhook-Id") != body.Data.ID || body.Data.Omitted > 0:
		r.broken = append(r.broken, body.Data.ID)
		return
	case r.fails && !r.tried[body.Data.ID]:
		r.tried[body.Data.ID] = true
		if len(r.tried)%2 == 0 {
			break
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.seen[body.Data.ID]++; r.seen[body.Data.ID] > 1 {
		return
	}
	for _, e := range body.Data.Events {
		known := r.events[e.ID]
		if known == nil {
			known = e
			known.message, known.heard = body.Data.ID, time.Now()
			r.events[e.ID] = known
		}
		known.times++
	}
}

// heard gives the events of a type so far.
func (r *receiver) heard(kind string) (list []event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Type == kind {
			list = append(list, *e)
		}
	}
	return list
}

// messages tells how many messages came.
func (r *receiver) messages() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// told makes a webhook destination of the receiver.
func (c *client) told(r *receiver, events ...string) {
	c.t.Helper()
	c.call(http.StatusCreated, "POST", "/api/v1/destinations", object{
		"name": "receiver", "type": "webhook", "url": r.url, "events": append([]string{}, events...), "rate_per_minute": 6000,
	})
}
