package violations_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/violations"
)

// exceeded analyzes the violations of a key until there are none left, as its
// job does.
func (w *world) exceeded(key models.APIKey) error {
	for {
		if again, err := w.Exceeded(w.t.Context(), string(key.ID)); err != nil || again == 0 {
			return err
		}
	}
}

func decode(data []byte, into any) error { return json.Unmarshal(data, into) }

func TestViolationsAreAnalyzed(t *testing.T) {
	eachEngine(t, violations.Options{}, func(t *testing.T, w *world) {
		key, other := w.key("ada"), w.key("ada")
		quota := func(v *models.RateLimitViolation) { v.Rule = "daily" }
		w.refuse(key, -25*time.Hour, 1)
		w.refuse(key, -24*time.Hour, 1) // within the day before noon, as the minute begins
		w.refuse(key, -3*time.Minute, 10)
		w.refuse(key, -2*time.Minute, 20)
		w.refuse(key, -2*time.Minute, 20, func(v *models.RateLimitViolation) { v.Endpoint = "/v1/y" }) // the same minute
		w.refuse(key, -time.Minute, 5, quota)
		w.refuse(other, -time.Minute, 7)
		w.refuse(key, 0, 10_000)
		w.many(func() error { return w.exceeded(key) })
		rows, err := w.store.List(t.Context(), models.ViolationFilter{KeyID: key.ID}, models.Page{Sort: "minute", Limit: 100})
		require.NoError(t, err)
		type result struct {
			count    int64
			repeats  int
			severity models.ViolationSeverity
			analyzed int64
		}
		var got []result
		for _, v := range rows {
			got = append(got, result{v.Count, v.Repeats, v.Severity, v.Analyzed})
		}
		require.ElementsMatch(t, []result{
			{1, 0, models.ViolationLow, 1},
			{1, 1, models.ViolationLow, 1},
			{10, 1, models.ViolationLow, 10}, // the first was more than a day before
			{20, 2, models.ViolationLow, 20}, {20, 2, models.ViolationLow, 20},
			{5, 0, models.ViolationLow, 5},
			{10_000, 3, models.ViolationHigh, 10_000},
		}, got)
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed = 0"), "of the other key")
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'security:analyze' AND subject = '"+string(key.ID)+"'"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'alert:check' AND subject = ''"))
		require.EqualValues(t, 2, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'rate_limit:exceeded'"))

		// More of a minute is analyzed again; with nothing new nothing is asked for.
		_, err = w.sql.ExecContext(t.Context(), "DELETE FROM jobs")
		require.NoError(t, err)
		require.NoError(t, w.exceeded(key))
		require.Zero(t, w.number("SELECT COUNT(*) FROM jobs"))
		w.refuse(key, 0, 5)
		require.NoError(t, w.exceeded(key))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed = 10005 AND denials = 10005 AND repeats = 3"))
		_, err = w.Exceeded(t.Context(), "nobody")
		require.Error(t, err)
	})
}

func TestManyViolationsAreAnalyzedInBoundedBatches(t *testing.T) {
	eachEngine(t, violations.Options{}, func(t *testing.T, w *world) {
		key := w.key("ada")
		var batch models.UsageBatch
		for i := range 700 {
			v := violation(key, noon.Add(-time.Duration(i)*time.Minute), 1)
			v.Identify()
			batch.Violations = append(batch.Violations, v)
		}
		require.NoError(t, w.ingest.Add(t.Context(), &batch))
		again, err := w.Exceeded(t.Context(), string(key.ID))
		require.NoError(t, err)
		require.Positive(t, again)
		left := w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed <> denials")
		require.GreaterOrEqual(t, left, int64(400))
		require.NoError(t, w.exceeded(key))
		require.Zero(t, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed <> denials"))
		require.EqualValues(t, 699, w.number("SELECT MAX(repeats) FROM rate_limit_violations"))
	})
}

// Whatever ingestion and analysis come between each other: of each refusal there
// is a job that has not run, or it is analyzed.
func TestEveryRefusalIsAnalyzedHoweverTheyInterleave(t *testing.T) {
	eachEngine(t, violations.Options{}, func(t *testing.T, w *world) {
		key := w.key("ada")
		var ingesters, analysts errgroup.Group
		var done atomic.Bool
		for n := range 4 {
			ingesters.Go(func() error {
				for i := range 25 {
					var batch models.UsageBatch
					for _, endpoint := range []string{"/a", "/b", "/c"} {
						v := violation(key, noon.Add(-time.Duration((n+i)%5)*time.Minute), int64(1+i%3))
						v.Endpoint = endpoint
						v.Identify()
						batch.Violations = append(batch.Violations, v)
					}
					batch.Exceeded = []models.KeyID{key.ID}
					if err := w.ingest.Add(t.Context(), &batch); err != nil {
						return fmt.Errorf("ingest: %w", err)
					}
				}
				return nil
			})
		}
		for range 4 {
			analysts.Go(func() error {
				for !done.Load() {
					if _, err := w.Exceeded(t.Context(), string(key.ID)); err != nil {
						return fmt.Errorf("analyze: %w", err)
					}
				}
				return nil
			})
		}
		require.NoError(t, ingesters.Wait())
		done.Store(true)
		require.NoError(t, analysts.Wait())
		require.Zero(t, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed > denials"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'rate_limit:exceeded'"))
		require.NoError(t, w.exceeded(key)) // the job of the last
		require.Zero(t, w.number("SELECT COUNT(*) FROM rate_limit_violations WHERE analyzed <> denials"))
		require.EqualValues(t, 15, w.number("SELECT COUNT(*) FROM rate_limit_violations"))
		require.EqualValues(t, 588, w.number("SELECT SUM(denials) FROM rate_limit_violations"))
	})
}
