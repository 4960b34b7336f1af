package validation_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// observer remembers what it is told.
type observer struct {
	codes    []validation.Code
	began    []time.Time
	degraded int
	limits   []bool
}

func (o *observer) Checked(code validation.Code, degraded bool, began time.Time) {
	o.codes, o.began = append(o.codes, code), append(o.began, began)
	if degraded {
		o.degraded++
	}
}

func (o *observer) LimitChecked(allowed bool) { o.limits = append(o.limits, allowed) }

func TestWhatWasDecidedIsTold(t *testing.T) {
	w, o := newWorld(t), new(observer)
	key := w.key(t, "owner", nil, perMinute(1))
	service := validation.New(validation.Deps{
		Keys: fixed{w.keys.directory, w.keys.known[apikey.Sum(key)]}, Limits: w.limits, Stated: w.limits,
		Recorder: dropped{}, Observer: o, Now: w.clock.Now,
	})
	validate := func(validate func(context.Context, *validation.Check) (validation.Answer, error), key string) error {
		_, err := validate(t.Context(), &validation.Check{APIKey: key, Cost: 1})
		return err
	}
	require.NoError(t, validate(service.Validate, key))
	require.NoError(t, service.ValidateMany(t.Context(), []validation.Check{{APIKey: key, Cost: 1}},
		func(_ int, _ *validation.Answer, err error) { require.NoError(t, err) }))
	require.NoError(t, validate(service.Validate, key[1:]))
	_, err := service.Validate(t.Context(), &validation.Check{APIKey: key, Cost: -1})
	require.Error(t, err, "what cannot be decided is not told")
	require.Equal(t, []validation.Code{validation.OK, validation.RateLimited, validation.KeyMalformed}, o.codes)
	require.Equal(t, w.clock.Now(), o.began[0])
	require.Zero(t, o.degraded)

	stated := logins(models.Rule{Name: "r", Limit: 1, Window: time.Minute})
	for range 2 {
		_, err := service.CheckLimit(t.Context(), &stated)
		require.NoError(t, err)
	}
	require.Equal(t, []bool{true, false}, o.limits)
}

func TestEveryTakeTellsHowTheSharedStoreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type take struct {
			took    time.Duration
			failure validation.Failure
		}
		var takes []take
		remote := &remote{Store: ratelimit.NewMemory(ratelimit.WithMaxEntries(1))}
		guard := validation.NewGuard(remote, ratelimit.NewMemory(), validation.GuardOptions{
			Policy: validation.PolicyLocal, Timeout: timeout, Failures: failures, OpenFor: openFor,
			OnTake: func(took time.Duration, failure validation.Failure) { takes = append(takes, take{took, failure}) },
		})
		ask := func(group string) {
			r, dec := request(1, 10), ratelimit.Decision{}
			r.Group = group
			_, err := guard.Take(t.Context(), r, &dec)
			require.NoError(t, err)
		}
		ask("a")
		ask("b")
		remote.breakWith(refusing)
		ask("a")
		remote.breakWith(silent)
		for range failures {
			ask("a")
		}
		require.Equal(t, []take{
			{0, ""}, {0, validation.FailureFull}, {0, validation.FailureError},
			{timeout, validation.FailureTimeout}, {timeout, validation.FailureTimeout}, {0, validation.FailureBreakerOpen},
		}, takes)
	})
}
