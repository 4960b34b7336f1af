package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/client"
)

// The operations about destinations and deliveries stand beside the others.
func init() {
	some, rate, grace := "other", 7, 48*time.Hour
	for name, op := range map[string]operation{
		"create destination": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Create(ctx, client.NewDestination{
					Name: "on-call", Type: "webhook", URL: "https://a.test", Headers: map[string]string{"X": "y"}, Events: []string{"alert.*"},
					MinSeverity: "warning", RatePerMinute: 7, Secret: "whsec_x",
				}))
			},
			sent: "POST /api/v1/destinations", once: true,
			body: `{"name":"on-call","type":"webhook","url":"https://a.test","headers":{"X":"y"},"events":["alert.*"],"min_severity":"warning","rate_per_minute":7,"secret":"whsec_x"}`,
		},
		"create email": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Create(ctx, client.NewDestination{Name: "owners", Type: "email", ToOwner: true}))
			},
			sent: "POST /api/v1/destinations", once: true, body: `{"name":"owners","type":"email","to_owner":true}`,
		},
		"list destinations": {
			call: func(ctx context.Context, c *client.Client) error {
				return drain(c.Destinations.List(ctx, client.Page{Sort: "name", Size: 5}))
			},
			sent: "GET /api/v1/destinations?limit=5&sort=name",
		},
		"get destination": {
			call: func(ctx context.Context, c *client.Client) error { return ignore(c.Destinations.Get(ctx, "on-call")) },
			sent: "GET /api/v1/destinations/on-call",
		},
		"update destination": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Update(ctx, "on-call", `"3"`, client.DestinationPatch{
					Name: &some, RatePerMinute: &rate, Headers: client.Clear[map[string]string](), Events: client.Set([]string{"key.*"}),
				}))
			},
			sent: "PATCH /api/v1/destinations/on-call", etag: `"3"`, body: `{"name":"other","headers":null,"events":["key.*"],"rate_per_minute":7}`,
		},
		"delete destination": {
			call: func(ctx context.Context, c *client.Client) error { return c.Destinations.Delete(ctx, "on-call") },
			sent: "DELETE /api/v1/destinations/on-call",
		},
		"enable destination": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Enable(ctx, "on-call"))
			},
			sent: "POST /api/v1/destinations/on-call/enable",
		},
		"disable destination": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Disable(ctx, "on-call", "why"))
			},
			sent: "POST /api/v1/destinations/on-call/disable", body: `{"reason":"why"}`,
		},
		"test destination": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.Test(ctx, "on-call", "me@a.test"))
			},
			sent: "POST /api/v1/destinations/on-call/test", body: `{"to":"me@a.test"}`,
		},
		"rotate signing secret": {
			call: func(ctx context.Context, c *client.Client) error {
				return ignore(c.Destinations.RotateSecret(ctx, "on-call", client.SecretRotation{Grace: &grace, Secret: "whsec_x"}))
			},
			sent: "POST /api/v1/destinations/on-call/rotate-secret", once: true, body: `{"grace":"48h","secret":"whsec_x"}`,
		},
		"list deliveries": {
			call: func(ctx context.Context, c *client.Client) error {
				return drain(c.Deliveries.List(ctx, client.DeliveryFilter{Destination: "on-call", State: "failed", Since: noon}, client.Page{}))
			},
			sent: "GET /api/v1/deliveries?destination=on-call&since=2027-03-01T12%3A00%3A00Z&state=failed",
		},
		"get delivery": {
			call: func(ctx context.Context, c *client.Client) error { return ignore(c.Deliveries.Get(ctx, "d")) },
			sent: "GET /api/v1/deliveries/d",
		},
		"redeliver": {
			call: func(ctx context.Context, c *client.Client) error { return ignore(c.Deliveries.Redeliver(ctx, "d")) },
			sent: "POST /api/v1/deliveries/d/redeliver", once: true,
		},
	} {
		operations[name] = op
	}
}

const (
	destinationJSON = `{"id":"d","name":"on-call","type":"webhook","url":"https://a.test/?…","headers":{"X":"…"},"to":[],"to_owner":false,
		"events":["alert.*"],"min_severity":"info","rate_per_minute":60,"secret_previous_until":"2027-03-01T12:00:00Z",
		"disabled_at":"2027-03-01T12:00:00Z","disabled_reason":"410","failing_since":"2027-03-01T12:00:00Z",
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	deliveryJSON = `{"id":"x","destination_id":"d","owner_id":"o","to":"a@a.test","origin_id":"w","state":"pending","message_id":"m","title":"Look","events":4,
		"attempts":1,"next_at":"2027-03-01T12:00:00Z","finished_at":"2027-03-01T12:00:00Z","created_at":"2026-03-01T12:00:00Z"}`
	deliveryDetailJSON = `,"message":{"id":"m","at":"2026-03-01T12:00:00Z","omitted":3,"events":[{"id":"n","type":"alert.active",
		"at":"2026-03-01T12:00:00Z","severity":"warning","title":"Look","text":"It burns","owner_id":"o","owner":"cust_42","key_id":"k","data":{"rule":"r"}}]},
		"tries":[{"number":1,"at":"2026-03-01T12:00:00Z","done_at":"2026-03-01T12:00:01Z","took_ms":1000,"delivered":false,"status":500,
			"request":"POST","response":"oops","error":"HTTP 500"}]}`
)

func TestDestinationsAndDeliveriesAreReadWhole(t *testing.T) {
	detail := strings.TrimSuffix(deliveryJSON, "}") + deliveryDetailJSON
	for name, test := range map[string]struct {
		body string
		call func(c *client.Client) (any, error)
	}{
		"destination": {destinationJSON, func(c *client.Client) (any, error) { return c.Destinations.Get(ctx, "d") }},
		"created": {strings.TrimSuffix(destinationJSON, "}") + `,"secret":"whsec_x"}`, func(c *client.Client) (any, error) {
			return c.Destinations.Create(ctx, client.NewDestination{})
		}},
		"delivery": {detail, func(c *client.Client) (any, error) { return c.Deliveries.Get(ctx, "x") }},
		"test":     {detail, func(c *client.Client) (any, error) { return c.Destinations.Test(ctx, "d", "") }},
		"again":    {deliveryJSON, func(c *client.Client) (any, error) { return c.Deliveries.Redeliver(ctx, "x") }},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, test.body) })
			v, err := test.call(c)
			require.NoError(t, err)
			data, err := json.Marshal(v)
			require.NoError(t, err)
			require.JSONEq(t, test.body, string(data))
		})
	}
}

func TestATestThatFailsIsNotSentAgain(t *testing.T) {
	sent := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		sent++
		answer(w, http.StatusServiceUnavailable, `{}`)
	})
	require.Error(t, ignore(c.Destinations.Test(ctx, "d", "")))
	require.Equal(t, 1, sent)
}
