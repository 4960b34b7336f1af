package validation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// receipts keeps receipts in a map.
type receipts struct {
	kept    map[string][]byte
	settled map[string]int64
	err     error
}

func (r *receipts) Keep(_ context.Context, id string, receipt []byte) error {
	if r.err == nil {
		r.kept[id] = receipt
	}
	return r.err
}

func (r *receipts) Find(_ context.Context, id string) ([]byte, error) {
	if data, ok := r.kept[id]; ok {
		return data, nil
	}
	return nil, apierror.NotFound("receipt")
}

func (r *receipts) Settle(_ context.Context, id string, cost int64) (int64, error) {
	if _, ok := r.settled[id]; !ok {
		r.settled[id] = cost
	}
	return r.settled[id], nil
}

// settling is a world whose checks can be settled.
type settling struct {
	*metered
	*validation.Settler
	receipts *receipts
}

func newSettling(t *testing.T) *settling {
	t.Helper()
	s := &settling{metered: newMetered(t), receipts: &receipts{kept: map[string][]byte{}, settled: map[string]int64{}}}
	embedded := validation.Embedded{Store: s.store}
	s.Service = validation.New(validation.Deps{
		Keys: s.keys, Limits: embedded, Stated: s.stated, Recorder: &s.recorder, Quotas: s.quotas, Receipts: s.receipts, Now: s.clock.Now,
	})
	s.Settler = validation.NewSettler(s.receipts, embedded, &s.recorder)
	return s
}

func (w *world) snapshot(key string) *models.Snapshot { return w.keys.known[apikey.Sum(key)] }

func TestAChecksCostIsCorrectedInBothDirections(t *testing.T) {
	for _, cost := range []int64{0, 3, 10, 25, 200} {
		s := newSettling(t)
		key := s.key(t, "owner", nil, perMinute(50), monthly(100, models.OverageBlock))
		a := s.ask(t, validation.Check{APIKey: key, Cost: 10, RequestID: "r-1", Settle: true})
		require.True(t, a.Settleable)
		s.recorder.records = nil
		for range 2 { // it can be repeated
			settled, err := s.Settle(t.Context(), "r-1", cost)
			require.NoError(t, err)
			require.Equal(t, validation.Settlement{RequestID: "r-1", KeyID: s.snapshot(key).Key.ID, Before: 10, Cost: cost}, settled)
			look := s.ask(t, validation.Check{APIKey: key})
			require.Equal(t, max(0, 50-cost), look.Limits[0].Remaining)
			require.Equal(t, max(0, 100-cost), look.Limits[1].Remaining)
		}
		_, err := s.Settle(t.Context(), "r-1", cost+1)
		require.ErrorIs(t, err, apierror.CodeConflict)

		var once models.EventID
		for _, r := range s.recorder.records {
			if r.Kind != models.RecordAdjustment {
				continue
			}
			require.Equal(t, cost-10, r.Units)
			require.Equal(t, a.At.UTC(), r.At, "in the time of the check")
			if cost != 10 {
				require.Len(t, r.Limits, 1, "quotas are corrected, windows pass")
				require.Equal(t, cost-10, r.Limits[0].Spent)
			}
			require.NotZero(t, r.Once)
			require.True(t, once == models.EventID{} || once == r.Once, "however often it is settled, it counts once")
			once = r.Once
		}
		require.NotZero(t, once)
	}
}

func TestWhatCannotBeSettled(t *testing.T) {
	s := newSettling(t)
	key := s.key(t, "owner", nil, perMinute(5))
	for id, check := range map[string]validation.Check{
		"not asked for": {Cost: 1}, "a look": {Cost: 0, Settle: true}, "refused": {Cost: 6, Settle: true},
	} {
		check.APIKey, check.RequestID = key, id
		require.False(t, s.ask(t, check).Settleable, id)
		_, err := s.Settle(t.Context(), id, 1)
		require.ErrorIs(t, err, apierror.CodeNotSettleable, id)
	}
	s.receipts.err = errors.New("the store is away")
	require.False(t, s.ask(t, validation.Check{APIKey: key, Cost: 1, Settle: true}).Settleable, "the answer says so")
	require.False(t, s.recorder.records[len(s.recorder.records)-1].Settle)
	for _, cost := range []int64{-1, 1 << 53} {
		_, err := s.Settle(t.Context(), "x", cost)
		require.ErrorIs(t, err, apierror.CodeValidationFailed)
	}
}
