package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestPatchChangesWhatIsGiven(t *testing.T) {
	w := newWorld(t)
	created := w.create(t, keys.NewKey{Tags: []string{"eu"}, ExpiresAt: ptr(w.now.Add(time.Hour)), Metadata: map[string]string{"a": "b"}})
	w.now = w.now.Add(time.Minute)
	var view keys.View
	entries, stale := w.during(t, func() {
		var err error
		view, err = w.Update(t.Context(), created.Key.ID, 1, keys.Patch{
			Name: ptr("renamed"), ExpiresAt: ptr[*time.Time](nil), AllowedIPs: &[]string{"192.0.2.1"}, Permissions: &[]string{"p"},
			Methods: &[]string{"get"}, Endpoints: &[]string{"/v1"}, Rules: &[]models.Rule{{Name: "r", Limit: 1, Window: time.Second}},
		})
		require.NoError(t, err)
	})
	require.Equal(t, view, w.find(t, created.Key.ID), "what is answered is what is stored")
	want := created.Key
	want.Name, want.ExpiresAt, want.AllowedIPs, want.Permissions = "renamed", nil, []string{"192.0.2.1/32"}, []string{"p"}
	want.Methods, want.Endpoints, want.Version, want.UpdatedAt = []string{"GET"}, []string{"/v1"}, 2, w.now
	want.Rules = []models.Rule{{Name: "r", Limit: 1, Window: time.Second, Scope: models.ScopeKey}}
	require.Equal(t, want, view.Key)

	require.Equal(t, []string{"key.update"}, actions(entries))
	require.Equal(t, "Checkout", decode(t, entries[0].Before)["name"])
	require.Equal(t, "renamed", decode(t, entries[0].After)["name"])
	require.Equal(t, []models.Dependency{subject("key", created.Key.ID, 2)}, stale)
}

func TestPatchOfAStaleVersion(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	_, err := w.Update(t.Context(), id, 1, keys.Patch{Name: ptr("first")})
	require.NoError(t, err)
	entries, stale := w.during(t, func() {
		_, err = w.Update(t.Context(), id, 1, keys.Patch{Name: ptr("second")})
		failed(t, err, apierror.CodePreconditionFailed)
	})
	require.Empty(t, entries)
	require.Empty(t, stale)
	view, err := w.Update(t.Context(), id, 0, keys.Patch{Name: ptr("third")})
	require.NoError(t, err)
	require.EqualValues(t, 3, view.Key.Version)
}

func TestBadPatches(t *testing.T) {
	w := newWorld(t)
	w.owner(t, "ada", "pro")
	left := w.owner(t, "left", "pro")
	w.archive(t, left)
	key := w.create(t, keys.NewKey{}).Key
	owned := w.create(t, keys.NewKey{Owner: "ada"}).Key
	tests := []struct {
		name  string
		id    models.KeyID
		patch keys.Patch
		bad   []string
	}{
		{"no name", key.ID, keys.Patch{Name: ptr("")}, []string{"name"}},
		{"bad network", key.ID, keys.Patch{AllowedIPs: &[]string{"x"}}, []string{"allowed_ips[0]"}},
		{"two at once", key.ID, keys.Patch{Name: ptr(""), Owner: ptr("bob")}, []string{"name", "owner"}},
		{"no such owner", key.ID, keys.Patch{Owner: ptr("bob")}, []string{"owner"}},
		{"archived owner", key.ID, keys.Patch{Owner: ptr("left")}, []string{"owner"}},
		{"no such plan", key.ID, keys.Patch{Plan: ptr("gold")}, []string{"plan"}},
		{"plan of a shared owner", owned.ID, keys.Patch{Plan: ptr("free")}, []string{"plan"}},
		{"another owner and not its plan", key.ID, keys.Patch{Owner: ptr("ada"), Plan: ptr("free")}, []string{"plan"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entries, stale := w.during(t, func() {
				_, err := w.Update(t.Context(), test.id, 0, test.patch)
				require.Equal(t, test.bad, badFields(t, err))
			})
			require.Empty(t, entries)
			require.Empty(t, stale)
		})
	}
	require.Equal(t, key, w.find(t, key.ID).Key)
	require.Nil(t, w.find(t, key.ID).Owner.ArchivedAt)
	_, err := w.Update(t.Context(), models.NewID[models.KeyID](), 0, keys.Patch{})
	failed(t, err, apierror.CodeNotFound)
}

func TestMovingAKeyArchivesTheOwnerOfItsOwn(t *testing.T) {
	w := newWorld(t)
	ada := w.owner(t, "ada", "pro")
	created := w.create(t, keys.NewKey{})
	entries, stale := w.during(t, func() {
		view, err := w.Update(t.Context(), created.Key.ID, 0, keys.Patch{Owner: ptr("ada"), Plan: ptr("pro")})
		require.NoError(t, err)
		require.Equal(t, ada.ID, view.Owner.ID)
		require.Equal(t, "pro", view.Plan.Name)
	})
	require.Equal(t, []string{"owner.archive", "key.update"}, actions(entries))
	require.Equal(t, []models.Dependency{subject("owner", created.Owner.ID, 2), subject("key", created.Key.ID, 2)}, stale)
	left, err := w.owners.Find(t.Context(), string(created.Owner.ID))
	require.NoError(t, err)
	require.True(t, left.Archived())
	require.Equal(t, string(ada.ID), decode(t, entries[1].After)["owner_id"])

	bob := w.owner(t, "bob", "free")
	entries, _ = w.during(t, func() {
		_, err = w.Update(t.Context(), created.Key.ID, 0, keys.Patch{Owner: ptr(string(bob.ID))})
		require.NoError(t, err)
	})
	require.Equal(t, []string{"key.update"}, actions(entries), "an account is not archived because a key leaves it")
}

func TestMovingAKeyToTheOwnerItHas(t *testing.T) {
	w := newWorld(t)
	w.owner(t, "ada", "pro")
	own, adas := w.create(t, keys.NewKey{}), w.create(t, keys.NewKey{Owner: "ada"})
	for _, c := range []struct {
		key   keys.Created
		owner string
	}{{own, string(own.Owner.ID)}, {adas, "ada"}, {adas, string(adas.Owner.ID)}} {
		entries, _ := w.during(t, func() {
			view, err := w.Update(t.Context(), c.key.Key.ID, 0, keys.Patch{Owner: &c.owner})
			require.NoError(t, err)
			require.Equal(t, c.key.Owner, view.Owner)
		})
		require.Equal(t, []string{"key.update"}, actions(entries))
	}
}

func TestMovingAKeyToAnothersOwner(t *testing.T) {
	w := newWorld(t)
	one, two := w.create(t, keys.NewKey{}), w.create(t, keys.NewKey{Plan: "pro"})
	view, err := w.Update(t.Context(), one.Key.ID, 0, keys.Patch{Owner: ptr(string(two.Owner.ID))})
	require.NoError(t, err)
	require.False(t, view.Owner.Implicit, "it holds two keys now")
	_, err = w.Update(t.Context(), two.Key.ID, 0, keys.Patch{Plan: ptr("free")})
	require.Equal(t, []string{"plan"}, badFields(t, err))
	w.owner(t, "ada", "pro")
	_, err = w.Update(t.Context(), two.Key.ID, 0, keys.Patch{Owner: ptr("ada")})
	require.NoError(t, err)
	require.Nil(t, w.find(t, one.Key.ID).Owner.ArchivedAt, "and is not archived with a key in it")
}

func TestThePlanOfAKeyWithAnOwnerOfItsOwn(t *testing.T) {
	w := newWorld(t)
	created := w.create(t, keys.NewKey{})
	pro := w.plan(t, "pro")
	entries, stale := w.during(t, func() {
		view, err := w.Update(t.Context(), created.Key.ID, 0, keys.Patch{Plan: ptr("pro")})
		require.NoError(t, err)
		require.Equal(t, "pro", view.Plan.Name)
		require.Equal(t, pro.ID, view.Owner.PlanID)
		require.Equal(t, view, w.find(t, created.Key.ID))
	})
	require.Equal(t, []string{"owner.update", "key.update"}, actions(entries))
	require.Contains(t, stale, subject("owner", created.Owner.ID, 2))
	for _, same := range []string{"pro", string(pro.ID)} {
		entries, _ = w.during(t, func() {
			_, err := w.Update(t.Context(), created.Key.ID, 0, keys.Patch{Plan: &same})
			require.NoError(t, err)
		})
		require.Equal(t, []string{"key.update"}, actions(entries), "the owner is on it already")
	}
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	created := w.create(t, keys.NewKey{})
	id := created.Key.ID
	valid := func(presented string) bool {
		view, err := w.Lookup(t.Context(), presented)
		if errors.Is(err, apierror.CodeNotFound) {
			return false
		}
		require.NoError(t, err)
		for _, s := range view.Secrets {
			if s.Mask == apikey.Mask(presented) {
				return s.Valid(w.now)
			}
		}
		return false
	}
	var second keys.Created
	entries, stale := w.during(t, func() {
		var err error
		second, err = w.Rotate(t.Context(), id, time.Hour)
		require.NoError(t, err)
	})
	require.Equal(t, []string{"key.rotate"}, actions(entries))
	require.Len(t, decode(t, entries[0].Before)["secrets"], 1)
	require.Len(t, decode(t, entries[0].After)["secrets"], 2)
	require.Equal(t, []models.Dependency{subject("key", id, 2)}, stale)
	require.Equal(t, second.View, w.find(t, id))
	require.NotEqual(t, created.Secret.Reveal(), second.Secret.Reveal())
	require.True(t, valid(created.Secret.Reveal()), "both open the key for the time of grace")
	require.True(t, valid(second.Secret.Reveal()))

	w.now = w.now.Add(30 * time.Minute)
	third, err := w.Rotate(t.Context(), id, 24*time.Hour)
	require.NoError(t, err)
	require.Len(t, third.Secrets, 3)
	w.now = w.now.Add(30 * time.Minute)
	require.False(t, valid(created.Secret.Reveal()), "another rotation lengthens no grace")
	require.True(t, valid(second.Secret.Reveal()))

	w.now = w.now.Add(time.Second)
	fourth, err := w.Rotate(t.Context(), id, 0)
	require.NoError(t, err)
	require.Len(t, fourth.Secrets, 3, "what had expired is gone")
	require.False(t, valid(second.Secret.Reveal()), "without grace, all before end at once")
	require.False(t, valid(third.Secret.Reveal()))
	require.True(t, valid(fourth.Secret.Reveal()))
	_, err = w.Lookup(t.Context(), created.Secret.Reveal())
	failed(t, err, apierror.CodeNotFound)
	require.EqualValues(t, 4, w.find(t, id).Key.Version)
}

func TestRotateAnImportedKey(t *testing.T) {
	w := newWorld(t)
	created := w.create(t, keys.NewKey{Environment: apikey.Test, Import: imported("made elsewhere")})
	rotated, err := w.Rotate(t.Context(), created.Key.ID, 0)
	require.NoError(t, err)
	parsed, err := apikey.Parse(rotated.Secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, apikey.Test, parsed.Environment)
	require.False(t, rotated.Secrets[1].Imported)
}

func TestBadRotations(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	for _, grace := range []time.Duration{-1, keys.MaxGrace + 1} {
		_, err := w.Rotate(t.Context(), id, grace)
		require.Equal(t, []string{"grace"}, badFields(t, err))
	}
	_, err := w.Rotate(t.Context(), id, keys.MaxGrace)
	require.NoError(t, err)
	_, err = w.Revoke(t.Context(), id)
	require.NoError(t, err)
	rotated, err := w.Rotate(t.Context(), id, 0)
	failed(t, err, apierror.CodeConflict)
	require.Empty(t, rotated.Secret.Reveal())
	require.Len(t, w.find(t, id).Secrets, 2)

	w.changes.FailOn = "key.rotate"
	id = w.create(t, keys.NewKey{}).Key.ID
	rotated, err = w.Rotate(t.Context(), id, 0)
	require.ErrorIs(t, err, repotest.ErrRecord)
	require.Empty(t, rotated.Secret.Reveal(), "a secret that opens nothing is not shown")
	require.Len(t, w.find(t, id).Secrets, 1)
	require.Nil(t, w.find(t, id).Secrets[0].ExpiresAt)
}

func TestRevokingTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	entries, stale := w.during(t, func() {
		view, err := w.Revoke(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, models.KeyRevoked, view.Key.Status(w.now))
	})
	require.Equal(t, []string{"key.revoke"}, actions(entries))
	require.Equal(t, []models.Dependency{subject("key", id, 2)}, stale)
	revoked := w.find(t, id)
	w.now = w.now.Add(time.Hour)
	entries, stale = w.during(t, func() {
		view, err := w.Revoke(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, revoked, view)
	})
	require.Empty(t, entries)
	require.Empty(t, stale)
	require.Equal(t, revoked, w.find(t, id))
}

func TestSuspendAndActivate(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	entries, stale := w.during(t, func() {
		view, err := w.Suspend(t.Context(), id, ptr(w.now.Add(time.Hour)), "abuse")
		require.NoError(t, err)
		require.Equal(t, models.KeySuspended, view.Key.Status(w.now))
		require.Equal(t, view, w.find(t, id))
		view, err = w.Activate(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, models.KeyActive, view.Key.Status(w.now))
		require.Equal(t, view, w.find(t, id))
		_, err = w.Activate(t.Context(), id)
		require.NoError(t, err)
	})
	require.Equal(t, []string{"key.suspend", "key.activate"}, actions(entries), "an active key cannot be more so")
	require.Equal(t, []models.Dependency{subject("key", id, 2), subject("key", id, 3)}, stale)
	require.Equal(t, "abuse", decode(t, entries[1].Before)["suspend_reason"])

	_, err := w.Suspend(t.Context(), id, &w.now, "")
	require.Equal(t, []string{"until"}, badFields(t, err))
	_, err = w.Suspend(t.Context(), id, nil, "two\nlines")
	require.Equal(t, []string{"reason"}, badFields(t, err))
	_, err = w.Revoke(t.Context(), id)
	require.NoError(t, err)
	_, err = w.Suspend(t.Context(), id, nil, "")
	failed(t, err, apierror.CodeConflict)
	_, err = w.Activate(t.Context(), id)
	failed(t, err, apierror.CodeConflict)
}

func TestErase(t *testing.T) {
	w := newWorld(t)
	ada := w.owner(t, "ada", "pro")
	own, adas := w.create(t, keys.NewKey{}), w.create(t, keys.NewKey{Owner: "ada"})
	entries, stale := w.during(t, func() { require.NoError(t, w.Erase(t.Context(), own.Key.ID)) })
	require.Equal(t, []string{"owner.archive", "key.erase"}, actions(entries))
	require.Equal(t, "Checkout", decode(t, entries[1].Before)["name"])
	require.Nil(t, decode(t, entries[1].After))
	require.Equal(t, []models.Dependency{subject("owner", own.Owner.ID, 2), subject("key", own.Key.ID, 2)}, stale)
	_, err := w.Find(t.Context(), own.Key.ID)
	failed(t, err, apierror.CodeNotFound)
	_, err = w.Lookup(t.Context(), own.Secret.Reveal())
	failed(t, err, apierror.CodeNotFound)
	failed(t, w.Erase(t.Context(), own.Key.ID), apierror.CodeNotFound)

	entries, _ = w.during(t, func() { require.NoError(t, w.Erase(t.Context(), adas.Key.ID)) })
	require.Equal(t, []string{"key.erase"}, actions(entries))
	still, err := w.owners.Find(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, ada, still)
}

func TestNothingIsChangedThatIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	w.owner(t, "ada", "pro")
	created := w.create(t, keys.NewKey{})
	id := created.Key.ID
	before := w.find(t, id)
	attempts := map[string]func() error{
		"key.update": func() error {
			_, err := w.Update(t.Context(), id, 0, keys.Patch{Name: ptr("x"), Owner: ptr("ada")})
			return err
		},
		"owner.archive": func() error {
			_, err := w.Update(t.Context(), id, 0, keys.Patch{Owner: ptr("ada")})
			return err
		},
		"owner.update": func() error {
			_, err := w.Update(t.Context(), id, 0, keys.Patch{Plan: ptr("pro")})
			return err
		},
		"key.revoke":  func() error { _, err := w.Revoke(t.Context(), id); return err },
		"key.suspend": func() error { _, err := w.Suspend(t.Context(), id, nil, ""); return err },
		"key.rotate":  func() error { _, err := w.Rotate(t.Context(), id, 0); return err },
		"key.erase":   func() error { return w.Erase(t.Context(), id) },
	}
	for action, attempt := range attempts {
		t.Run(action, func(t *testing.T) {
			w.changes.FailOn = action
			entries, stale := w.during(t, func() { require.ErrorIs(t, attempt(), repotest.ErrRecord) })
			require.Empty(t, entries)
			require.Empty(t, stale)
			require.Equal(t, before, w.find(t, id))
		})
	}
}

func TestResetLimitsForgetsWhatTheKeyAloneSpent(t *testing.T) {
	w := newWorld(t)
	ada := w.owner(t, "ada", "free")
	created := w.create(t, keys.NewKey{Owner: "ada", Rules: []models.Rule{
		{Name: "burst", Limit: 5, Window: time.Minute}, {Name: "daily", Limit: 100, Period: models.PeriodDay},
		{Name: "bucket", Limit: 5, Burst: 50, Window: time.Minute, Algorithm: ratelimit.GCRA},
		{Name: "log", Limit: 30, Window: time.Minute, Algorithm: ratelimit.SlidingLog},
	}})
	id := created.Key.ID
	version, err := w.plans.FindVersion(t.Context(), created.Plan.ID, 1)
	require.NoError(t, err)
	snapshot := models.Snapshot{Key: created.Key, Owner: created.Owner, PlanRules: version.Rules}
	require.NoError(t, snapshot.Compile())
	request := ratelimit.Request{Group: string(ada.ID), Cost: 5}
	for i := range snapshot.Rules() {
		request.Rules = append(request.Rules, snapshot.Rules()[i].LimitAt(w.now))
	}
	remaining := func(cost int64) map[string]int64 {
		var dec ratelimit.Decision
		request.Cost = cost
		require.NoError(t, w.limits.Take(t.Context(), &request, &dec))
		left := map[string]int64{}
		for _, r := range dec.Results {
			left[r.Rule.Name] = r.Remaining
		}
		return left
	}
	spent := remaining(5)
	require.Equal(t, map[string]int64{
		"burst": 0, "daily": 95, "bucket": 45, "log": 25, "per-minute": 55, "monthly": 9_995,
	}, spent)

	w.limits.err = errors.New("out of reach")
	entries, _ := w.during(t, func() { require.ErrorIs(t, w.ResetLimits(t.Context(), id), w.limits.err) })
	require.Empty(t, entries)
	require.Equal(t, spent, remaining(0))

	w.limits.err = nil
	entries, stale := w.during(t, func() { require.NoError(t, w.ResetLimits(t.Context(), id)) })
	require.Equal(t, []string{"key.reset_limits"}, actions(entries))
	require.Empty(t, stale)
	require.Equal(t, map[string]int64{
		"burst": 5, "daily": 100, "bucket": 50, "log": 30, "per-minute": 55, "monthly": 9_995,
	}, remaining(0), "what its owner's keys share stays")
	failed(t, w.ResetLimits(t.Context(), models.NewID[models.KeyID]()), apierror.CodeNotFound)

	plain := w.create(t, keys.NewKey{})
	require.NoError(t, w.ResetLimits(t.Context(), plain.Key.ID), "a key without limits of its own")
}

func TestResetLimitsKnowsThePinnedVersionOfThePlan(t *testing.T) {
	w := newWorld(t)
	ada := w.owner(t, "ada", "free")
	perKey := models.Rule{Name: "per-key", Limit: 5, Window: time.Minute, Scope: models.ScopeKey}
	free := w.plan(t, "free")
	require.NoError(t, w.plans.AddVersion(t.Context(), &models.PlanVersion{
		ID: models.NewID[models.PlanVersionID](), PlanID: free.ID, Number: 2, Rules: []models.Rule{perKey}, CreatedAt: w.now,
	}))
	ada.PlanVersion = ptr(2)
	require.NoError(t, w.owners.Update(t.Context(), ada))
	created := w.create(t, keys.NewKey{Owner: "ada"})
	request := ratelimit.Request{Group: string(ada.ID), Cost: 5, Rules: []ratelimit.Rule{
		{Scope: "key", ID: string(created.Key.ID), Name: "per-key", Limit: 5, Window: time.Minute},
	}}
	var dec ratelimit.Decision
	require.NoError(t, w.limits.Take(t.Context(), &request, &dec))
	require.NoError(t, w.ResetLimits(t.Context(), created.Key.ID))
	require.NoError(t, w.limits.Take(t.Context(), &request, &dec))
	require.True(t, dec.Allowed)
}

func TestLivingSecretsAreBounded(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	for range keys.MaxSecrets - 1 {
		_, err := w.Rotate(t.Context(), id, time.Hour)
		require.NoError(t, err)
	}
	_, err := w.Rotate(t.Context(), id, time.Hour)
	require.ErrorIs(t, err, apierror.CodeConflict)
	rotated, err := w.Rotate(t.Context(), id, 0)
	require.NoError(t, err, "ending the grace of all makes room")
	require.NotEmpty(t, rotated.Secret.Reveal())
}
