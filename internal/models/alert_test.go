package models_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
)

var dawn = time.Date(2026, 3, 10, 6, 0, 0, 0, time.UTC)

func alertIn(state models.AlertState) *models.Alert {
	rule := &models.AlertRule{}
	if state == models.AlertPending {
		rule.For = models.Span(time.Hour)
	}
	a := models.NewAlert(rule, &models.AlertCause{Subject: "owner:x"}, dawn)
	switch state {
	case models.AlertAcknowledged:
		_ = a.Acknowledge("ann", "", dawn)
	case models.AlertSuppressed:
		_ = a.Suppress(dawn.Add(time.Hour), "ann", "", dawn)
	case models.AlertResolved:
		_ = a.Resolve("ann", "", dawn)
	}
	return a
}

func TestEveryVerbInEveryStateOfAnAlert(t *testing.T) {
	now := dawn.Add(time.Minute)
	verbs := map[string]func(a *models.Alert) error{
		"acknowledge": func(a *models.Alert) error { return a.Acknowledge("bob", "on it", now) },
		"resolve":     func(a *models.Alert) error { return a.Resolve("bob", "on it", now) },
		"suppress":    func(a *models.Alert) error { return a.Suppress(now.Add(time.Hour), "bob", "on it", now) },
	}
	const refused = models.AlertState("")
	for _, row := range []struct {
		from  models.AlertState
		verb  string
		after models.AlertState
	}{
		{models.AlertPending, "acknowledge", refused},
		{models.AlertPending, "resolve", refused},
		{models.AlertPending, "suppress", refused},
		{models.AlertActive, "acknowledge", models.AlertAcknowledged},
		{models.AlertActive, "resolve", models.AlertResolved},
		{models.AlertActive, "suppress", models.AlertSuppressed},
		{models.AlertAcknowledged, "acknowledge", refused},
		{models.AlertAcknowledged, "resolve", models.AlertResolved},
		{models.AlertAcknowledged, "suppress", models.AlertSuppressed},
		{models.AlertSuppressed, "acknowledge", models.AlertAcknowledged},
		{models.AlertSuppressed, "resolve", models.AlertResolved},
		{models.AlertSuppressed, "suppress", models.AlertSuppressed},
		{models.AlertResolved, "acknowledge", refused},
		{models.AlertResolved, "resolve", refused},
		{models.AlertResolved, "suppress", refused},
	} {
		t.Run(string(row.from)+" "+row.verb, func(t *testing.T) {
			a := alertIn(row.from)
			require.Equal(t, row.from, a.State)
			before := *a
			err := verbs[row.verb](a)
			if row.after == refused {
				require.NotEmpty(t, errtest.Failed(t, err, apierror.CodeConflict).Detail)
				require.Equal(t, before, *a, "a refusal changes nothing")
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.after, a.State)
			require.Equal(t, "bob", a.NoteBy)
			require.Equal(t, row.after == models.AlertSuppressed, a.SuppressedUntil != nil)
			require.Equal(t, row.after == models.AlertResolved, a.ResolvedAt != nil)
			require.True(t, a.Live, "what is there has to be compared with it still")
		})
	}
}

func TestAnAlertIsSuppressedForABoundedTimeAhead(t *testing.T) {
	for _, until := range []time.Time{dawn, dawn.Add(-time.Second), dawn.Add(models.MaxSuppression + time.Second)} {
		a := alertIn(models.AlertActive)
		require.Equal(t, []string{"until"}, errtest.BadFields(t, a.Suppress(until, "", "", dawn)))
		require.Equal(t, models.AlertActive, a.State)
	}
}

// However a cause comes and goes: the alert resolves if, and as soon as, it was
// looked for in vain for all of ResolveAfter.
func TestFlappingResolvesAnAlertOnlyOnceTheCauseIsGoneForLong(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		rule := &models.AlertRule{ResolveAfter: models.Span(time.Duration(random.IntN(8)) * time.Minute)}
		cause := &models.AlertCause{Subject: "key:x", Value: 1}
		a := models.NewAlert(rule, cause, dawn)
		now, gone := dawn, time.Time{}
		for range 200 {
			now = now.Add(time.Duration(1+random.IntN(90)) * time.Second)
			there := random.IntN(3) > 0
			if there {
				gone = time.Time{}
				a.Seen(rule, cause, now)
				require.Equal(t, models.AlertActive, a.State)
				continue
			}
			if gone.IsZero() {
				gone = now
			}
			_, forget := a.Unseen(rule, now)
			require.False(t, forget)
			due := now.Sub(gone) >= time.Duration(rule.ResolveAfter)
			require.Equal(t, due, a.State == models.AlertResolved, "seed %d, at %s", seed, now)
			require.Equal(t, !due, a.Live)
			if due {
				require.Equal(t, models.ResolutionCleared, a.Resolution)
				break
			}
		}
	}
}

func TestACauseHasToLastBeforeAnAlertFires(t *testing.T) {
	rule := &models.AlertRule{For: models.Span(2 * time.Minute)}
	cause := &models.AlertCause{Subject: "key:x"}
	a := models.NewAlert(rule, cause, dawn)
	require.Equal(t, models.AlertPending, a.State)
	require.False(t, a.Seen(rule, cause, dawn.Add(2*time.Minute-1)))
	event, _ := a.Tell(rule, dawn, false)
	require.Empty(t, event)
	_, forget := a.Unseen(rule, dawn.Add(time.Minute))
	require.True(t, forget)
	require.True(t, a.Seen(rule, cause, dawn.Add(2*time.Minute)))
	require.Equal(t, models.AlertActive, a.State)
	event, n := a.Tell(rule, dawn, false)
	require.Equal(t, models.EventAlertActive, event)
	require.Equal(t, 1, n)
	event, _ = a.Tell(rule, dawn.Add(1000*time.Hour), false)
	require.Empty(t, event, "it is told once")
}

func TestQuotasAreReachedExactly(t *testing.T) {
	for _, row := range []struct {
		used, limit, hundredths int64
		reached                 bool
	}{
		{100, 100, 100_00, true}, {99, 100, 100_00, false}, {7999, 10_000, 80_00, false}, {8000, 10_000, 80_00, true},
		{0, 100, 1_00, false}, {-5, 100, 1_00, false}, {5, 0, 1_00, false}, {1<<53 - 2, 1<<53 - 1, 100_00, false},
		{1<<53 - 1, 1<<53 - 1, 100_00, true}, {1<<62 + 1, 1 << 60, 400_00, true}, {1<<62 - 1, 1 << 60, 400_00, false},
		{3335, 10_000, 33_35, true}, {3334, 10_000, 33_35, false},
	} {
		use := models.QuotaUse{Used: row.used, Limit: row.limit}
		require.Equal(t, row.reached, use.Reaches(row.hundredths), "%+v", row)
	}
}

func TestBadRulesAreNamedByField(t *testing.T) {
	good := func(kind models.AlertKind) models.AlertRule {
		r := models.AlertRule{Name: "r", Kind: kind, Severity: models.SeverityInfo}
		switch kind {
		case models.AlertQuota:
			r.Params = models.AlertParams{Percent: 80.25}
		case models.AlertViolations:
			r.Params = models.AlertParams{Count: 1, Window: models.Span(time.Minute)}
		case models.AlertErrorRate:
			r.Params = models.AlertParams{Percent: 0.5, Window: models.Span(15 * time.Minute)}
		case models.AlertAnomaly:
			r.Params = models.AlertParams{Factor: 2, MinUnits: 100}
		case models.AlertSystem:
			r.Params = models.AlertParams{FailedJobs: true}
		}
		return r
	}
	for _, kind := range models.AlertKinds {
		r := good(kind)
		r.Normalize()
		var v apierror.Validator
		r.Validate(&v)
		require.NoError(t, v.Err(), kind)
	}
	owner := models.NewID[models.OwnerID]()
	for _, row := range []struct {
		kind  models.AlertKind
		spoil func(r *models.AlertRule)
		field string
	}{
		{models.AlertQuota, func(r *models.AlertRule) { r.Name = "a b" }, "name"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Kind = "spend" }, "kind"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Severity = "bad" }, "severity"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Params.Percent = 0.99 }, "params.percent"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Params.Percent = 1000.01 }, "params.percent"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Params.Percent = 80.001 }, "params.percent"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Params.Quota = "a b" }, "params.quota"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Params.Count = 3 }, "params"},
		{models.AlertQuota, func(r *models.AlertRule) { r.For = -1 }, "for"},
		{models.AlertQuota, func(r *models.AlertRule) { r.RepeatEvery = models.Span(time.Second) }, "repeat_every"},
		{models.AlertQuota, func(r *models.AlertRule) { r.ResolveAfter = models.Span(8 * 24 * time.Hour) }, "resolve_after"},
		{models.AlertQuota, func(r *models.AlertRule) { r.Destinations = make([]models.DestinationID, 51) }, "destinations"},
		{models.AlertViolations, func(r *models.AlertRule) { r.Params.Count = 0 }, "params.count"},
		{models.AlertViolations, func(r *models.AlertRule) { r.Params.Window = models.Span(90 * time.Second) }, "params.window"},
		{models.AlertViolations, func(r *models.AlertRule) { r.Params.Window = models.Span(25 * time.Hour) }, "params.window"},
		{models.AlertViolations, func(r *models.AlertRule) { r.Params.Per = "plan" }, "params.per"},
		{models.AlertErrorRate, func(r *models.AlertRule) { r.Params.Window = models.Span(20 * time.Minute) }, "params.window"},
		{models.AlertErrorRate, func(r *models.AlertRule) { r.Params.Percent = 100.01 }, "params.percent"},
		{models.AlertAnomaly, func(r *models.AlertRule) { r.Params.Factor = 1 }, "params.factor"},
		{models.AlertAnomaly, func(r *models.AlertRule) { r.Params.Weeks = 5 }, "params.weeks"},
		{models.AlertAnomaly, func(r *models.AlertRule) { r.Params.MinUnits = 0 }, "params.min_units"},
		{models.AlertSystem, func(r *models.AlertRule) { r.Params.FailedJobs = false }, "params"},
		{models.AlertSystem, func(r *models.AlertRule) { r.OwnerID = &owner }, "owner"},
		{models.AlertSystem, func(r *models.AlertRule) { r.Params.IngestionLag = models.Span(time.Millisecond) }, "params.ingestion_lag"},
	} {
		r := good(row.kind)
		r.Normalize()
		row.spoil(&r)
		var v apierror.Validator
		r.Validate(&v)
		require.Contains(t, errtest.BadFields(t, v.Err()), row.field)
	}
}

func TestMaintenanceWindowsCoverWhatTheyName(t *testing.T) {
	owner, rule := models.NewID[models.OwnerID](), models.NewID[models.AlertRuleID]()
	alert := &models.Alert{RuleID: rule, OwnerID: &owner}
	window := func(change func(w *models.MaintenanceWindow)) *models.MaintenanceWindow {
		w := &models.MaintenanceWindow{StartsAt: dawn, EndsAt: dawn.Add(time.Hour)}
		change(w)
		return w
	}
	other := models.NewID[models.OwnerID]()
	for name, row := range map[string]struct {
		window *models.MaintenanceWindow
		at     time.Time
		covers bool
	}{
		"all, at its start": {window(func(*models.MaintenanceWindow) {}), dawn, true},
		"before":            {window(func(*models.MaintenanceWindow) {}), dawn.Add(-1), false},
		"at its end":        {window(func(*models.MaintenanceWindow) {}), dawn.Add(time.Hour), false},
		"the owner":         {window(func(w *models.MaintenanceWindow) { w.OwnerID = &owner }), dawn, true},
		"another owner":     {window(func(w *models.MaintenanceWindow) { w.OwnerID = &other }), dawn, false},
		"the rule":          {window(func(w *models.MaintenanceWindow) { w.RuleIDs = []models.AlertRuleID{"x", rule} }), dawn, true},
		"another rule":      {window(func(w *models.MaintenanceWindow) { w.RuleIDs = []models.AlertRuleID{"x"} }), dawn, false},
	} {
		require.Equal(t, row.covers, row.window.Covers(alert, row.at), name)
	}
	of := window(func(w *models.MaintenanceWindow) { w.OwnerID = &owner })
	require.False(t, of.Covers(&models.Alert{RuleID: rule}, dawn), "an alert of nobody")
}

func TestFingerprintsTellPeriodsApart(t *testing.T) {
	quota := models.AlertCause{Subject: "owner:x", Quota: "monthly", Period: models.PeriodMonth, PeriodStart: dawn}
	next := quota
	next.PeriodStart = dawn.AddDate(0, 1, 0)
	require.NotEqual(t, quota.Fingerprint("r"), next.Fingerprint("r"))
	require.True(t, strings.HasPrefix((&models.AlertCause{Subject: "key:x"}).Fingerprint("r"), "r|"))
}
