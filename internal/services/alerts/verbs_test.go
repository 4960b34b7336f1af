package alerts_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apierror/errtest"
)

func TestWhatSomebodyResolvedIsNotOpenedAnewWhileItLasts(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.refusalRule()
		key := w.key(w.owner("acme", "UTC", 1))
		w.refuse(key, 10)
		w.check()
		require.Equal(t, active, w.types())
		ctx := models.WithActor(t.Context(), models.Actor{Kind: "token", ID: "t", Name: "ann"})
		var a *models.Alert
		changes := w.changes.During(func() {
			var err error
			a, err = w.Resolve(ctx, w.only().ID, "known")
			require.NoError(t, err)
		})
		require.Len(t, changes, 1)
		require.Equal(t, "alert.resolve", changes[0].Action)
		require.Equal(t, "ann", a.NoteBy)
		require.Equal(t, resolved, w.types())
		for range 3 {
			w.advance(time.Minute)
			w.refuse(key, 10)
			w.check()
		}
		require.Equal(t, models.ResolutionManual, w.only().Resolution)
		require.Empty(t, w.types())
		w.advance(10 * time.Minute) // it goes
		w.check()
		w.refuse(key, 10) // and is back too soon to have gone
		w.check()
		require.Len(t, w.list(alerts.Filter{}), 1)
		w.advance(10 * time.Minute)
		w.check()
		w.advance(5 * time.Minute)
		w.check()
		require.Empty(t, w.types(), "its end was told")
		w.refuse(key, 10)
		w.check()
		require.Len(t, w.list(alerts.Filter{}), 2)
		require.Equal(t, active, w.types())
		_, err := w.Acknowledge(t.Context(), a.ID, "")
		require.Equal(t, "The alert is resolved: it cannot be acknowledged", errtest.Failed(t, err, apierror.CodeConflict).Detail)
	})
}

func TestASuppressedAlertIsToldWhenItsTimeHasComeAndTheCauseIsThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.refusalRule(func(n *alerts.NewRule) { n.RepeatEvery = ptr(time.Minute) })
		key := w.key(w.owner("acme", "UTC", 1))
		step := func(d time.Duration) []models.EventType {
			w.advance(d)
			w.refuse(key, 10)
			w.check()
			w.check()
			return w.types()
		}
		require.Equal(t, active, step(0))
		a, err := w.Suppress(t.Context(), w.only().ID, noon.Add(time.Hour), "later")
		require.NoError(t, err)
		require.Equal(t, models.AlertSuppressed, a.State)
		require.Empty(t, step(59*time.Minute))
		require.Equal(t, active, step(time.Minute))
		require.Equal(t, repeated, step(time.Minute))
		_, err = w.Suppress(t.Context(), a.ID, w.clock().Add(time.Hour), "again")
		require.NoError(t, err)
		w.advance(10 * time.Minute)
		w.check()
		w.advance(5 * time.Minute)
		w.check()
		require.Equal(t, resolved, w.types(), "who heard of it hears that it is over")
		w.advance(time.Hour)
		w.check()
		require.Empty(t, w.types())
	})
}

func TestPeopleAndChecksMeetWithoutLosingAnything(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		w.refusalRule(func(n *alerts.NewRule) { n.ResolveAfter = ptr(time.Duration(0)) })
		acme := w.owner("acme", "UTC", 1)
		const many = 20
		for range many {
			w.refuse(w.key(acme), 10)
		}
		w.check()
		w.told()
		list := w.list(alerts.Filter{})
		require.Len(t, list, many)
		w.advance(10 * time.Minute) // the causes are gone
		var all errgroup.Group
		for range 3 {
			all.Go(func() error { _, err := w.Check(t.Context(), ""); return err })
		}
		for _, a := range list {
			all.Go(func() error {
				_, err := w.Resolve(t.Context(), a.ID, "me")
				if errors.Is(err, apierror.CodeConflict) {
					return nil // a check was faster
				}
				return err
			})
		}
		require.NoError(t, all.Wait())
		require.Len(t, w.list(alerts.Filter{State: models.AlertResolved}), many)
		require.Len(t, w.types(), many, "the end of each is told once")
		w.check()
		require.Empty(t, w.types())
		for _, a := range w.list(alerts.Filter{}) {
			require.False(t, a.Live)
		}
	})
}

func TestDuringMaintenanceAlertsAreNotToldAndAfterItTheyAre(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		rule := w.refusalRule()
		acme, other := w.owner("acme", "UTC", 1), w.owner("other", "UTC", 1)
		a, b, c := w.key(acme), w.key(acme), w.key(other)
		window, err := w.CreateWindow(t.Context(), alerts.NewWindow{
			Name: "upgrade", StartsAt: noon, EndsAt: noon.Add(time.Hour), Rules: []string{"refusals"}, Owner: "acme",
		})
		require.NoError(t, err)
		require.Equal(t, []models.AlertRuleID{rule.ID}, window.RuleIDs)
		w.refuse(a, 10)
		w.refuse(b, 10)
		w.refuse(c, 10)
		w.check()
		require.Equal(t, active, w.types(), "of the other alone")
		require.Len(t, w.list(alerts.Filter{Owner: "acme"}), 2)
		for w.clock().Before(noon.Add(56 * time.Minute)) {
			w.advance(4 * time.Minute)
			w.refuse(a, 10)
			w.refuse(c, 10)
			w.check()
		}
		require.Empty(t, w.types(), "b began and ended without a word")
		w.set(noon.Add(time.Hour))
		w.refuse(a, 10)
		var checks errgroup.Group
		for range 4 {
			checks.Go(func() error { _, err := w.Check(t.Context(), ""); return err })
		}
		require.NoError(t, checks.Wait())
		events := w.told()
		require.Len(t, events, 1)
		require.Equal(t, a.ID, events[0].KeyID)
	})
}

func TestARuleThatIsGoneEndsItsAlertsWithoutAWord(t *testing.T) {
	w := newWorld(t)
	key := w.key(w.owner("acme", "UTC", 1))
	w.refuse(key, 10)
	for _, end := range []func(rule *models.AlertRule) error{
		func(rule *models.AlertRule) error { return w.DeleteRule(t.Context(), rule.Name) },
		func(rule *models.AlertRule) error {
			_, err := w.UpdateRule(t.Context(), rule.Name, rule.Version, alerts.RulePatch{Enabled: ptr(false)})
			return err
		},
	} {
		rule := w.refusalRule()
		pending := w.refusalRule(func(n *alerts.NewRule) { n.Name, n.For = "pending", time.Hour })
		w.check()
		require.Equal(t, active, w.types())
		require.NoError(t, end(rule))
		require.NoError(t, end(pending))
		require.Empty(t, w.types())
		list := w.list(alerts.Filter{Rule: string(rule.ID)})
		require.Len(t, list, 1)
		require.Equal(t, models.ResolutionRuleRemoved, list[0].Resolution)
		require.Empty(t, w.list(alerts.Filter{State: models.AlertPending}))
		w.check()
		require.Empty(t, w.types())
	}
}

func TestARuleThatChangesIsComparedAnew(t *testing.T) {
	w := newWorld(t)
	rule := w.refusalRule(func(n *alerts.NewRule) { n.ResolveAfter = ptr(time.Duration(0)) })
	key := w.key(w.owner("acme", "UTC", 1))
	w.refuse(key, 10)
	w.check()
	_, err := w.UpdateRule(t.Context(), string(rule.ID), rule.Version+1, alerts.RulePatch{})
	require.ErrorIs(t, err, apierror.CodePreconditionFailed)
	params := rule.Params
	params.Count = 11
	changed, err := w.UpdateRule(t.Context(), string(rule.ID), rule.Version, alerts.RulePatch{Params: &params, Owner: ptr("acme"), Plan: ptr("free")})
	require.NoError(t, err)
	require.NotNil(t, changed.OwnerID)
	w.check()
	require.Equal(t, models.AlertResolved, w.only().State)
}

func TestBadRulesAndWindowsChangeNothing(t *testing.T) {
	w := newWorld(t)
	good := alerts.NewRule{Name: "r", Kind: models.AlertQuota, Params: models.AlertParams{Percent: 80}}
	for field, spoil := range map[string]func(n *alerts.NewRule){
		"owner":           func(n *alerts.NewRule) { n.Owner = "nobody" },
		"key":             func(n *alerts.NewRule) { n.Key = "nothing" },
		"plan":            func(n *alerts.NewRule) { n.Plan = "none" },
		"name":            func(n *alerts.NewRule) { n.Name = "" },
		"params.percent":  func(n *alerts.NewRule) { n.Params.Percent = 0 },
		"destinations[0]": func(n *alerts.NewRule) { n.Destinations = []models.DestinationID{"x"} },
		"destinations[1]": func(n *alerts.NewRule) {
			id := models.NewID[models.DestinationID]()
			n.Destinations = []models.DestinationID{id, id}
		},
	} {
		n := good
		spoil(&n)
		_, err := w.CreateRule(t.Context(), n)
		require.Contains(t, errtest.BadFields(t, err), field)
	}
	n := good
	n.Destinations = []models.DestinationID{models.NewID[models.DestinationID]()}
	_, err := w.CreateRule(t.Context(), n)
	require.Equal(t, []string{"destinations[0]"}, errtest.BadFields(t, err), "there is no such destination")
	list, err := w.ListRules(t.Context(), models.Page{})
	require.NoError(t, err)
	require.Empty(t, list)

	for field, window := range map[string]alerts.NewWindow{
		"name":     {StartsAt: noon, EndsAt: noon.Add(time.Hour)},
		"ends_at":  {Name: "w", StartsAt: noon, EndsAt: noon},
		"rules[0]": {Name: "w", StartsAt: noon, EndsAt: noon.Add(time.Hour), Rules: []string{"none"}},
		"owner":    {Name: "w", StartsAt: noon, EndsAt: noon.Add(time.Hour), Owner: "nobody"},
	} {
		_, err := w.CreateWindow(t.Context(), window)
		require.Contains(t, errtest.BadFields(t, err), field)
	}
	windows, err := w.ListWindows(t.Context(), models.Page{})
	require.NoError(t, err)
	require.Empty(t, windows)
}

func TestNothingIsDoneThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	rule := w.refusalRule()
	w.refuse(w.key(w.owner("acme", "UTC", 1)), 10)
	w.check()
	w.told()
	id := w.only().ID
	w.changes.Fail = true
	_, err := w.Resolve(t.Context(), id, "")
	require.ErrorContains(t, err, "not recorded")
	require.Error(t, w.DeleteRule(t.Context(), rule.Name))
	w.changes.Fail = false
	require.Equal(t, models.AlertActive, w.only().State)
	require.Empty(t, w.types())
}

func TestWindowsChangeAndEnd(t *testing.T) {
	w := newWorld(t)
	w.refusalRule()
	key := w.key(w.owner("acme", "UTC", 1))
	window, err := w.CreateWindow(t.Context(), alerts.NewWindow{Name: "w", StartsAt: noon, EndsAt: noon.Add(time.Hour), Owner: "acme"})
	require.NoError(t, err)
	w.refuse(key, 10)
	w.check()
	require.Empty(t, w.types())
	changed, err := w.UpdateWindow(t.Context(), window.ID, window.Version, alerts.WindowPatch{Owner: ptr(""), Rules: &[]string{"refusals"}, Name: ptr("x")})
	require.NoError(t, err)
	require.Nil(t, changed.OwnerID)
	w.check()
	require.Empty(t, w.types())
	require.NoError(t, w.DeleteWindow(t.Context(), window.ID))
	w.check()
	require.Equal(t, active, w.types())
	_, err = w.FindWindow(t.Context(), window.ID)
	require.ErrorIs(t, err, apierror.CodeNotFound)
}
