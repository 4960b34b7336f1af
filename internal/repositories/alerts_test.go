package repositories_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func newAlertRule(name string, now time.Time) models.AlertRule {
	owner := models.NewID[models.OwnerID]()
	return models.AlertRule{
		ID: models.NewID[models.AlertRuleID](), Name: name, Kind: models.AlertViolations, Severity: models.SeverityWarning, Enabled: true,
		Params:  models.AlertParams{Count: 5, Window: models.Span(10 * time.Minute), Per: models.AlertPerKey},
		OwnerID: &owner, For: models.Span(time.Minute), ResolveAfter: models.Span(5 * time.Minute), RepeatEvery: models.Span(time.Hour),
		Destinations: []models.DestinationID{models.NewID[models.DestinationID]()}, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
}

func TestAlertRulesAreKeptWhole(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		rules := repositories.NewAlertRules(s.db)
		planted, err := rules.List(t.Context(), models.Page{Sort: "name"})
		require.NoError(t, err)
		require.Len(t, planted, 3)
		for i, name := range []string{"quota-100", "quota-80", "system-health"} {
			rule := planted[i]
			require.Equal(t, name, rule.Name)
			require.True(t, rule.Enabled)
			rule.Normalize()
			require.Equal(t, planted[i], rule, "nothing is left out")
			var v apierror.Validator
			rule.Validate(&v)
			require.NoError(t, v.Err())
		}
		require.Equal(t, models.Span(5*time.Minute), planted[2].Params.IngestionLag)
		require.Equal(t, models.Span(5*time.Minute), planted[2].ResolveAfter)
		require.Equal(t, models.Span(4*time.Hour), planted[2].RepeatEvery)

		rule := newAlertRule("many-refusals", s.clock.Now())
		require.NoError(t, rules.Create(t.Context(), &rule))
		twin := newAlertRule("many-refusals", s.clock.Now())
		require.Equal(t, "name", field(t, refused(t, rules.Create(t.Context(), &twin), apierror.CodeAlreadyExists)))
		got, err := rules.Find(t.Context(), "many-refusals")
		require.NoError(t, err)
		require.Equal(t, &rule, got)

		got.Enabled, got.OwnerID, got.Destinations = false, nil, nil
		require.NoError(t, rules.Update(t.Context(), got))
		enabled, err := rules.Enabled(t.Context())
		require.NoError(t, err)
		require.Len(t, enabled, 3)
		again, err := rules.Lock(t.Context(), string(rule.ID))
		require.NoError(t, err)
		require.Equal(t, got, again)

		again.Rest, again.Bursts, again.CheckedAt = 7, 2, ptr(s.clock.Now())
		require.NoError(t, rules.SetProgress(t.Context(), again))
		found, err := rules.FindMany(t.Context(), []models.AlertRuleID{rule.ID})
		require.NoError(t, err)
		require.Equal(t, *again, found[rule.ID], "its version stays")
		require.NoError(t, rules.Delete(t.Context(), rule.ID))
		refused(t, rules.Delete(t.Context(), rule.ID), apierror.CodeNotFound)
	})
}

func TestThereIsOneLiveAlertOfAFingerprint(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		now := s.clock.Now()
		alerts := repositories.NewAlerts(s.db)
		rule := newAlertRule("r", now)
		key, owner := models.NewID[models.KeyID](), models.NewID[models.OwnerID]()
		cause := models.AlertCause{
			Subject: "key:" + string(key), OwnerID: owner, KeyID: key, Quota: "monthly", Period: models.PeriodMonth,
			PeriodStart: now.Add(-time.Hour), PeriodEnd: now.Add(time.Hour), Value: 80.25, Threshold: 80, Text: "It is so.",
		}
		rule.For = 0
		first := *models.NewAlert(&rule, &cause, now)
		require.NoError(t, alerts.Create(t.Context(), []models.Alert{first}))
		got, err := alerts.Find(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, &first, got)
		refused(t, alerts.Create(t.Context(), []models.Alert{*models.NewAlert(&rule, &cause, now)}), apierror.CodeAlreadyExists)

		require.NoError(t, got.Resolve("ann", "for now", now))
		require.NoError(t, alerts.Update(t.Context(), got))
		refused(t, alerts.Create(t.Context(), []models.Alert{*models.NewAlert(&rule, &cause, now)}), apierror.CodeAlreadyExists)
		got.Live = false
		require.NoError(t, alerts.Update(t.Context(), got))
		second := *models.NewAlert(&rule, &cause, now.Add(time.Second))
		require.NoError(t, alerts.Create(t.Context(), []models.Alert{second}), "a new crossing is a new row")

		pending := newAlertRule("p", now)
		waiting := *models.NewAlert(&pending, &models.AlertCause{Subject: "system:x"}, now)
		require.NoError(t, alerts.Create(t.Context(), []models.Alert{waiting}))

		for name, row := range map[string]struct {
			filter models.AlertListFilter
			want   []models.AlertID
		}{
			"all":       {models.AlertListFilter{}, []models.AlertID{second.ID, first.ID}},
			"pending":   {models.AlertListFilter{State: models.AlertPending}, []models.AlertID{waiting.ID}},
			"resolved":  {models.AlertListFilter{State: models.AlertResolved}, []models.AlertID{first.ID}},
			"owner":     {models.AlertListFilter{OwnerID: owner, Since: now.Add(time.Second)}, []models.AlertID{second.ID}},
			"key":       {models.AlertListFilter{KeyID: key, RuleID: rule.ID}, []models.AlertID{second.ID, first.ID}},
			"severity":  {models.AlertListFilter{Severity: models.SeverityCritical}, nil},
			"no record": {models.AlertListFilter{RuleID: models.NewID[models.AlertRuleID]()}, nil},
		} {
			list, err := alerts.List(t.Context(), row.filter, models.Page{})
			require.NoError(t, err)
			var ids []models.AlertID
			for i := range list {
				ids = append(ids, list[i].ID)
			}
			require.Equal(t, row.want, ids, name)
		}
		require.NoError(t, alerts.Forget(t.Context(), []models.AlertID{waiting.ID, second.ID}), "pending ones alone")
		live, err := alerts.Live(t.Context(), pending.ID)
		require.NoError(t, err)
		require.Empty(t, live)
		live, err = alerts.Live(t.Context(), rule.ID)
		require.NoError(t, err)
		require.Equal(t, []models.Alert{second}, live)

		require.NoError(t, alerts.Prune(t.Context(), now))
		_, err = alerts.Find(t.Context(), first.ID)
		require.NoError(t, err, "it was resolved just then")
		require.NoError(t, alerts.Prune(t.Context(), now.Add(time.Second)))
		_, err = alerts.Find(t.Context(), first.ID)
		refused(t, err, apierror.CodeNotFound)
		_, err = alerts.Find(t.Context(), second.ID)
		require.NoError(t, err)
	})
}

func TestMaintenanceWindowsAreFoundWhileTheyAreOpen(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		now, windows := s.clock.Now(), repositories.NewMaintenanceWindows(s.db)
		owner := models.NewID[models.OwnerID]()
		w := models.MaintenanceWindow{
			ID: models.NewID[models.MaintenanceID](), Name: "upgrade", StartsAt: now, EndsAt: now.Add(time.Hour),
			RuleIDs: []models.AlertRuleID{models.NewID[models.AlertRuleID]()}, OwnerID: &owner, Version: 1, CreatedAt: now, UpdatedAt: now,
		}
		require.NoError(t, windows.Create(t.Context(), &w))
		got, err := windows.Find(t.Context(), w.ID)
		require.NoError(t, err)
		require.Equal(t, &w, got)
		for at, open := range map[time.Time]int{now.Add(-1000): 0, now: 1, now.Add(time.Hour - 1000): 1, now.Add(time.Hour): 0} {
			rows, err := windows.Open(t.Context(), at)
			require.NoError(t, err)
			require.Len(t, rows, open, at)
		}
		got.OwnerID, got.RuleIDs = nil, nil
		require.NoError(t, windows.Update(t.Context(), got))
		again, err := windows.Lock(t.Context(), w.ID)
		require.NoError(t, err)
		require.Equal(t, got, again)
		list, err := windows.List(t.Context(), models.Page{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NoError(t, windows.Delete(t.Context(), w.ID))
		refused(t, windows.Delete(t.Context(), w.ID), apierror.CodeNotFound)
	})
}
