package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// An operation is what one method of the client sends.
type operation struct {
	call func(context.Context, *client.Client) error
	sent string // method and path with its query
	body string // "" for none
	etag string // of a merge patch
	once bool   // it carries an Idempotency-Key
}

func ignore[T any](_ T, err error) error { return err }

var (
	ctx  = context.Background()
	noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
)

var operations = map[string]operation{
	"create key": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Create(ctx, client.NewKey{
				Name: "Checkout", Keyspace: "default", Owner: "cust_42", Plan: "pro", Environment: apikey.Test, ExpiresAt: &noon,
				AllowedIPs: []string{"10.0.0.0/8"}, Permissions: []string{"read"}, Methods: []string{"GET"}, Endpoints: []string{"/v1/**"},
				Rules: []client.Rule{
					{Name: "burst", Limit: 10, Window: 90 * time.Minute, Algorithm: client.FixedWindow, Scope: client.ScopeKey, Shadow: true},
					{Name: "monthly", Limit: 10_000, Period: client.Month, Overage: client.Allow, Methods: []string{"POST"}, Endpoints: []string{"/x"}},
				},
				Tags: []string{"eu"}, Metadata: map[string]string{"region": "eu"}, Import: &client.Import{Hash: "ab", Mask: "…ab"},
			}))
		},
		sent: "POST /api/v1/keys", once: true,
		body: `{"name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro","environment":"test","expires_at":"2027-03-01T12:00:00Z",
			"allowed_ips":["10.0.0.0/8"],"permissions":["read"],"methods":["GET"],"endpoints":["/v1/**"],
			"rules":[{"name":"burst","limit":10,"window":"1h30m","algorithm":"fixed_window","scope":"key","shadow":true},
				{"name":"monthly","limit":10000,"period":"month","overage":"allow","methods":["POST"],"endpoints":["/x"]}],
			"tags":["eu"],"metadata":{"region":"eu"},"import":{"hash":"ab","mask":"…ab"}}`,
	},
	"queues": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Queues.Get(ctx)) },
		sent: "GET /api/v1/admin/queues",
	},
	"tasks": {
		call: func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Queues.Tasks(ctx, client.TaskFilter{State: client.TaskWaiting, Kind: "alert:check"}, client.Page{}) {
				return err
			}
			return nil
		},
		sent: "GET /api/v1/admin/queues/tasks?kind=alert%3Acheck&state=waiting",
	},
	"retry task": {
		call: func(ctx context.Context, c *client.Client) error {
			subject := ""
			return ignore(c.Queues.Retry(ctx, client.TaskSelection{Kind: "alert:check", Subject: &subject}))
		},
		sent: "POST /api/v1/admin/queues/tasks/retry", body: `{"kind":"alert:check","subject":""}`,
	},
	"delete tasks": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Queues.Delete(ctx, client.TaskSelection{Kind: "alert:check", All: true}))
		},
		sent: "POST /api/v1/admin/queues/tasks/delete", body: `{"kind":"alert:check","all":true}`,
	},
	"pause queue": {
		call: func(ctx context.Context, c *client.Client) error { return c.Queues.Pause(ctx, "low") },
		sent: "POST /api/v1/admin/queues/low/pause",
	},
	"resume queue": {
		call: func(ctx context.Context, c *client.Client) error { return c.Queues.Resume(ctx, "low") },
		sent: "POST /api/v1/admin/queues/low/resume",
	},
	"create alert rule": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.AlertRules.Create(ctx, client.NewAlertRule{
				Name: "r", Kind: "error_rate", Params: client.AlertParams{Percent: 2.5, Window: 30 * time.Minute, ClientErrors: true}, RepeatEvery: "0s",
			}))
		},
		sent: "POST /api/v1/alert-rules", once: true,
		body: `{"name":"r","kind":"error_rate","params":{"percent":2.5,"window":"30m","client_errors":true},"repeat_every":"0s"}`,
	},
	"update alert rule": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.AlertRules.Update(ctx, "r", `"1-a"`, client.AlertRulePatch{Enabled: new(false), Owner: client.Clear[string]()}))
		},
		sent: "PATCH /api/v1/alert-rules/r", etag: `"1-a"`, body: `{"enabled":false,"owner":null}`,
	},
	"delete alert rule": {
		call: func(ctx context.Context, c *client.Client) error { return c.AlertRules.Delete(ctx, "r") },
		sent: "DELETE /api/v1/alert-rules/r",
	},
	"list alerts": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Alerts.List(ctx, client.AlertFilter{State: client.AlertActive, Rule: "r", Since: time.Unix(0, 0)}, client.Page{}))
		},
		sent: "GET /api/v1/alerts?rule=r&since=1970-01-01T00%3A00%3A00Z&state=active",
	},
	"acknowledge alert": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Alerts.Acknowledge(ctx, "a", "on it"))
		},
		sent: "POST /api/v1/alerts/a/acknowledge", body: `{"note":"on it"}`,
	},
	"suppress alert": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Alerts.Suppress(ctx, "a", time.Unix(0, 0).UTC(), ""))
		},
		sent: "POST /api/v1/alerts/a/suppress", body: `{"until":"1970-01-01T00:00:00Z"}`,
	},
	"create maintenance window": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.MaintenanceWindows.Create(ctx, client.NewMaintenanceWindow{
				Name: "w", StartsAt: time.Unix(0, 0).UTC(), EndsAt: time.Unix(60, 0).UTC(), Rules: []string{"r"},
			}))
		},
		sent: "POST /api/v1/maintenance-windows", once: true,
		body: `{"name":"w","starts_at":"1970-01-01T00:00:00Z","ends_at":"1970-01-01T00:01:00Z","rules":["r"]}`,
	},
	"update maintenance window": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.MaintenanceWindows.Update(ctx, "w", client.AnyVersion, client.MaintenanceWindowPatch{Rules: client.Clear[[]string]()}))
		},
		sent: "PATCH /api/v1/maintenance-windows/w", etag: "*", body: `{"rules":null}`,
	},
	"create key, the least of it": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Create(ctx, client.NewKey{Name: "a"}))
		},
		sent: "POST /api/v1/keys", once: true, body: `{"name":"a"}`,
	},
	"create keys": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.CreateMany(ctx, []client.NewKey{{Name: "a"}, {Name: "b"}}))
		},
		sent: "POST /api/v1/keys/bulk", once: true, body: `{"keys":[{"name":"a"},{"name":"b"}]}`,
	},
	"list keys": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Keys.List(ctx, client.KeyFilter{
				Keyspace: "default", Owner: "a&b", Environment: apikey.Live, Status: client.Suspended, Name: "Check", Tag: "eu",
			}, client.Page{Sort: "-name", Size: 7}))
		},
		sent: "GET /api/v1/keys?environment=live&keyspace=default&limit=7&name=Check&owner=a%26b&sort=-name&status=suspended&tag=eu",
	},
	"get key": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keys.Get(ctx, "a/b?c")) },
		sent: "GET /api/v1/keys/a%2Fb%3Fc",
	},
	"update key": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Update(ctx, "k", `"3-5f"`, client.KeyPatch{
				Name: new("b"), ExpiresAt: client.Clear[time.Time](), Tags: client.Set([]string{"x"}),
				Rules: client.Set([]client.Rule{}), Metadata: client.MetadataPatch{"set": new("1"), "gone": nil},
			}))
		},
		sent: "PATCH /api/v1/keys/k", etag: `"3-5f"`,
		body: `{"name":"b","expires_at":null,"tags":["x"],"rules":[],"metadata":{"set":"1","gone":null}}`,
	},
	"update key, nothing": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Update(ctx, "k", client.AnyVersion, client.KeyPatch{}))
		},
		sent: "PATCH /api/v1/keys/k", etag: "*", body: `{}`,
	},
	"rotate key": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Rotate(ctx, "k", 24*time.Hour))
		},
		sent: "POST /api/v1/keys/k/rotate", once: true, body: `{"grace":"24h"}`,
	},
	"rotate key at once": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keys.Rotate(ctx, "k", 0)) },
		sent: "POST /api/v1/keys/k/rotate", once: true, body: `{"grace":"0s"}`,
	},
	"revoke key": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keys.Revoke(ctx, "k")) },
		sent: "POST /api/v1/keys/k/revoke",
	},
	"suspend key": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Suspend(ctx, "k", noon, "abuse"))
		},
		sent: "POST /api/v1/keys/k/suspend", body: `{"until":"2027-03-01T12:00:00Z","reason":"abuse"}`,
	},
	"suspend key until activated": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keys.Suspend(ctx, "k", time.Time{}, ""))
		},
		sent: "POST /api/v1/keys/k/suspend", body: `{}`,
	},
	"activate key": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keys.Activate(ctx, "k")) },
		sent: "POST /api/v1/keys/k/activate",
	},
	"reset limits": {
		call: func(ctx context.Context, c *client.Client) error { return c.Keys.ResetLimits(ctx, "k") },
		sent: "POST /api/v1/keys/k/reset-limits",
	},
	"look up key": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keys.Lookup(ctx, "s3cret")) },
		sent: "POST /api/v1/keys/lookup", body: `{"api_key":"s3cret"}`,
	},
	"erase key": {
		call: func(ctx context.Context, c *client.Client) error { return c.Keys.Erase(ctx, "k") },
		sent: "DELETE /api/v1/keys/k",
	},
	"create keyspace": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keyspaces.Create(ctx, client.NewKeyspace{Name: "payments", Prefix: "pay", Description: "d", Metadata: map[string]string{"a": "b"}}))
		},
		sent: "POST /api/v1/keyspaces", once: true, body: `{"name":"payments","prefix":"pay","description":"d","metadata":{"a":"b"}}`,
	},
	"list keyspaces": {
		call: func(ctx context.Context, c *client.Client) error { return drain(c.Keyspaces.List(ctx, client.Page{})) },
		sent: "GET /api/v1/keyspaces",
	},
	"get keyspace": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Keyspaces.Get(ctx, "payments")) },
		sent: "GET /api/v1/keyspaces/payments",
	},
	"update keyspace": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Keyspaces.Update(ctx, "payments", client.AnyVersion, client.KeyspacePatch{Description: client.Clear[string]()}))
		},
		sent: "PATCH /api/v1/keyspaces/payments", etag: "*", body: `{"description":null}`,
	},
	"delete keyspace": {
		call: func(ctx context.Context, c *client.Client) error { return c.Keyspaces.Delete(ctx, "payments") },
		sent: "DELETE /api/v1/keyspaces/payments",
	},
	"create owner": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Owners.Create(ctx, client.NewOwner{
				ExternalID: "cust_42", Name: "Acme", Email: "a@acme.test", Plan: "pro", PlanVersion: new(2),
				Rules: []client.Rule{{Name: "a", Limit: 1, Window: time.Second}}, TimeZone: "Europe/Berlin", AnchorDay: 15,
				Metadata: map[string]string{"a": "b"},
			}))
		},
		sent: "POST /api/v1/owners", once: true,
		body: `{"external_id":"cust_42","name":"Acme","email":"a@acme.test","plan":"pro","plan_version":2,
			"rules":[{"name":"a","limit":1,"window":"1s"}],"time_zone":"Europe/Berlin","anchor_day":15,"metadata":{"a":"b"}}`,
	},
	"create owner of nothing": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Owners.Create(ctx, client.NewOwner{}))
		},
		sent: "POST /api/v1/owners", once: true, body: `{}`,
	},
	"list owners": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Owners.List(ctx, client.OwnerFilter{Plan: "pro", Name: "Ac", Implicit: new(false), Archived: true}, client.Page{Size: 1000}))
		},
		sent: "GET /api/v1/owners?implicit=false&include_archived=true&limit=1000&name=Ac&plan=pro",
	},
	"get owner": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Owners.Get(ctx, "cust_42")) },
		sent: "GET /api/v1/owners/cust_42",
	},
	"update owner": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Owners.Update(ctx, "cust_42", `"1-a"`, client.OwnerPatch{
				ExternalID: client.Set("x"), PlanVersion: client.Clear[int](), Plan: new("free"), AnchorDay: new(1), TimeZone: new("UTC"),
			}))
		},
		sent: "PATCH /api/v1/owners/cust_42", etag: `"1-a"`,
		body: `{"external_id":"x","plan":"free","plan_version":null,"time_zone":"UTC","anchor_day":1}`,
	},
	"delete owner": {
		call: func(ctx context.Context, c *client.Client) error { return c.Owners.Delete(ctx, "cust_42") },
		sent: "DELETE /api/v1/owners/cust_42",
	},
	"create plan": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Plans.Create(ctx, client.NewPlan{Name: "gold", Rules: []client.Rule{{Name: "daily", Limit: 5, Period: client.Day}}}))
		},
		sent: "POST /api/v1/plans", once: true, body: `{"name":"gold","rules":[{"name":"daily","limit":5,"period":"day"}]}`,
	},
	"list plans": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Plans.List(ctx, client.PlanFilter{Archived: true}, client.Page{Sort: "name"}))
		},
		sent: "GET /api/v1/plans?include_archived=true&sort=name",
	},
	"get plan": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Plans.Get(ctx, "gold")) },
		sent: "GET /api/v1/plans/gold",
	},
	"update plan": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Plans.Update(ctx, "gold", client.AnyVersion, client.PlanPatch{Archived: new(false)}))
		},
		sent: "PATCH /api/v1/plans/gold", etag: "*", body: `{"archived":false}`,
	},
	"delete plan": {
		call: func(ctx context.Context, c *client.Client) error { return c.Plans.Delete(ctx, "gold") },
		sent: "DELETE /api/v1/plans/gold",
	},
	"publish plan": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Plans.Publish(ctx, "gold", []client.Rule{{Name: "a", Limit: 1, Window: time.Hour}}))
		},
		sent: "POST /api/v1/plans/gold/versions", once: true, body: `{"rules":[{"name":"a","limit":1,"window":"1h"}]}`,
	},
	"publish plan without rules": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Plans.Publish(ctx, "gold", nil)) },
		sent: "POST /api/v1/plans/gold/versions", once: true, body: `{"rules":[]}`,
	},
	"list versions": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Plans.Versions(ctx, "gold", client.Page{Sort: "number"}))
		},
		sent: "GET /api/v1/plans/gold/versions?sort=number",
	},
	"get version": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Plans.Version(ctx, "gold", 3)) },
		sent: "GET /api/v1/plans/gold/versions/3",
	},
	"validate": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Validate(ctx, client.Check{
				APIKey: "s3cret", Keyspace: "default", CheckID: "1", Cost: new(int64(0)), Method: "GET", Endpoint: "/v1/users",
				IP: netip.MustParseAddr("2001:db8::1"), Permissions: []string{"read"},
			}))
		},
		sent: "POST /api/v1/validate",
		body: `{"api_key":"s3cret","keyspace":"default","check_id":"1","cost":0,"method":"GET","endpoint":"/v1/users","ip":"2001:db8::1","permissions":["read"]}`,
	},
	"validate, the least of it": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.Validate(ctx, client.Check{APIKey: "s3cret"}))
		},
		sent: "POST /api/v1/validate", body: `{"api_key":"s3cret"}`,
	},
	"whoami": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Whoami(ctx)) },
		sent: "GET /api/v1/whoami",
	},
	"usage": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Usage(ctx, client.UsageQuery{})) },
		sent: "GET /api/v1/usage",
	},
	"key usage": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.KeyUsage(ctx, "k", client.UsageQuery{
				Granularity: client.ByWeek, From: noon.In(time.FixedZone("", 3600)), To: noon.Add(time.Hour), TimeZone: "Europe/Berlin", Meter: "tokens", Endpoint: new(""),
			}))
		},
		sent: "GET /api/v1/keys/k/usage?endpoint=&from=2027-03-01T12%3A00%3A00Z&granularity=week&meter=tokens&to=2027-03-01T13%3A00%3A00Z&tz=Europe%2FBerlin",
	},
	"owner usage": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.OwnerUsage(ctx, "a/b", client.UsageQuery{Granularity: client.ByMonth}))
		},
		sent: "GET /api/v1/owners/a%2Fb/usage?granularity=month",
	},
	"usage by owner": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.UsageBy(ctx, client.GroupOwner, client.UsageQuery{Limit: 10}))
		},
		sent: "GET /api/v1/usage?group_by=owner&limit=10",
	},
	"key usage by endpoint": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.KeyUsageBy(ctx, "k", client.GroupEndpoint, client.UsageQuery{}))
		},
		sent: "GET /api/v1/keys/k/usage?group_by=endpoint",
	},
	"owner usage by key": {
		call: func(ctx context.Context, c *client.Client) error {
			return ignore(c.OwnerUsageBy(ctx, "o", client.GroupKey, client.UsageQuery{}))
		},
		sent: "GET /api/v1/owners/o/usage?group_by=key",
	},
	"list violations": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.Violations(ctx, client.UsageFilter{Key: "k", Owner: "o", From: noon, To: noon.Add(time.Minute), Rule: "per-minute"}, client.Page{Size: 5}))
		},
		sent: "GET /api/v1/violations?from=2027-03-01T12%3A00%3A00Z&key_id=k&limit=5&owner=o&rule=per-minute&to=2027-03-01T12%3A01%3A00Z",
	},
	"list usage logs": {
		call: func(ctx context.Context, c *client.Client) error {
			return drain(c.UsageLogs(ctx, client.UsageFilter{Code: client.RateLimited}, client.Page{}))
		},
		sent: "GET /api/v1/usage/logs?code=rate_limited",
	},
	"explain check": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Check(ctx, "r-1")) },
		sent: "GET /api/v1/checks/r-1",
	},
	"readiness": {
		call: func(ctx context.Context, c *client.Client) error { return ignore(c.Ready(ctx)) },
		sent: "GET /health/ready",
	},
}

func TestEachOperationSendsWhatTheAPIReads(t *testing.T) {
	for name, op := range operations {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				var err error
				if body, err = io.ReadAll(r.Body); err != nil {
					t.Error(err)
				}
				answer(w, 200, `{"status":"ok"}`)
			})
			require.NoError(t, op.call(t.Context(), c))
			require.Equal(t, op.sent, got.Method+" "+got.URL.RequestURI())
			require.Equal(t, "Bearer "+token, got.Header.Get("Authorization"))
			require.Equal(t, "application/json", got.Header.Get("Accept"))
			require.Equal(t, op.etag, got.Header.Get("If-Match"))
			require.Equal(t, op.once, len(got.Header.Get("Idempotency-Key")) >= 20)
			require.Equal(t, media(op), got.Header.Get("Content-Type"))
			if op.body == "" {
				require.Empty(t, body)
			} else {
				require.JSONEq(t, op.body, string(body))
			}
		})
	}
}

func media(op operation) string {
	switch {
	case op.etag != "":
		return "application/merge-patch+json"
	case op.body != "":
		return "application/json"
	default:
		return ""
	}
}

func TestRefThatWouldNameSomethingElseIsNotSent(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	for _, ref := range []string{"", ".", ".."} {
		require.Error(t, c.Keys.Erase(ctx, ref))
		require.Error(t, c.Owners.Delete(ctx, ref))
		require.Error(t, drain(c.Plans.Versions(ctx, ref, client.Page{})))
	}
}

func TestIdempotencyKeyOfTheCallerIsSent(t *testing.T) {
	var keys []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		answer(w, 200, `{}`)
	})
	for range 2 {
		require.NoError(t, ignore(c.Keys.Create(ctx, client.NewKey{}, client.IdempotencyKey("mine"))))
		require.NoError(t, ignore(c.Keys.Create(ctx, client.NewKey{})))
	}
	require.Equal(t, "mine", keys[0])
	require.Equal(t, "mine", keys[2])
	require.NotEqual(t, keys[1], keys[3], "another call is not the same call")
}

func TestRuleIsReadBackAsItWasWritten(t *testing.T) {
	for _, rule := range []client.Rule{
		{Name: "a", Limit: 1, Window: 100 * time.Millisecond},
		{Name: "a", Limit: 1<<53 - 1, Window: 36*time.Hour + 3*time.Second, Algorithm: client.FixedWindow, Scope: client.ScopeOwner},
		{Name: "a", Limit: 1, Window: time.Second, Algorithm: client.GCRA, Burst: 1 << 32},
		{Name: "a", Limit: 10_000, Window: time.Hour, Algorithm: client.SlidingLog},
		{Name: "a", Limit: 1, Period: client.Day, Overage: client.Block, Methods: []string{"GET"}, Endpoints: []string{"/**"}, Shadow: true},
	} {
		data, err := json.Marshal(rule)
		require.NoError(t, err)
		var back client.Rule
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, rule, back)
	}
	require.Error(t, json.Unmarshal([]byte(`{"window":"soon"}`), new(client.Rule)))
}

func TestDurationsAreWrittenAsTheAPIDoes(t *testing.T) {
	for text, d := range map[string]time.Duration{
		"0s": 0, "100ms": 100 * time.Millisecond, "20s": 20 * time.Second, "1m": time.Minute, "10m": 10 * time.Minute, "1m30s": 90 * time.Second,
		"1h": time.Hour, "720h": 720 * time.Hour, "1h30m": 90 * time.Minute, "1h0m10s": time.Hour + 10*time.Second, "10m10s": 610 * time.Second,
	} {
		require.Equal(t, text, client.FormatDuration(d))
	}
}
