package usage_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/usage"
)

// asker counts what is asked for.
type asker struct {
	mu    sync.Mutex
	asked map[models.JobKind]int
	err   error
}

func (a *asker) Touch(_ context.Context, kind models.JobKind, subject string, after time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if subject != "" || after != map[models.JobKind]time.Duration{models.JobAlertCheck: 2 * time.Second, models.JobCustomerOutreach: 10 * time.Second}[kind] {
		return fmt.Errorf("asked for %s %q after %s", kind, subject, after)
	}
	a.asked[kind]++
	return a.err
}

func spending(units, limit int64) func(r *models.Record) {
	return func(r *models.Record) {
		r.Limits = []models.RecordedLimit{{
			Rule: "q", Scope: models.ScopeOwner, Limit: limit, Spent: units, Period: models.PeriodDay, Start: noon.Truncate(24 * time.Hour),
		}}
	}
}

func TestTheLimitOfAQuotaIsThatOfTheLastCheckThatSpentFromIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		limit := func() int64 { return w.number("SELECT quota_limit FROM quota_totals") }
		w.journal.put(stream, k.check("a", noon, spending(1, 100)))
		w.drain()
		require.EqualValues(t, 100, limit())
		// Of a batch, the last by its time; a refusal spends nothing.
		w.journal.put(stream, k.check("b", noon.Add(2*time.Second), spending(1, 300)), k.check("c", noon.Add(time.Second), spending(1, 200)),
			k.check("d", noon.Add(3*time.Second), spending(0, 400)))
		w.drain()
		require.EqualValues(t, 300, limit())
		// An adjustment tells the limit of a check long ago.
		w.journal.put(stream, k.check("a", noon.Add(4*time.Second), spending(-1, 100), func(r *models.Record) {
			r.Kind, r.Units = models.RecordAdjustment, -1
		}))
		w.drain()
		require.EqualValues(t, 300, limit())
		require.EqualValues(t, 2, w.number("SELECT units FROM quota_totals"))
		w.journal.put(stream, k.check("e", noon.Add(5*time.Second), spending(1, 50)))
		w.drain()
		require.EqualValues(t, 50, limit(), "it may fall")
	})
}

func TestQuotasThatMovedAreAskedToBeLookedAt(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		jobs := &asker{asked: map[models.JobKind]int{}}
		k, stream := newKey(), w.journal.stream(true)
		ingester := w.ingester(nil, func(o *usage.IngesterOptions) { o.Jobs = jobs })
		w.journal.put(stream, k.check("a", noon))
		require.NoError(t, ingester.Drain(t.Context()))
		require.Empty(t, jobs.asked, "no quota moved")
		for second := range 6 {
			w.now = noon.Add(time.Duration(second) * time.Second)
			w.journal.put(stream, k.check(fmt.Sprint(second), w.now, spending(1, 100)))
			require.NoError(t, ingester.Once(t.Context()))
		}
		require.Equal(t, map[models.JobKind]int{models.JobAlertCheck: 3, models.JobCustomerOutreach: 3}, jobs.asked, "once in two seconds")
		w.now = w.now.Add(time.Second)
		require.NoError(t, ingester.Once(t.Context()))
		require.Equal(t, 4, jobs.asked[models.JobAlertCheck], "and for what moved last")
		w.now = w.now.Add(time.Hour)
		require.NoError(t, ingester.Once(t.Context()))
		require.Equal(t, 4, jobs.asked[models.JobAlertCheck], "not for nothing")

		// Failing to ask is reported and holds nothing up.
		jobs.err = errors.New("away")
		w.journal.put(stream, k.check("z", w.now, spending(1, 100)))
		require.NoError(t, ingester.Drain(t.Context()))
		require.EqualValues(t, 7, w.number("SELECT units FROM quota_totals"))
		require.Len(t, w.reported, 1)
		require.Contains(t, w.reported[0], "away")
	})
}

// A key that is refused as fast as it calls costs a bounded number of rows,
// however often that is: those of a minute by rule and endpoint, of which there
// are as many as are counted apart, and one job.
func TestFloodOfRefusalsCostsABoundedNumberOfRows(t *testing.T) {
	const perSecond, seconds = 5_000, 60 // more are added up in memory alike
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		ingester := w.ingester(nil, func(o *usage.IngesterOptions) { o.RawRowsPerSecond, o.Jobs = 1, repositories.NewJobs(w.db) })
		for second := range seconds {
			w.now = noon.Add(time.Duration(second) * time.Second)
			records := make([]models.Record, perSecond)
			for i := range records {
				records[i] = k.check("r", w.now, denied([]string{"per-second", "per-minute"}[i%2]), func(r *models.Record) {
					r.Endpoint = fmt.Sprint("/v1/", i%1000)
					r.IP = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
				})
			}
			w.journal.put(stream, records...)
			require.NoError(t, ingester.Once(t.Context()))
			w.journal.forget(stream)
		}
		require.EqualValues(t, perSecond*seconds, w.number("SELECT SUM(denials) FROM rate_limit_violations"))
		require.LessOrEqual(t, w.number("SELECT COUNT(*) FROM rate_limit_violations"), int64(2*201))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'rate_limit:exceeded' AND subject = '"+string(k.id)+"'"))
		require.LessOrEqual(t, w.number("SELECT MAX(generation) FROM jobs"), int64(2*seconds), "one change of it in each transaction")
	})
}

// A batch that is not kept asks for nothing.
func TestJobsAreAskedForInTheTransactionOfTheViolations(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		broken := errors.New("broken")
		store := &faulty{Ingest: w.ingest}
		w.journal.put(stream, k.check("a", noon, denied("per-minute")))
		err := w.ingest.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, w.ingest.Add(ctx, &models.UsageBatch{Exceeded: []models.KeyID{k.id}}))
			return broken
		})
		require.ErrorIs(t, err, broken)
		require.Zero(t, w.number("SELECT COUNT(*) FROM jobs"))
		require.NoError(t, w.ingester(store, nil).Drain(t.Context()))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs"))
	})
}
