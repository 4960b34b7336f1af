package notify

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// The official library believes what is sent, with the secret and the one before.
func TestWebhookIsBelievedByTheOfficialLibrary(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("thanks")) })
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted(), Version: "1.2.3", Now: time.Now})
	until := time.Now().Add(time.Hour)
	d := webhook(r.URL + "/hooks?token=hunter2")
	d.SecretPrevious, d.SecretPreviousUntil = otherSecret, &until
	d.Headers = map[string]string{
		"X-Team": "blue-hunter2", "x-lower": "yes!", "Webhook-Id": "forged", "webhook-signature": "forged", "Host": "forged",
		"Content-Length": "1", "User-Agent": "forged", "Content-Type": "forged",
	}
	sent := s.Send(t.Context(), d, "", message(1))
	require.True(t, sent.Delivered, sent.Error)
	require.Equal(t, http.StatusOK, sent.Status)
	require.Equal(t, "thanks", sent.Response)

	requests, bodies := r.requests()
	require.Len(t, requests, 1)
	for _, secret := range []string{testSecret, otherSecret} {
		library, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, library.Verify([]byte(bodies[0]), requests[0].Header))
		require.Error(t, library.Verify([]byte(bodies[0]+" "), requests[0].Header))
	}
	h := requests[0].Header
	require.Equal(t, "0199-m1", h.Get("webhook-id"))
	require.Equal(t, "application/json", h.Get("Content-Type"))
	require.Equal(t, "viva/1.2.3", h.Get("User-Agent"))
	require.Equal(t, "blue-hunter2", h.Get("X-Team"))
	require.Equal(t, "yes!", h.Get("X-Lower"))
	require.Equal(t, strings.TrimPrefix(r.URL, "https://"), requests[0].Host)
	require.Equal(t, "HTTP/2.0", requests[0].Proto)

	require.NotContains(t, sent.Request, "hunter2")
	require.NotContains(t, sent.Request, "v1,")
	require.Contains(t, sent.Request, "POST "+r.URL+"/hooks?…\n")
	require.Contains(t, sent.Request, "\nX-Team: …\n")
	require.Contains(t, sent.Request, "\nWebhook-Signature: …\n")
	require.Contains(t, sent.Request, "\nWebhook-Id: 0199-m1\n")
	require.Contains(t, sent.Request, "\n\n"+bodies[0])
}

// What receivers parse is this, to the letter.
func TestWebhookBody(t *testing.T) {
	r := newReceiver(t, ok)
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	const event = `{"id":"na","type":"alert.active","at":"2026-03-04T12:00:00Z","severity":"warning","title":"Quota nearly spent",` +
		`"text":"90 % of the month's calls are used.","owner_id":"o1","owner":"acme","key_id":"k1","data":{"alert_id":"a1","rule":"quota"}}`
	second := strings.NewReplacer(`"na"`, `"nb"`, "12:00:00Z", "12:00:00.001Z").Replace(event)
	for name, row := range map[string]struct {
		m    *models.Message
		want string
	}{
		"one":  {message(1), `{"type":"alert.active","timestamp":"2026-03-04T12:00:00Z","data":{"id":"0199-m1","events":[` + event + `],"omitted":0}}`},
		"many": {message(2), `{"type":"events","timestamp":"2026-03-04T12:00:00.001Z","data":{"id":"0199-m1","events":[` + event + "," + second + `],"omitted":0}}`},
		"none": {message(0), `{"type":"events","timestamp":"2026-03-04T12:00:03Z","data":{"id":"0199-m1","events":[],"omitted":0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, s.Send(t.Context(), webhook(r.URL), "", row.m).Delivered)
			_, bodies := r.requests()
			require.Equal(t, row.want, bodies[len(bodies)-1])
		})
	}
	m := message(1)
	m.Omitted = 7
	require.Equal(t, "events", bodyOf(m).Type)
	require.Equal(t, 7, bodyOf(m).Data.Omitted)
}

// Two attempts differ in their time and signature alone.
func TestWebhookOfTwoAttempts(t *testing.T) {
	r := newReceiver(t, ok)
	now := noon
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted(), Now: func() time.Time { return now }})
	for range 2 {
		require.True(t, s.Send(t.Context(), webhook(r.URL), "", message(2)).Delivered)
		now = now.Add(time.Hour)
	}
	requests, bodies := r.requests()
	require.Equal(t, bodies[0], bodies[1])
	first, second := requests[0].Header, requests[1].Header
	require.Equal(t, first.Get("webhook-id"), second.Get("webhook-id"))
	require.Equal(t, "1772625600", first.Get("webhook-timestamp"))
	require.Equal(t, "1772629200", second.Get("webhook-timestamp"))
	require.NotEqual(t, first.Get("webhook-signature"), second.Get("webhook-signature"))
}

// A receiver that sends back all it got brings no secret into the database.
func TestEchoedSecretsAreHidden(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = req.Header.Write(w)
		_, _ = w.Write([]byte(req.URL.String()))
	})
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	d := webhook(r.URL + "/hooks?token=query-hunter2&x=1")
	d.Headers = map[string]string{"Authorization": "Bearer hunter2", "X-Short": "Bearer"}
	for _, sent := range []models.Sent{
		s.Send(t.Context(), d, "", message(1)),
		s.Send(t.Context(), &models.Destination{Type: "slack", URL: r.URL + "/services/T/hunter2"}, "", message(1)),
	} {
		require.Equal(t, http.StatusBadRequest, sent.Status)
		require.Equal(t, "answered 400 Bad Request", sent.Error)
		require.Contains(t, sent.Response, "…")
		for _, text := range []string{sent.Request, sent.Response, sent.Error} {
			require.NotContains(t, text, "hunter2")
			require.NotContains(t, text, "v1,")
		}
	}
}

// An attempt that never got through shows no secret either.
func TestFailuresShowNoSecret(t *testing.T) {
	gone := httptest.NewServer(http.HandlerFunc(ok))
	gone.Close()
	s := newSender(t, Options{AllowNetworks: loopback})
	for _, d := range []*models.Destination{
		webhook(gone.URL + "/x?hunter2"), {Type: "slack", URL: gone.URL + "/services/T/hunter2"},
	} {
		sent := s.Send(t.Context(), d, "", message(1))
		require.Contains(t, sent.Error, "connection refused")
		require.False(t, sent.Hopeless || sent.Gone || sent.Delivered)
		require.NotContains(t, sent.Error+sent.Request, "hunter2")
	}
}

// The key of what is kept: bounded and storable, whatever was sent.
func TestLongRequestsAreCut(t *testing.T) {
	r := newReceiver(t, ok)
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	m := message(50)
	m.Events[0].Title = strings.Repeat("日", 3000) + "\x00"
	sent := s.Send(t.Context(), webhook(r.URL), "", m)
	require.True(t, sent.Delivered)
	require.LessOrEqual(t, len(sent.Request), 4<<10)
	require.Equal(t, clean(sent.Request), sent.Request)
	_, bodies := r.requests()
	require.Greater(t, len(bodies[0]), 10<<10, "the receiver gets all of it")
}
