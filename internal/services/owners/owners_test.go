package owners_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // time zones mean the same on every machine

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/owners"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestNewOwnersTakeDefaults(t *testing.T) {
	w := newWorld(t)
	var view owners.View
	made := w.during(func() { view = w.create(t, owners.NewOwner{}) })
	require.Equal(t, "free", view.Plan.Name)
	require.Equal(t, "UTC", view.Owner.TimeZone)
	require.Equal(t, 1, view.Owner.AnchorDay)
	require.Nil(t, view.Owner.PlanVersion)
	require.Nil(t, view.Owner.ExternalID)
	require.False(t, view.Owner.Implicit)
	require.Equal(t, view, w.find(t, string(view.Owner.ID)))

	require.Len(t, made, 1)
	require.Equal(t, "owner.create", made[0].Action)
	require.Equal(t, string(view.Owner.ID), made[0].ObjectID)
	require.Nil(t, made[0].Before)
	require.Equal(t, "UTC", state(t, made[0].After)["time_zone"])
	require.Empty(t, made[0].Stale)
}

func TestAnOwnerIsStoredAsItIsAnswered(t *testing.T) {
	w := newWorld(t)
	pro := w.plan(t, "pro")
	view := w.create(t, owners.NewOwner{
		ExternalID: "cust_42", Name: "Ada", Email: "ada@example.com", Plan: string(pro.ID), PlanVersion: ptr(1),
		Rules:    []models.Rule{{Name: "burst", Limit: 5, Window: time.Second}},
		TimeZone: "Europe/Berlin", AnchorDay: 31, Metadata: map[string]string{"a": "b"},
	})
	require.Equal(t, view, w.find(t, "cust_42"))
	require.Equal(t, view, w.find(t, string(view.Owner.ID)))
	require.Equal(t, "pro", view.Plan.Name)
	require.Equal(t, models.ScopeOwner, view.Owner.Rules[0].Scope)
	_, err := w.Find(t.Context(), "cust_43")
	failed(t, err, apierror.CodeNotFound)
}

func TestBadOwners(t *testing.T) {
	w := newWorld(t)
	archived := w.plan(t, "enterprise")
	archived.ArchivedAt = &w.now
	require.NoError(t, w.plans.Update(t.Context(), archived))
	tests := []struct {
		name  string
		owner owners.NewOwner
		bad   []string
	}{
		{"external id with a space", owners.NewOwner{ExternalID: "a b"}, []string{"external_id"}},
		{"an id as external id", owners.NewOwner{ExternalID: string(models.NewID[models.OwnerID]())}, []string{"external_id"}},
		{"long name", owners.NewOwner{Name: strings.Repeat("x", 256)}, []string{"name"}},
		{"no address", owners.NewOwner{Email: "ada"}, []string{"email"}},
		{"a name and an address", owners.NewOwner{Email: "Ada <ada@example.com>"}, []string{"email"}},
		{"two addresses", owners.NewOwner{Email: "a@example.com, b@example.com"}, []string{"email"}},
		{"long address", owners.NewOwner{Email: "a@" + strings.Repeat("x", 254)}, []string{"email"}},
		{"no such zone", owners.NewOwner{TimeZone: "Europe/Atlantis"}, []string{"time_zone"}},
		{"the zone of a machine", owners.NewOwner{TimeZone: "Local"}, []string{"time_zone"}},
		{"a file of the machine", owners.NewOwner{TimeZone: "localtime"}, []string{"time_zone"}},
		{"anchor 32", owners.NewOwner{AnchorDay: 32}, []string{"anchor_day"}},
		{"anchor -1", owners.NewOwner{AnchorDay: -1}, []string{"anchor_day"}},
		{"bad rule", owners.NewOwner{Rules: []models.Rule{{Name: "r", Limit: 1}}}, []string{"rules[0].window"}},
		{"bad metadata", owners.NewOwner{Metadata: map[string]string{"a": "\n"}}, []string{"metadata.a"}},
		{"many at once", owners.NewOwner{ExternalID: "/", Email: "x", AnchorDay: 99}, []string{"external_id", "email", "anchor_day"}},
		{"no such plan", owners.NewOwner{Plan: "gold"}, []string{"plan"}},
		{"archived plan", owners.NewOwner{Plan: "enterprise"}, []string{"plan"}},
		{"no such version", owners.NewOwner{Plan: "pro", PlanVersion: ptr(2)}, []string{"plan_version"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			made := w.during(func() {
				_, err := w.Create(t.Context(), test.owner)
				require.Equal(t, test.bad, badFields(t, err))
			})
			require.Empty(t, made)
		})
	}
	w.create(t, owners.NewOwner{ExternalID: "cust_42"})
	_, err := w.Create(t.Context(), owners.NewOwner{ExternalID: "cust_42"})
	require.Equal(t, "external_id", failed(t, err, apierror.CodeAlreadyExists).Fields[0].Name)
	list, err := w.List(t.Context(), owners.Filter{IncludeArchived: true}, models.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestPatchChangesWhatIsGiven(t *testing.T) {
	w := newWorld(t)
	before := w.create(t, owners.NewOwner{ExternalID: "cust_42", Name: "Ada", Email: "ada@example.com"})
	w.now = w.now.Add(time.Minute)
	made := w.during(func() {
		view, err := w.Update(t.Context(), "cust_42", 1, owners.Patch{
			ExternalID: ptr[*string](nil), Name: ptr("Ada L."), TimeZone: ptr("Asia/Kathmandu"), AnchorDay: ptr(15),
			Rules: &[]models.Rule{{Name: "r", Limit: 1, Window: time.Second}}, Metadata: &map[string]string{"a": "b"},
		})
		require.NoError(t, err)
		require.Equal(t, view, w.find(t, string(view.Owner.ID)))
		want := before.Owner
		want.ExternalID, want.Name, want.TimeZone, want.AnchorDay = nil, "Ada L.", "Asia/Kathmandu", 15
		want.Rules = []models.Rule{{Name: "r", Limit: 1, Window: time.Second, Scope: models.ScopeOwner}}
		want.Metadata, want.Version, want.UpdatedAt = map[string]string{"a": "b"}, 2, w.now
		require.Equal(t, want, view.Owner)
	})
	require.Len(t, made, 1)
	require.Equal(t, "owner.update", made[0].Action)
	require.Equal(t, "cust_42", state(t, made[0].Before)["external_id"])
	require.NotContains(t, state(t, made[0].After), "external_id")
	require.Equal(t, []models.Dependency{{Subject: models.SubjectOf("owner", before.Owner.ID), Version: 2}}, made[0].Stale)

	id := string(before.Owner.ID)
	_, err := w.Update(t.Context(), id, 1, owners.Patch{Name: ptr("again")})
	failed(t, err, apierror.CodePreconditionFailed)
	for field, patch := range map[string]owners.Patch{
		"external_id": {ExternalID: ptr(ptr(""))}, "email": {Email: ptr("x")}, "time_zone": {TimeZone: ptr("Mars/Olympus")},
		"plan": {Plan: ptr("gold")}, "plan_version": {PlanVersion: ptr(ptr(9))},
	} {
		_, err := w.Update(t.Context(), id, 0, patch)
		require.Equal(t, []string{field}, badFields(t, err))
	}
	_, err = w.Update(t.Context(), "nobody", 0, owners.Patch{})
	failed(t, err, apierror.CodeNotFound)
}

func TestPinsToVersionsOfPlans(t *testing.T) {
	w := newWorld(t)
	free, pro := w.plan(t, "free"), w.plan(t, "pro")
	w.publish(t, free, 2)
	w.publish(t, pro, 2)
	w.publish(t, pro, 3)
	ref := string(w.create(t, owners.NewOwner{}).Owner.ID)
	steps := []struct {
		name  string
		patch owners.Patch
		plan  string
		pin   *int
		bad   []string
	}{
		{"pin", owners.Patch{PlanVersion: ptr(ptr(2))}, "free", ptr(2), nil},
		{"the same plan keeps the pin", owners.Patch{Plan: ptr("free")}, "free", ptr(2), nil},
		{"and by its id", owners.Patch{Plan: ptr(string(free.ID))}, "free", ptr(2), nil},
		{"no such version", owners.Patch{PlanVersion: ptr(ptr(3))}, "free", ptr(2), []string{"plan_version"}},
		{"another plan ends the pin", owners.Patch{Plan: ptr("pro")}, "pro", nil, nil},
		{"another plan with a pin", owners.Patch{Plan: ptr("free"), PlanVersion: ptr(ptr(1))}, "free", ptr(1), nil},
		{"a version that only the old plan has", owners.Patch{Plan: ptr("pro"), PlanVersion: ptr(ptr(4))}, "free", ptr(1), []string{"plan_version"}},
		{"another plan and one of its versions", owners.Patch{Plan: ptr("pro"), PlanVersion: ptr(ptr(3))}, "pro", ptr(3), nil},
		{"unpin", owners.Patch{PlanVersion: ptr[*int](nil)}, "pro", nil, nil},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			_, err := w.Update(t.Context(), ref, 0, step.patch)
			if step.bad == nil {
				require.NoError(t, err)
			} else {
				require.Equal(t, step.bad, badFields(t, err))
			}
			view := w.find(t, ref)
			require.Equal(t, step.plan, view.Plan.Name)
			require.Equal(t, step.pin, view.Owner.PlanVersion)
		})
	}
}

func TestOwnersStayOnAnArchivedPlan(t *testing.T) {
	w := newWorld(t)
	on := w.create(t, owners.NewOwner{Plan: "pro"})
	other := w.create(t, owners.NewOwner{})
	pro := w.plan(t, "pro")
	pro.ArchivedAt = &w.now
	require.NoError(t, w.plans.Update(t.Context(), pro))
	view, err := w.Update(t.Context(), string(on.Owner.ID), 0, owners.Patch{Name: ptr("Ada"), Plan: ptr("pro")})
	require.NoError(t, err)
	require.Equal(t, "pro", view.Plan.Name)
	_, err = w.Update(t.Context(), string(other.Owner.ID), 0, owners.Patch{Plan: ptr("pro")})
	require.Equal(t, []string{"plan"}, badFields(t, err))
}

func TestDeletingArchivesAnOwnerWithoutKeys(t *testing.T) {
	w := newWorld(t)
	view := w.create(t, owners.NewOwner{ExternalID: "cust_42"})
	key := w.key(t, view.Owner.ID)
	require.Empty(t, w.during(func() { failed(t, w.Delete(t.Context(), "cust_42"), apierror.CodeConflict) }))
	require.Nil(t, w.find(t, "cust_42").Owner.ArchivedAt)

	require.NoError(t, w.keys.Delete(t.Context(), key))
	made := w.during(func() { require.NoError(t, w.Delete(t.Context(), "cust_42")) })
	require.Len(t, made, 1)
	require.Equal(t, "owner.archive", made[0].Action)
	require.Equal(t, []models.Dependency{{Subject: models.SubjectOf("owner", view.Owner.ID), Version: 2}}, made[0].Stale)
	archived := w.find(t, "cust_42")
	require.Equal(t, &w.now, archived.Owner.ArchivedAt, "its history stays")

	w.now = w.now.Add(time.Hour)
	require.Empty(t, w.during(func() { require.NoError(t, w.Delete(t.Context(), "cust_42")) }), "twice changes nothing")
	require.Equal(t, archived, w.find(t, "cust_42"))
	failed(t, w.Delete(t.Context(), "nobody"), apierror.CodeNotFound)
}

func TestListOfOwners(t *testing.T) {
	w := newWorld(t)
	w.create(t, owners.NewOwner{Name: "ada", Plan: "pro"})
	w.create(t, owners.NewOwner{Name: "adam"})
	w.create(t, owners.NewOwner{Name: "bob", ExternalID: "bob"})
	require.NoError(t, w.Delete(t.Context(), "bob"))
	tests := []struct {
		name   string
		filter owners.Filter
		want   []string
	}{
		{"all", owners.Filter{}, []string{"ada", "adam"}},
		{"archived ones too", owners.Filter{IncludeArchived: true}, []string{"ada", "adam", "bob"}},
		{"plan by name", owners.Filter{Plan: "pro"}, []string{"ada"}},
		{"plan by id", owners.Filter{Plan: string(w.plan(t, "free").ID)}, []string{"adam"}},
		{"name", owners.Filter{Name: "adam"}, []string{"adam"}},
		{"implicit", owners.Filter{Implicit: ptr(true)}, nil},
		{"explicit", owners.Filter{Implicit: ptr(false)}, []string{"ada", "adam"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			list, err := w.List(t.Context(), test.filter, models.Page{Sort: "name"})
			require.NoError(t, err)
			var names []string
			for _, view := range list {
				require.Equal(t, w.find(t, string(view.Owner.ID)), view)
				names = append(names, view.Owner.Name)
			}
			require.Equal(t, test.want, names)
		})
	}
	_, err := w.List(t.Context(), owners.Filter{Plan: "gold"}, models.Page{})
	known := failed(t, err, apierror.CodeValidationFailed)
	require.Equal(t, apierror.Query, known.Fields[0].In)
	require.Equal(t, "plan", known.Fields[0].Name)
}

func TestNothingIsChangedThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	before := w.create(t, owners.NewOwner{ExternalID: "cust_42"})
	w.changes.Fail = true
	_, err := w.Create(t.Context(), owners.NewOwner{ExternalID: "other"})
	require.ErrorIs(t, err, repotest.ErrRecord)
	_, err = w.Update(t.Context(), "cust_42", 0, owners.Patch{Name: ptr("x")})
	require.ErrorIs(t, err, repotest.ErrRecord)
	require.ErrorIs(t, w.Delete(t.Context(), "cust_42"), repotest.ErrRecord)
	require.Equal(t, before, w.find(t, "cust_42"))
	_, err = w.Find(t.Context(), "other")
	failed(t, err, apierror.CodeNotFound)
}
