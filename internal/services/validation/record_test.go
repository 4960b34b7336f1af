package validation_test

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// recorder keeps records as the journal does: encoded.
type recorder struct {
	mu      sync.Mutex
	err     error
	records []models.Record
}

func (r *recorder) Record(s *models.Snapshot, record *models.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	data := record.Append(nil)
	if s != nil {
		data = s.AppendRecord(nil, record)
	}
	decoded, err := models.DecodeRecord(data)
	r.records = append(r.records, decoded)
	return err
}

// Batch gives a recorder that hands on what it gathered at its end.
func (r *recorder) Batch() validation.BatchRecorder { return &gathering{to: r} }

type gathering struct {
	to      *recorder
	records []models.Record
	of      []*models.Snapshot
}

func (g *gathering) Record(s *models.Snapshot, record *models.Record) error {
	kept := *record
	kept.Limits = slices.Clone(record.Limits)
	g.records, g.of = append(g.records, kept), append(g.of, s)
	return nil
}

func (g *gathering) End() error {
	for i := range g.records {
		if err := g.to.Record(g.of[i], &g.records[i]); err != nil {
			return err
		}
	}
	return nil
}

func TestABatchIsRecordedAtItsEnd(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(5))
	checks := make([]validation.Check, 7)
	for i := range checks {
		checks[i] = validation.Check{APIKey: key, Cost: 1}
	}
	require.NoError(t, w.ValidateMany(t.Context(), checks, func(i int, a *validation.Answer, err error) {
		require.NoError(t, err)
		require.Equal(t, i < 5, a.Allowed)
		require.Empty(t, w.recorder.records)
	}))
	require.Len(t, w.recorder.records, 7)
	require.Equal(t, "ok", w.recorder.records[4].Code)
	require.Equal(t, "rate_limited", w.recorder.records[5].Code)
	w.recorder.err = errors.New("the journal is full")
	err := w.ValidateMany(t.Context(), checks[:1], func(_ int, _ *validation.Answer, err error) { require.NoError(t, err) })
	require.ErrorIs(t, err, w.recorder.err)
}

// dropped keeps nothing.
type dropped struct{}

func (dropped) Record(*models.Snapshot, *models.Record) error { return nil }

func (dropped) Batch() validation.BatchRecorder { return nil }

// recorded gives the one record that was made since the last time.
func (w *world) recorded(t *testing.T) models.Record {
	t.Helper()
	require.Len(t, w.recorder.records, 1)
	r := w.recorder.records[0]
	w.recorder.records = nil
	return r
}

func TestAnswersAreRecorded(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", func(s *models.Snapshot) { s.Key.Environment = apikey.Live }, perMinute(5), monthly(100, models.OverageBlock))
	snapshot := w.keys.known[apikey.Sum(key)]
	check := validation.Check{
		RequestID: "r-1", APIKey: key, Cost: 3, Method: "get", Endpoint: "/v1/x", IP: netip.MustParseAddr("203.0.113.9"), UserAgent: "curl",
	}
	a := w.ask(t, check)
	want := models.Record{
		Kind: models.RecordCheck, RequestID: "r-1", At: a.At.UTC(), KeyID: snapshot.Key.ID, Segment: *snapshot.Segment(), Live: true,
		Code: "ok", Allowed: true, Cost: 3, Units: 3, Meter: "requests", Method: "GET", Endpoint: "/v1/x",
		IP: check.IP, UserAgent: "curl",
		Limits: []models.RecordedLimit{
			{Rule: "per-minute", Scope: models.ScopeOwner, Limit: 5, Remaining: 2, ResetAfterMS: 52_877, Spent: 3, Tightest: true},
			{
				Rule: "monthly", Scope: models.ScopeOwner, Limit: 100, Remaining: 97, Spent: 3,
				Period: models.PeriodMonth, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
			},
		},
	}
	want.Segment.ID = ""
	got := w.recorded(t)
	want.Limits[0].ResetAfterMS, want.Limits[1].ResetAfterMS = got.Limits[0].ResetAfterMS, got.Limits[1].ResetAfterMS
	require.Equal(t, want, got)

	check.RequestID = "r-2"
	require.False(t, w.ask(t, check).Allowed)
	refused := w.recorded(t)
	require.Equal(t, "rate_limited", refused.Code)
	require.Zero(t, refused.Units)
	require.EqualValues(t, 3, refused.Cost)
	require.Equal(t, "per-minute", refused.Tightest().Rule)
	require.True(t, refused.Limits[0].Denied)
	require.Positive(t, refused.Limits[0].RetryAfterMS)
	require.Zero(t, refused.Limits[0].Spent)

	check.Cost = 6
	w.ask(t, check)
	hopeless := w.recorded(t)
	require.EqualValues(t, -1, hopeless.Tightest().RetryAfterMS, "no waiting helps")
}

func TestRefusalsBeforeTheLimitsAreRecorded(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	revoked := w.key(t, "owner", func(s *models.Snapshot) { s.Key.RevokedAt = &now }, perMinute(5))
	w.ask(t, validation.Check{APIKey: revoked, Cost: 1})
	r := w.recorded(t)
	require.Equal(t, "key_revoked", r.Code)
	require.Empty(t, r.Limits)
	require.Zero(t, r.Once)

	w.ask(t, validation.Check{APIKey: revoked[1:], Cost: 1})
	w.ask(t, validation.Check{APIKey: revoked, Cost: 1, Keyspace: "another"})
	require.Empty(t, w.recorder.records, "whose key was not found is nobody's usage")
}

func TestAllWhoGetADecisionRecordItAsOne(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(5))
	check := validation.Check{APIKey: key, Cost: 1, CheckID: "order-1"}
	w.ask(t, check)
	first := w.recorded(t)
	require.NotZero(t, first.Once)
	w.clock.advance(time.Second)
	w.ask(t, check)
	again := w.recorded(t)
	require.True(t, again.Replayed)
	require.Equal(t, first.Once, again.Once)
	require.Equal(t, first.At, again.At)

	w.clock.advance(ratelimit.Replay)
	w.ask(t, check)
	require.NotEqual(t, first.Once, w.recorded(t).Once, "a minute later it is another check")
	check.CheckID = "order-2"
	w.ask(t, check)
	require.NotEqual(t, first.Once, w.recorded(t).Once)
	check.CheckID = ""
	w.ask(t, check)
	require.Zero(t, w.recorded(t).Once, "nobody can ask again")
}

func TestWithoutARecordThereIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "owner", nil, perMinute(5))
	w.recorder.err = errors.New("the journal is full")
	_, err := w.Validate(t.Context(), &validation.Check{APIKey: key, Cost: 1})
	require.ErrorIs(t, err, w.recorder.err)
}

func TestStatedLimitsAreCountedWithoutAName(t *testing.T) {
	w := newWorld(t)
	check := validation.LimitCheck{RequestID: "r", Namespace: "logins", Identifier: "ada", Cost: 1, Rules: []models.Rule{
		{Name: "per-minute", Limit: 1, Window: time.Minute},
	}}
	for _, allowed := range []bool{true, false} {
		a, err := w.CheckLimit(t.Context(), &check)
		require.NoError(t, err)
		require.Equal(t, models.Record{Kind: models.RecordLimitCheck, RequestID: "r", At: a.At.UTC(), Allowed: allowed}, w.recorded(t))
	}
}
