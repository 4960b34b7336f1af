//go:build journeys

package tests

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// onBothEngines runs a part of a test on one process alone, and on two over PostgreSQL and Redis.
func onBothEngines(t *testing.T, s settings, part func(t *testing.T, b *books, nodes ...*process)) {
	t.Run("one process", func(t *testing.T) {
		s := alone(t).with(s)
		p := start(t, s, "viva", "serve")
		part(t, openBooks(t, s, ""), p)
	})
	t.Run("two api processes", func(t *testing.T) {
		database := testenv.Postgres(t)
		s := shared(t, database, testenv.Redis(t)).with(s)
		first := start(t, s, "api")
		second := start(t, s.with(settings{"VIVA_DATA_DIR": t.TempDir()}), "api")
		part(t, openBooks(t, s, database), first, second)
	})
}

func TestChecksAreSettledOnce(t *testing.T) {
	calmMonth()
	onBothEngines(t, metered.with(exactly), func(t *testing.T, b *books, nodes ...*process) {
		asking, settling := nodes[0].client(), nodes[len(nodes)-1].client()
		asking.plan("unlimited")
		k := asking.create(monthly(1000))
		check := func(id string, cost int64, settle bool) {
			t.Helper()
			got := asking.call(200, "POST", "/api/v1/validate", object{
				"api_key": k.Secret, "cost": cost, "settle": settle, "method": "POST", "endpoint": "/v1/answers",
			}, "X-Request-Id", id)
			require.Equal(t, settle, into[struct{ Settleable bool }](t, got).Settleable)
		}
		settle := func(status int, id string, cost int64) answer {
			t.Helper()
			return settling.call(status, "POST", "/api/v1/checks/"+id+"/settle", object{"cost": cost})
		}
		spends := func(units int64) {
			t.Helper()
			require.Equal(t, 1000-units, settling.left(k))
		}
		check("down", 10, true)
		check("up", 10, true)
		check("same", 10, true)
		check("never", 10, false)
		spends(40)
		for range 2 {
			got := into[map[string]any](t, settle(200, "down", 4))
			require.Equal(t, map[string]any{"request_id": "down", "key_id": k.ID, "cost_before": 10.0, "cost": 4.0}, without(got, "$schema"))
			spends(34)
		}
		for range 2 {
			settle(200, "up", 25)
			spends(49)
		}
		settle(200, "same", 10)
		spends(49)
		require.Equal(t, "conflict", into[problem](t, settle(409, "down", 5)).Code)
		require.Equal(t, "not_settleable", into[problem](t, settle(409, "never", 5)).Code)
		require.Equal(t, "not_settleable", into[problem](t, settle(409, "unheard-of", 5)).Code)
		spends(49)

		b.becomes(49, spentOfAll)
		b.becomes(9, "SELECT COALESCE(SUM(last_seq), 0) FROM ingest_cursors") // 4 checks and 5 settlements, 2 of them again
		b.is(49, "SELECT SUM(units) FROM usage_rollups WHERE requests = 4 AND allowed = 4 AND endpoint = '/v1/answers' AND method = 'POST'")
		b.is(49, "SELECT SUM(billable_units) FROM usage_rollups")
		for _, p := range nodes {
			p.stop()
		}
		rows := b.balance(nil)
		changed := map[string]int64{}
		for _, r := range rows {
			if r.kind == kindAdjustment && !r.replayed {
				changed[r.requestID] += r.units
			}
		}
		require.Equal(t, map[string]int64{"down": -6, "up": 15, "same": 0}, changed)
		b.drained(rows)
	})
}

func without(object map[string]any, member string) map[string]any {
	delete(object, member)
	return object
}

func TestReportsCountOnceAndByMeter(t *testing.T) {
	onBothEngines(t, metered, func(t *testing.T, b *books, nodes ...*process) {
		node, other := nodes[0].client(), nodes[len(nodes)-1].client()
		node.plan("unlimited")
		k, test := node.create(object{"name": "k", "plan": "unlimited"}), node.create(object{"name": "t", "plan": "unlimited", "environment": "test"})
		require.True(t, node.check(k.Secret, 1).Allowed)
		at := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339Nano)
		event := func(id string, k key, more object) object {
			e := object{"id": id, "key_id": k.ID, "at": at, "method": "GET", "endpoint": "/v1/answers"}
			for name, value := range more {
				e[name] = value
			}
			return e
		}
		events := []object{
			event("a", k, object{"status": 200, "latency_ms": 12, "bytes_in": 100, "bytes_out": 2000}),
			event("a", k, object{"status": 200, "latency_ms": 12, "bytes_in": 100, "bytes_out": 2000}),
			event("b", k, object{"status": 503, "latency_ms": 900, "bytes_in": 50}),
			event("c", k, object{"meter": "tokens", "units": 1234, "status": 304}),
			event("d", k, object{"meter": "tokens", "units": 766, "status": 404}),
			event("d", test, object{"meter": "tokens", "units": 5}), // another key's
			event("e", k, object{"meter": "images", "units": 3}),
			event("f", key{ID: "018f0000-0000-7000-8000-000000000000"}, nil),
		}
		report := func(c *client) {
			got := into[struct {
				Results []struct {
					ID       string
					Accepted bool
					Problem  *problem
				}
			}](t, c.call(200, "POST", "/api/v1/usage/events", object{"events": events}))
			require.Len(t, got.Results, len(events))
			for i, r := range got.Results {
				require.Equal(t, events[i]["id"], r.ID)
				require.Equal(t, r.ID != "f", r.Accepted, "%+v", r)
			}
		}
		for range 3 {
			parallel(2, func(worker int) { report([]*client{node, other}[worker].in(t)) })
		}
		for _, p := range nodes {
			p.stop()
		}
		rows := b.balance(map[string]bool{test.ID: true})
		require.Len(t, rows, 1+6)
		sums := func(meter string) (all counts) {
			for c, n := range b.rollups() {
				if c.meter == meter && c.key == k.ID {
					all = all.plus(n)
				}
			}
			return all
		}
		require.Equal(t, map[string]counts{
			//           requests allowed          refused: limit … access   units billable reports 2xx 3xx 4xx 5xx in out
			"requests": {1, 1, 0, 0, 0, 0, 0, 1, 1, 2, 1, 0, 0, 1, 150, 2000},
			"tokens":   {0, 0, 0, 0, 0, 0, 0, 2000, 2000, 2, 0, 1, 1, 0, 0, 0},
			"images":   {0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 0, 0, 0, 0, 0, 0},
		}, map[string]counts{"requests": sums("requests"), "tokens": sums("tokens"), "images": sums("images")})
		b.is(5, "SELECT SUM(units) FROM usage_rollups WHERE billable_units = 0 AND meter = 'tokens'")
		b.is(2, "SELECT SUM(count) FROM usage_latencies")
		b.is(0, "SELECT COUNT(*) FROM ingest_cursors WHERE drained_at IS NULL")
		b.is(6, fmt.Sprintf("SELECT COUNT(*) FROM usage_event_ids WHERE %s > 0", b.micros("at")))
	})
}
