package validation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// meeting lets takes through once as many as expected have come.
type meeting struct {
	*limits
	sync.WaitGroup
}

func (m *meeting) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) (bool, error) {
	m.Done()
	m.Wait()
	return m.limits.Take(ctx, req, dec)
}

func TestChecksOfABatchAreDecidedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const owners = 5
		w := newWorld(t)
		m := &meeting{limits: w.limits}
		m.Add(owners)
		w.Limits, w.Together = m, owners
		checks := make([]validation.Check, owners)
		for i := range checks {
			checks[i] = validation.Check{APIKey: w.key(t, models.OwnerID(fmt.Sprint("owner", i)), nil, perMinute(1)), Cost: 1}
		}
		require.NoError(t, w.ValidateMany(t.Context(), checks, func(_ int, a *validation.Answer, err error) {
			require.NoError(t, err)
			require.True(t, a.Allowed)
		}))
		require.Len(t, w.recorder.records, owners)
	})
}

func TestChecksOfOneOwnerAreDecidedInTheirOrder(t *testing.T) {
	const owners, limit = 7, 9
	for together := range 5 {
		w := newWorld(t)
		w.Together = 4 * together
		var keys []string
		for i := range 2 * owners {
			keys = append(keys, w.key(t, models.OwnerID(fmt.Sprint("owner", i%owners)), nil, perMinute(limit)))
		}
		unknown, err := apikey.Generate("viva", apikey.Live)
		require.NoError(t, err)
		var checks []validation.Check
		for range 40 * owners {
			checks = append(checks, validation.Check{APIKey: keys[rand.IntN(len(keys))], Cost: 1})
		}
		checks = append(checks, validation.Check{APIKey: unknown.Reveal(), Cost: 1}, validation.Check{APIKey: "what", Cost: 1},
			validation.Check{APIKey: keys[0], Cost: -1})
		spent, next := map[models.OwnerID]int64{}, 0
		require.NoError(t, w.ValidateMany(t.Context(), checks, func(i int, a *validation.Answer, err error) {
			require.Equal(t, next, i)
			next++
			switch i - 40*owners {
			case 0:
				require.Equal(t, validation.KeyUnknown, a.Code)
			case 1:
				require.Equal(t, validation.KeyMalformed, a.Code)
			case 2:
				require.ErrorContains(t, err, "cost")
			default:
				require.NoError(t, err)
				owner := a.Snapshot.Owner.ID
				spent[owner]++
				require.Equal(t, spent[owner] <= limit, a.Allowed, "check %d, the %dth of %s", i, spent[owner], owner)
			}
		}))
		require.Len(t, checks, next)
		require.Len(t, w.recorder.records, 40*owners)
	}
}

type broken struct{ *limits }

func (broken) Take(context.Context, *ratelimit.Request, *ratelimit.Decision) (bool, error) {
	panic("broken")
}

func TestAPanicInABatchIsThatOfTheCaller(t *testing.T) {
	w := newWorld(t)
	w.Limits, w.Together = broken{w.limits}, 4
	key := w.key(t, "owner", nil, perMinute(1))
	require.PanicsWithValue(t, "broken", func() {
		_ = w.ValidateMany(t.Context(), make([]validation.Check, 3), func(int, *validation.Answer, error) {})
		_ = w.ValidateMany(t.Context(), []validation.Check{{APIKey: key, Cost: 1}}, func(int, *validation.Answer, error) {})
	})
}
