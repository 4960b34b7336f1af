package plans_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/plans"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestAPlanHasAFirstVersion(t *testing.T) {
	w := newWorld(t)
	var view plans.View
	made := w.during(func() {
		var err error
		view, err = w.Create(t.Context(), plans.NewPlan{
			Name: "gold", Description: "For the few", Metadata: map[string]string{"a": "b"},
			Rules: []models.Rule{perMinute(10), {Name: "monthly", Limit: 100, Period: models.PeriodMonth, Scope: models.ScopeKey}},
		})
		require.NoError(t, err)
	})
	require.Equal(t, view, w.find(t, "gold"))
	require.Equal(t, view, w.find(t, string(view.Plan.ID)))
	require.Equal(t, 1, view.Plan.Current)
	require.Equal(t, 1, view.Version.Number)
	require.Equal(t, []models.Rule{
		{Name: "per-minute", Limit: 10, Window: time.Minute, Scope: models.ScopeOwner},
		{
			Name: "monthly", Limit: 100, Period: models.PeriodMonth, Scope: models.ScopeKey,
			Algorithm: ratelimit.FixedWindow, Overage: models.OverageBlock,
		},
	}, view.Version.Rules)
	require.Len(t, made, 1)
	require.Equal(t, "plan.create", made[0].Action)
	require.Nil(t, made[0].Before)
	require.Len(t, version(t, made[0].After)["rules"], 2)

	empty := w.create(t, "silver")
	require.Empty(t, w.find(t, "silver").Version.Rules)
	require.Equal(t, 1, empty.Plan.Current)
}

func TestTheSeededPlans(t *testing.T) {
	w := newWorld(t)
	list, err := w.List(t.Context(), false, models.Page{Sort: "name"})
	require.NoError(t, err)
	var seeded []string
	for _, view := range list {
		require.Equal(t, w.find(t, view.Plan.Name), view)
		for _, r := range view.Version.Rules {
			seeded = append(seeded, fmt.Sprint(view.Plan.Name, " ", r.Name, " ", r.Limit, " ", r.Window, r.Period, " ", r.Scope, " ", r.Overage))
		}
	}
	require.Equal(t, []string{
		"enterprise per-minute 10000 1m0s owner ",
		"free per-minute 60 1m0s owner ",
		"free monthly 10000 0smonth owner block",
		"pro per-minute 1000 1m0s owner ",
		"pro monthly 1000000 0smonth owner allow",
	}, seeded)
}

func TestBadPlans(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		plan plans.NewPlan
		bad  []string
	}{
		{"no name", plans.NewPlan{}, []string{"name"}},
		{"a path as name", plans.NewPlan{Name: "a/b"}, []string{"name"}},
		{"an id as name", plans.NewPlan{Name: string(models.NewID[models.PlanID]())}, []string{"name"}},
		{"dots as name", plans.NewPlan{Name: "."}, []string{"name"}},
		{"long description", plans.NewPlan{Name: "a", Description: strings.Repeat("x", 1001)}, []string{"description"}},
		{"bad metadata", plans.NewPlan{Name: "a", Metadata: map[string]string{"": ""}}, []string{"metadata"}},
		{"window 0", plans.NewPlan{Name: "a", Rules: []models.Rule{{Name: "r", Limit: 1}}}, []string{"rules[0].window"}},
		{"a rule twice", plans.NewPlan{Name: "a", Rules: []models.Rule{perMinute(1), perMinute(2)}}, []string{"rules[1].name"}},
		{"many at once", plans.NewPlan{Description: "\x00", Rules: []models.Rule{{}}},
			[]string{"name", "description", "rules[0].name", "rules[0].window", "rules[0].limit"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			made := w.during(func() {
				_, err := w.Create(t.Context(), test.plan)
				require.Equal(t, test.bad, badFields(t, err))
			})
			require.Empty(t, made)
		})
	}
	_, err := w.Create(t.Context(), plans.NewPlan{Name: "free"})
	require.Equal(t, "name", failed(t, err, apierror.CodeAlreadyExists).Fields[0].Name)
	_, err = w.Publish(t.Context(), "free", []models.Rule{{Name: "r", Limit: 1}})
	require.Equal(t, []string{"rules[0].window"}, badFields(t, err))
	_, err = w.Update(t.Context(), "free", 0, plans.Patch{
		Name: ptr(".."), Description: ptr("\n"), Metadata: &map[string]string{"": ""},
	})
	require.Equal(t, []string{"name", "description", "metadata"}, badFields(t, err))
}

func TestPublishingKeepsWhatWasInForce(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, "gold", perMinute(10))
	made := w.during(func() {
		view, err := w.Publish(t.Context(), "gold", []models.Rule{perMinute(20)})
		require.NoError(t, err)
		require.Equal(t, view, w.find(t, "gold"))
		require.Equal(t, 2, view.Version.Number)
		require.EqualValues(t, 20, view.Version.Rules[0].Limit)
	})
	require.Len(t, made, 1)
	require.Equal(t, "plan.publish", made[0].Action)
	require.EqualValues(t, 1, version(t, made[0].Before)["number"])
	require.EqualValues(t, 2, version(t, made[0].After)["number"])
	require.Equal(t, []models.Dependency{{Subject: models.SubjectOf("plan", first.Plan.ID), Version: 2}}, made[0].Stale,
		"every node hears of it")
	_, err := w.Publish(t.Context(), string(first.Plan.ID), nil)
	require.NoError(t, err)

	list, err := w.Versions(t.Context(), "gold", models.Page{})
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 1}, []int{list[0].Number, list[1].Number, list[2].Number})
	one, err := w.FindVersion(t.Context(), "gold", 1)
	require.NoError(t, err)
	require.Equal(t, first.Version, *one)
	for _, number := range []int{0, 4, -1} {
		_, err = w.FindVersion(t.Context(), "gold", number)
		failed(t, err, apierror.CodeNotFound)
	}
	for _, missing := range []func() error{
		func() error { _, err := w.Publish(t.Context(), "none", nil); return err },
		func() error { _, err := w.Versions(t.Context(), "none", models.Page{}); return err },
		func() error { _, err := w.FindVersion(t.Context(), "none", 1); return err },
		func() error { _, err := w.Find(t.Context(), "none"); return err },
	} {
		failed(t, missing(), apierror.CodeNotFound)
	}
}

func TestPatchChangesWhatIsGiven(t *testing.T) {
	w := newWorld(t)
	before := w.create(t, "gold", perMinute(10))
	w.now = w.now.Add(time.Minute)
	made := w.during(func() {
		view, err := w.Update(t.Context(), "gold", 1, plans.Patch{Name: ptr("golden"), Metadata: &map[string]string{"a": "b"}})
		require.NoError(t, err)
		require.Equal(t, view, w.find(t, "golden"))
		want := before.Plan
		want.Name, want.Metadata, want.Version, want.UpdatedAt = "golden", map[string]string{"a": "b"}, 2, w.now
		require.Equal(t, want, view.Plan)
		require.Equal(t, before.Version, view.Version)
	})
	require.Len(t, made, 1)
	require.Equal(t, "plan.update", made[0].Action)
	require.Equal(t, []models.Dependency{{Subject: models.SubjectOf("plan", before.Plan.ID), Version: 2}}, made[0].Stale)
	_, err := w.Update(t.Context(), "golden", 1, plans.Patch{Description: ptr("x")})
	failed(t, err, apierror.CodePreconditionFailed)
	_, err = w.Update(t.Context(), "golden", 0, plans.Patch{Name: ptr("free")})
	failed(t, err, apierror.CodeAlreadyExists)
	_, err = w.Update(t.Context(), "none", 0, plans.Patch{})
	failed(t, err, apierror.CodeNotFound)
}

func TestArchivingAPlan(t *testing.T) {
	w := newWorld(t)
	w.create(t, "gold")
	archive := func(archived bool) plans.View {
		view, err := w.Update(t.Context(), "gold", 0, plans.Patch{Archived: &archived})
		require.NoError(t, err)
		return view
	}
	names := func(archived bool) (names []string) {
		list, err := w.List(t.Context(), archived, models.Page{Sort: "name"})
		require.NoError(t, err)
		for _, view := range list {
			names = append(names, view.Plan.Name)
		}
		return names
	}
	first := *archive(true).Plan.ArchivedAt
	require.Equal(t, w.now, first)
	require.Equal(t, []string{"enterprise", "free", "pro"}, names(false))
	require.Equal(t, []string{"enterprise", "free", "gold", "pro"}, names(true))
	w.now = w.now.Add(time.Hour)
	require.Equal(t, first, *archive(true).Plan.ArchivedAt, "the first instant stays")
	require.Nil(t, archive(false).Plan.ArchivedAt)
	require.Equal(t, []string{"enterprise", "free", "gold", "pro"}, names(false))
}

func TestDeletingAPlanThatNobodyIsOn(t *testing.T) {
	w := newWorld(t)
	gold, silver := w.create(t, "gold", perMinute(10)), w.create(t, "silver")
	w.owner(t, gold.Plan.ID, ptr(1))
	w.owner(t, silver.Plan.ID, nil)
	for _, name := range []string{"gold", "silver"} {
		require.Empty(t, w.during(func() { failed(t, w.Delete(t.Context(), name), apierror.CodeConflict) }))
		w.find(t, name)
	}

	w.create(t, "bronze", perMinute(10))
	made := w.during(func() { require.NoError(t, w.Delete(t.Context(), "bronze")) })
	require.Len(t, made, 1)
	require.Equal(t, "plan.delete", made[0].Action)
	require.Len(t, version(t, made[0].Before)["rules"], 1)
	require.Nil(t, made[0].After)
	_, err := w.Find(t.Context(), "bronze")
	failed(t, err, apierror.CodeNotFound)
	failed(t, w.Delete(t.Context(), "bronze"), apierror.CodeNotFound)
	w.create(t, "bronze")
}

func TestNothingIsChangedThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	before := w.create(t, "gold", perMinute(10))
	w.changes.Fail = true
	attempts := []func() error{
		func() error { _, err := w.Create(t.Context(), plans.NewPlan{Name: "silver"}); return err },
		func() error { _, err := w.Update(t.Context(), "gold", 0, plans.Patch{Name: ptr("silver")}); return err },
		func() error { _, err := w.Publish(t.Context(), "gold", nil); return err },
		func() error { return w.Delete(t.Context(), "gold") },
	}
	for _, attempt := range attempts {
		require.ErrorIs(t, attempt(), repotest.ErrRecord)
		require.Equal(t, before, w.find(t, "gold"))
		_, err := w.Find(t.Context(), "silver")
		failed(t, err, apierror.CodeNotFound)
	}
	list, err := w.Versions(t.Context(), "gold", models.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
}
