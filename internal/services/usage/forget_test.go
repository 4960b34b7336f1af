package usage_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

func TestWhatIsForgottenIsCountedAndStoredWithoutItsOrigin(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		var records []models.Record
		for i, request := range []string{"a", "b"} {
			r := k.check(request, noon.Add(time.Duration(i)*time.Minute))
			r.IP, r.UserAgent = netip.MustParseAddr("198.51.100.1"), "agent-mark"
			r.Code, r.Allowed = "rate_limited", false
			r.Limits = []models.RecordedLimit{{Rule: "r", Scope: models.ScopeKey, Limit: 1, Denied: true, Tightest: true}}
			records = append(records, r)
		}
		refused := k.check("c\x00", noon) // PostgreSQL takes no NUL, and SQLite does
		refused.IP, refused.UserAgent = netip.MustParseAddr("198.51.100.1"), "agent-mark"
		w.journal.put(stream, append(records, refused)...)
		ingester := w.ingester(nil, func(o *usage.IngesterOptions) {
			o.Forget = func(r *models.Record) bool {
				if r.At.After(noon) {
					return false
				}
				r.Anonymize()
				return true
			}
		})
		require.NoError(t, ingester.Drain(t.Context()))
		require.EqualValues(t, 3, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM usage_logs WHERE user_agent <> '' OR ip <> ''"), "of what is not forgotten")
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM usage_logs WHERE user_agent = 'agent-mark' AND request_id = 'b'"))
		require.EqualValues(t, 2, w.number("SELECT COUNT(*) FROM rate_limit_violations"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE ips IS NOT NULL"))
		payloads := "SELECT COUNT(*) FROM ingest_rejects WHERE instr(CAST(payload AS TEXT), 'agent-mark') > 0"
		if w.engine == "postgres" {
			payloads = "SELECT COUNT(*) FROM ingest_rejects WHERE position('agent-mark'::bytea IN payload) > 0"
			require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM ingest_rejects"))
		}
		require.Zero(t, w.number(payloads))
	})
}
