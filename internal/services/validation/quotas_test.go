package validation_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// ledger is what the database knows of quotas.
type ledger struct {
	mu       sync.Mutex
	spent    map[models.QuotaKey]int64
	complete time.Time
	err      error
	asked    int
}

func (l *ledger) Totals(_ context.Context, quotas []models.QuotaKey) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	list := make([]int64, len(quotas))
	for i, q := range quotas {
		list[i] = l.spent[q]
	}
	return list, l.err
}

func (l *ledger) CompleteUntil(context.Context) (time.Time, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complete, !l.complete.IsZero(), l.err
}

// metered is a world whose quotas are rebuilt from a ledger.
type metered struct {
	*world
	ledger *ledger
	quotas *validation.Quotas
	store  *ratelimit.Memory
	said   []string
}

func newMetered(t *testing.T) *metered {
	t.Helper()
	m := &metered{world: newWorld(t), ledger: &ledger{spent: map[models.QuotaKey]int64{}}}
	m.lose()
	return m
}

// lose makes the limit store forget everything, as a restart does.
func (m *metered) lose() {
	m.store = ratelimit.NewMemory(ratelimit.WithClock(m.clock.Now))
	embedded := validation.Embedded{Store: m.store}
	if m.quotas == nil {
		m.quotas = validation.NewQuotas(m.ledger, m, m.clock.Now, func(_ context.Context, message string, _ error) { m.said = append(m.said, message) })
	}
	m.Service = validation.New(validation.Deps{
		Keys: m.keys, Limits: embedded, Stated: m.stated, Recorder: &m.recorder, Quotas: m.quotas, Now: m.clock.Now,
	})
}

func (m *metered) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding, _ bool) error {
	return m.store.Seed(ctx, group, seeds)
}

// ingest lets the database know what was recorded so far.
func (m *metered) ingest() {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	for i := range m.recorder.records {
		r := &m.recorder.records[i]
		for j := range r.Limits {
			if l := &r.Limits[j]; l.Period != "" {
				m.ledger.spent[l.Quota(r)] += l.Spent
			}
		}
	}
	m.recorder.records, m.ledger.complete = nil, m.clock.Now()
}

func (m *metered) left(t *testing.T, key string) int64 {
	t.Helper()
	a := m.ask(t, validation.Check{APIKey: key})
	return a.Limits[len(a.Limits)-1].Remaining
}

func TestAQuotaOutlastsTheLimitStore(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, perMinute(1_000), monthly(100, models.OverageBlock))
	for range 6 {
		require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 10}).Allowed)
	}
	require.Equal(t, 1, m.ledger.asked, "once for a counter and period")
	require.False(t, m.ask(t, validation.Check{APIKey: key}).Degraded, "a counter that is new was not lost")
	m.ingest()
	m.lose()
	require.EqualValues(t, 40, m.left(t, key))
	a := m.ask(t, validation.Check{APIKey: key, Cost: 40})
	require.True(t, a.Allowed)
	require.True(t, a.Degraded, "something may be on its way that is not counted yet")
	require.Equal(t, validation.QuotaExceeded, m.ask(t, validation.Check{APIKey: key, Cost: 1}).Code)
	m.clock.advance(time.Second)
	m.ingest()
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.False(t, m.ask(t, validation.Check{APIKey: key, Cost: 1}).Degraded, "all of it has come")
}

func TestWhatWasNotIngestedIsRaisedLater(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, monthly(100, models.OverageBlock))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 30}).Allowed)
	m.ingest()
	m.clock.advance(time.Second)
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 50}).Allowed)
	m.lose() // the fifty are in the journal only
	require.EqualValues(t, 70, m.left(t, key))
	m.clock.advance(time.Second)
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.EqualValues(t, 70, m.left(t, key), "nobody knows better yet")
	m.clock.advance(time.Second)
	m.ingest()
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.EqualValues(t, 20, m.left(t, key))
	asked := m.ledger.asked
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.Equal(t, asked, m.ledger.asked, "there is nothing to raise any more")
}

func TestQuotasWithoutADatabase(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, monthly(100, models.OverageBlock))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 60}).Allowed)
	m.ingest()
	m.lose()
	m.ledger.err = errors.New("the database is away")
	a := m.ask(t, validation.Check{APIKey: key, Cost: 10})
	require.True(t, a.Allowed, "keys go on working")
	require.True(t, a.Degraded, "and the answer says so")
	require.NotEmpty(t, m.said)
	require.Error(t, m.quotas.Raise(t.Context()))
	m.ledger.err = nil
	m.clock.advance(time.Second)
	m.ingest()
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.EqualValues(t, 30, m.left(t, key), "the sixty, and the ten of meanwhile")
	require.False(t, m.ask(t, validation.Check{APIKey: key}).Degraded)
}

func TestWhereAStreamNeverEndsQuotasAreRaisedEverMoreRarely(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, monthly(100, models.OverageBlock))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 10}).Allowed)
	m.ingest()
	m.lose()
	m.ledger.complete = m.clock.Now().Add(-time.Hour) // of a node that is gone
	require.EqualValues(t, 90, m.left(t, key))
	raised := 0
	for range 20 * 60 {
		m.clock.advance(time.Second)
		m.ledger.spent[models.QuotaKey{
			Subject: "owner:owner", Rule: "monthly", Period: models.PeriodMonth, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		}]++
		before := m.left(t, key)
		require.NoError(t, m.quotas.Raise(t.Context()))
		if m.left(t, key) < before {
			raised++
		}
	}
	require.Greater(t, raised, 3)
	require.Less(t, raised, 12, "and not for ever")
	asked := m.ledger.asked
	require.NoError(t, m.quotas.Raise(t.Context()))
	require.Equal(t, asked, m.ledger.asked)
}

func TestANewPeriodBeginsAtZero(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, monthly(100, models.OverageBlock))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 100}).Allowed)
	m.ingest()
	require.False(t, m.ask(t, validation.Check{APIKey: key, Cost: 1}).Allowed)
	m.clock.advance(5 * 24 * time.Hour)
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 100}).Allowed)
}

func TestQuotasOfShadowAndOverageAreRebuiltToo(t *testing.T) {
	m := newMetered(t)
	shadow := models.Rule{Name: "shadow", Limit: 5, Period: models.PeriodDay, Shadow: true}
	key := m.key(t, "owner", nil, shadow, monthly(10, models.OverageAllow))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 4}).Allowed)
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 40}).Allowed)
	m.ingest()
	m.lose()
	a := m.ask(t, validation.Check{APIKey: key, Cost: 2})
	require.True(t, a.Allowed)
	require.True(t, a.Limits[0].WouldDeny, "four of five are spent")
	require.Zero(t, a.Limits[1].Remaining, "beyond the quota")
}

func TestLookingSpendsAndRecordsNothing(t *testing.T) {
	m := newMetered(t)
	key := m.key(t, "owner", nil, perMinute(5), monthly(100, models.OverageBlock))
	require.True(t, m.ask(t, validation.Check{APIKey: key, Cost: 3}).Allowed)
	m.recorder.records = nil
	for range 2 {
		a, err := m.Look(t.Context(), m.snapshot(key))
		require.NoError(t, err)
		require.EqualValues(t, 2, a.Limits[0].Remaining)
		require.EqualValues(t, 97, a.Limits[1].Remaining)
	}
	require.Empty(t, m.recorder.records)
}
