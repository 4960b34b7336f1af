package alerts_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
)

// A story is what happens while a rule is checked, in steps.
type story struct {
	rule   alerts.NewRule
	step   time.Duration
	offset time.Duration // of the checks, behind the beginnings of steps
	steps  int
	happen func(w *world, at time.Time, random *rand.Rand)
}

func stories(keys []*models.APIKey) map[string]story {
	of := func(random *rand.Rand) *models.APIKey { return keys[random.IntN(len(keys))] }
	rollup := func(w *world, at time.Time, key *models.APIKey, counts models.UsageCounts) {
		require.NoError(w.t, w.ingest.AddRollups(w.t.Context(), []models.UsageRollup{{
			UsageCell: models.UsageCell{Bucket: at, SegmentID: "0197f0d8-5f4c-7cc2-9a3b-1d2e3f405162", APIKeyID: key.ID, Meter: models.MeterRequests},
			OwnerID:   key.OwnerID, UsageCounts: counts,
		}}))
	}
	return map[string]story{
		"violations": {
			rule: alerts.NewRule{Kind: models.AlertViolations, For: 2 * time.Minute, Params: models.AlertParams{Count: 20, Window: models.Span(7 * time.Minute)}},
			step: time.Minute, steps: 200,
			happen: func(w *world, _ time.Time, random *rand.Rand) {
				if random.IntN(3) == 0 {
					w.refuse(of(random), int64(1+random.IntN(12)))
				}
			},
		},
		"violations per owner": {
			rule: alerts.NewRule{Kind: models.AlertViolations, Params: models.AlertParams{Count: 25, Window: models.Span(5 * time.Minute), Per: models.AlertPerOwner}},
			step: time.Minute, steps: 150,
			happen: func(w *world, _ time.Time, random *rand.Rand) {
				if random.IntN(3) == 0 {
					w.refuse(of(random), int64(1+random.IntN(12)))
				}
			},
		},
		"error rate": {
			rule: alerts.NewRule{Kind: models.AlertErrorRate, ResolveAfter: ptr(30 * time.Minute), Params: models.AlertParams{
				Percent: 12.5, Window: models.Span(45 * time.Minute), MinReports: 30, ClientErrors: true,
			}},
			step: models.Bucket, offset: models.Bucket - time.Minute, steps: 96,
			happen: func(w *world, at time.Time, random *rand.Rand) {
				reports := int64(5 + random.IntN(20))
				rollup(w, at, of(random), models.UsageCounts{Reports: reports, Status5xx: reports / int64(2+random.IntN(8)), Status4xx: int64(random.IntN(2))})
			},
		},
		"anomaly": {
			rule: alerts.NewRule{Kind: models.AlertAnomaly, ResolveAfter: ptr(time.Hour), Params: models.AlertParams{Factor: 2, Weeks: 1, MinUnits: 20, Drop: true}},
			step: time.Hour, steps: 14 * 24,
			happen: func(w *world, at time.Time, random *rand.Rand) {
				hour := at.Add(-time.Hour)
				require.NoError(w.t, repositories.NewUsageUpkeep(w.db).Total(w.t.Context(), hour))
				rollup(w, hour.Add(time.Duration(random.IntN(4))*models.Bucket), of(random), models.UsageCounts{Units: int64(10 + random.IntN(60))})
			},
		},
		"quota": {
			rule: alerts.NewRule{Kind: models.AlertQuota, Params: models.AlertParams{Percent: 80}},
			step: models.Bucket, offset: models.Bucket - time.Minute, steps: 4 * 96,
			happen: func(w *world, at time.Time, random *rand.Rand) {
				key, units := of(random), int64(random.IntN(30))
				rollup(w, at, key, models.UsageCounts{Units: units})
				day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
				require.NoError(w.t, w.ingest.AddQuotas(w.t.Context(), []models.QuotaTotal{{
					QuotaKey: models.QuotaKey{Subject: "key:" + string(key.ID), Rule: "daily", Period: models.PeriodDay, Start: day}, Units: units, Limit: 500,
				}}))
			},
		},
	}
}

// What a preview says of the past is what checks did while it happened.
func TestAPreviewTellsWhatChecksDid(t *testing.T) {
	for name := range stories(nil) {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, w *world) {
				acme, other := w.owner("acme", "UTC", 1), w.owner("other", "UTC", 1)
				s := stories([]*models.APIKey{w.key(acme), w.key(acme), w.key(other)})[name]
				s.rule.Name = "story"
				w.rule(s.rule)
				random := rand.New(rand.NewPCG(7, 7))
				for i := range s.steps {
					at := noon.Add(time.Duration(i) * s.step)
					w.set(at)
					s.happen(w, at, random)
					w.set(at.Add(s.offset))
					w.check()
				}
				end := w.clock()
				preview, err := w.Preview(t.Context(), s.rule, ptr(noon), &end)
				require.NoError(t, err)
				require.False(t, preview.Truncated)
				var told, did []string
				for _, f := range preview.Firings {
					told = append(told, line(f.Subject, f.Quota, f.At, f.Value, f.ResolvedAt))
				}
				for _, a := range w.list(alerts.Filter{}) {
					did = append(did, line(a.Subject, a.Quota, *a.FiredAt, 0, a.ResolvedAt))
				}
				require.Greater(t, len(did), 3, "the story is worth telling")
				require.ElementsMatch(t, did, told)
			})
		})
	}
}

func line(subject, quota string, at time.Time, _ float64, resolved *time.Time) string {
	end := "open"
	if resolved != nil {
		end = resolved.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(subject, " ", quota, " ", at.UTC().Format(time.RFC3339), " ", end)
}

func TestAPreviewKnowsWhatHasJustHappened(t *testing.T) {
	w := newWorld(t)
	acme := w.owner("acme", "UTC", 1)
	w.set(noon.Add(time.Minute))
	w.spend(acme, 80, 100)
	w.refuse(w.key(acme), 10)
	for kind, params := range map[models.AlertKind]models.AlertParams{
		models.AlertQuota:      {Percent: 80},
		models.AlertViolations: {Count: 10, Window: models.Span(time.Minute)},
	} {
		preview, err := w.Preview(t.Context(), alerts.NewRule{Kind: kind, Params: params}, nil, nil)
		require.NoError(t, err)
		require.Len(t, preview.Firings, 1, kind)
		require.Equal(t, acme.ID, preview.Firings[0].OwnerID)
		require.Nil(t, preview.Firings[0].ResolvedAt)
	}
}

func TestPreviewsAreOfABoundedPast(t *testing.T) {
	w := newWorld(t)
	rule := alerts.NewRule{Kind: models.AlertViolations, Params: models.AlertParams{Count: 1, Window: models.Span(time.Minute)}}
	for field, ends := range map[string][2]time.Time{
		"to":   {noon, noon.Add(time.Second)},
		"from": {noon.Add(-32 * 24 * time.Hour), noon},
	} {
		_, err := w.Preview(t.Context(), rule, &ends[0], &ends[1])
		require.Contains(t, errtest.BadFields(t, err), field)
	}
	_, err := w.Preview(t.Context(), rule, ptr(noon), ptr(noon))
	require.Equal(t, []string{"from"}, errtest.BadFields(t, err))
	bad := rule
	bad.Params.Count = 0
	_, err = w.Preview(t.Context(), bad, nil, nil)
	require.Equal(t, []string{"rule.params.count"}, errtest.BadFields(t, err))
	_, err = w.Preview(t.Context(), alerts.NewRule{Kind: models.AlertSystem, Params: models.AlertParams{FailedJobs: true}}, nil, nil)
	require.Equal(t, []string{"rule.kind"}, errtest.BadFields(t, err))

	acme := w.owner("acme", "UTC", 1)
	rows := make([]models.RateLimitViolation, 1200)
	for i := range rows {
		rows[i] = models.RateLimitViolation{
			OwnerID: acme.ID, APIKeyID: models.NewID[models.KeyID](), Rule: "r", Code: "rate_limited", Count: 1,
			FirstAt: noon.Add(-time.Hour), LastAt: noon.Add(-time.Hour),
		}
		rows[i].Identify()
	}
	require.NoError(t, w.ingest.AddViolations(t.Context(), rows))
	preview, err := w.Preview(t.Context(), rule, nil, nil)
	require.NoError(t, err)
	require.True(t, preview.Truncated)
	require.Len(t, preview.Firings, 1000)
	require.Empty(t, w.list(alerts.Filter{}), "it was only asked")
	require.Empty(t, w.told())
}
