package keys_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestAKeyWithoutAnOwnerGetsOneOfItsOwn(t *testing.T) {
	w := newWorld(t)
	actor := models.Actor{Kind: "token", ID: "tok", Name: "ops", IP: "192.0.2.1", RequestID: "req"}
	var created keys.Created
	entries, stale := w.during(t, func() {
		var err error
		created, err = w.Create(models.WithActor(t.Context(), actor), keys.NewKey{Name: "Checkout", Metadata: map[string]string{"region": "eu"}})
		require.NoError(t, err)
	})
	parsed, err := apikey.Parse(created.Secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, apikey.Key{Prefix: "viva", Environment: apikey.Live}, parsed)
	require.Equal(t, "default", created.Keyspace.Name)
	require.Equal(t, "free", created.Plan.Name)
	require.True(t, created.Owner.Implicit)
	require.Equal(t, "Checkout", created.Owner.Name)
	require.Equal(t, "UTC", created.Owner.TimeZone)
	require.EqualValues(t, 1, created.Key.Version)
	require.Equal(t, []string{apikey.Mask(created.Secret.Reveal())}, []string{created.Secrets[0].Mask})

	stored := w.find(t, created.Key.ID)
	require.Equal(t, created.View, stored, "what is answered is what is stored")

	require.Equal(t, []string{"owner.create", "key.create"}, actions(entries))
	require.Empty(t, stale, "nobody can have asked for a secret that was not there")
	for _, e := range entries {
		by := models.Actor{Kind: e.ActorKind, ID: e.ActorID, Name: e.ActorName, IP: e.IP, RequestID: e.RequestID}
		require.Equal(t, actor, by)
		require.Equal(t, w.now, e.At)
		require.Nil(t, decode(t, e.Before))
	}
	require.Equal(t, string(created.Owner.ID), entries[0].ObjectID)
	require.Equal(t, string(created.Key.ID), entries[1].ObjectID)
	after := decode(t, entries[1].After)
	require.Equal(t, "Checkout", after["name"])
	require.Equal(t, string(created.Owner.ID), after["owner_id"])
	require.Equal(t, created.Secrets[0].Mask, after["secrets"].([]any)[0].(map[string]any)["mask"])
}

func decode(t testing.TB, state json.RawMessage) map[string]any {
	t.Helper()
	if len(state) == 0 {
		return nil
	}
	var members map[string]any
	require.NoError(t, json.Unmarshal(state, &members))
	return members
}

func TestOwnerAndPlanOfANewKey(t *testing.T) {
	w := newWorld(t)
	pro := w.plan(t, "pro")
	ada, left := w.owner(t, "ada", "pro"), w.owner(t, "left", "pro")
	w.archive(t, left)
	old := &models.Plan{ID: models.NewID[models.PlanID](), Name: "old", Current: 1, ArchivedAt: &w.now, Version: 1, CreatedAt: w.now, UpdatedAt: w.now}
	require.NoError(t, w.plans.Create(t.Context(), old, &models.PlanVersion{
		ID: models.NewID[models.PlanVersionID](), PlanID: old.ID, Number: 1, CreatedAt: w.now,
	}))
	tests := []struct {
		name        string
		owner, plan string
		wantPlan    string
		bad         []string
	}{
		{"neither", "", "", "free", nil},
		{"a plan by name", "", "pro", "pro", nil},
		{"a plan by id", "", string(pro.ID), "pro", nil},
		{"an owner by external id", "ada", "", "pro", nil},
		{"an owner by id", string(ada.ID), "", "pro", nil},
		{"an owner and its plan", "ada", "pro", "pro", nil},
		{"an owner and its plan's id", "ada", string(pro.ID), "pro", nil},
		{"an owner and another plan", "ada", "free", "", []string{"plan"}},
		{"a plan that is not there", "", "gold", "", []string{"plan"}},
		{"an archived plan", "", "old", "", []string{"plan"}},
		{"an owner that is not there", "bob", "", "", []string{"owner"}},
		{"an owner that is not there, and a plan", "bob", "pro", "", []string{"owner"}},
		{"an archived owner", "left", "", "", []string{"owner"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			created, err := w.Create(t.Context(), keys.NewKey{Name: "k", Owner: test.owner, Plan: test.plan})
			if test.bad != nil {
				require.Equal(t, test.bad, badFields(t, err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.wantPlan, created.Plan.Name)
			require.Equal(t, test.owner == "", created.Owner.Implicit)
			if test.owner != "" {
				require.Equal(t, ada.ID, created.Owner.ID)
			}
			require.Equal(t, created.View, w.find(t, created.Key.ID))
		})
	}
}

func TestASecondKeyMakesAnOwnerExplicit(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, keys.NewKey{})
	var second keys.Created
	entries, stale := w.during(t, func() { second = w.create(t, keys.NewKey{Owner: string(first.Owner.ID)}) })
	require.False(t, second.Owner.Implicit)
	require.Equal(t, []string{"owner.update", "key.create"}, actions(entries))
	require.Equal(t, []models.Dependency{subject("owner", first.Owner.ID, 2)}, stale)

	require.NoError(t, w.Erase(t.Context(), first.Key.ID))
	require.Nil(t, w.find(t, second.Key.ID).Owner.ArchivedAt, "the owner still has a key")
}

func TestBadNewKeys(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		key  keys.NewKey
		bad  []string
	}{
		{"nothing", keys.NewKey{}, []string{"name"}},
		{"no such keyspace", keys.NewKey{Name: "k", Keyspace: "shop"}, []string{"keyspace"}},
		{"no such environment", keys.NewKey{Name: "k", Environment: "prod"}, []string{"environment"}},
		{"no such environment of an import", keys.NewKey{Name: "k", Environment: "prod", Import: imported("made elsewhere")}, []string{"environment"}},
		{"expired", keys.NewKey{Name: "k", ExpiresAt: ptr(w.now)}, []string{"expires_at"}},
		{"expires too late", keys.NewKey{Name: "k", ExpiresAt: ptr(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))}, []string{"expires_at"}},
		{"window 0", keys.NewKey{Name: "k", Rules: []models.Rule{{Name: "r", Limit: 1}}}, []string{"rules[0].window"}},
		{"many at once", keys.NewKey{Keyspace: "shop", Owner: "bob", Tags: []string{"a", "a"}}, []string{"name", "tags[1]", "keyspace", "owner"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entries, stale := w.during(t, func() {
				_, err := w.Create(t.Context(), test.key)
				require.Equal(t, test.bad, badFields(t, err))
			})
			require.Empty(t, entries)
			require.Empty(t, stale)
		})
	}
	keyCount, ownerCount := w.count(t)
	require.Zero(t, keyCount)
	require.Zero(t, ownerCount)
}

func TestAKeyIsStoredAsItIsAnswered(t *testing.T) {
	w := newWorld(t)
	created := w.create(t, keys.NewKey{
		Environment: apikey.Test,
		ExpiresAt:   ptr(time.Date(2030, 1, 1, 1, 0, 0, 1_999, time.FixedZone("", 3600))),
		AllowedIPs:  []string{"10.1.2.3/8", "::ffff:192.0.2.1"}, Permissions: []string{"orders:read"},
		Methods: []string{"get"}, Endpoints: []string{"/v1/**"}, Tags: []string{"eu"}, Metadata: map[string]string{"a": "b"},
		Rules: []models.Rule{{Name: "r", Limit: 3, Window: 20 * time.Second, Methods: []string{"post"}}},
	})
	require.Equal(t, created.View, w.find(t, created.Key.ID))
	require.Equal(t, []string{"10.0.0.0/8", "192.0.2.1/32"}, created.Key.AllowedIPs)
	require.Equal(t, time.Date(2030, 1, 1, 0, 0, 0, 1_000, time.UTC), *created.Key.ExpiresAt)
	require.Equal(t, []string{"GET"}, created.Key.Methods)
	require.Equal(t, models.ScopeKey, created.Key.Rules[0].Scope)
	parsed, err := apikey.Parse(created.Secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, apikey.Test, parsed.Environment)
}

func TestLookupFindsAKeyByItsSecret(t *testing.T) {
	for name, peppers := range map[string][]models.Pepper{"plain": nil, "peppered": {models.NewPepper([]byte("pepper"))}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, peppers...)
			created := w.create(t, keys.NewKey{})
			_, err := w.Revoke(t.Context(), created.Key.ID)
			require.NoError(t, err)
			view, err := w.Lookup(t.Context(), created.Secret.Reveal())
			require.NoError(t, err)
			require.Equal(t, created.Key.ID, view.Key.ID, "whatever its status")
			_, err = w.Lookup(t.Context(), "viva_live_nothing")
			failed(t, err, apierror.CodeNotFound)
			_, err = w.Lookup(t.Context(), "")
			failed(t, err, apierror.CodeNotFound)
		})
	}
}

func TestBulkCreatesAllOrNothing(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateMany(t.Context(), nil)
	require.Equal(t, []string{"keys"}, badFields(t, err))
	_, err = w.CreateMany(t.Context(), make([]keys.NewKey, keys.MaxBulk+1))
	require.Equal(t, []string{"keys"}, badFields(t, err))

	_, err = w.CreateMany(t.Context(), []keys.NewKey{
		{Name: "good"}, {Name: ""}, {Name: "k", Rules: []models.Rule{{Name: "r", Limit: 1}}}, {Name: "k", Owner: "bob"},
	})
	require.Equal(t, []string{"keys[1].name", "keys[2].rules[0].window", "keys[3].owner"}, badFields(t, err))
	keyCount, ownerCount := w.count(t)
	require.Zero(t, keyCount)
	require.Zero(t, ownerCount)

	ada := w.owner(t, "ada", "pro")
	list := []keys.NewKey{{Name: "a", Owner: "ada"}, {Name: "b"}, {Name: "c", Owner: string(ada.ID)}, {Name: "d", Import: imported("made elsewhere")}}
	entries, _ := w.during(t, func() {
		created, err := w.CreateMany(t.Context(), list)
		require.NoError(t, err)
		require.Len(t, created, 4)
		for i, c := range created {
			require.Equal(t, list[i].Name, c.Key.Name, "in order")
			require.Equal(t, list[i].Import == nil, c.Secret.Reveal() != "")
		}
		require.Equal(t, ada.ID, created[0].Owner.ID)
		require.Equal(t, ada.ID, created[2].Owner.ID)
		require.True(t, created[1].Owner.Implicit)
	})
	require.ElementsMatch(t, []string{
		"owner.create", "owner.create", "key.create", "key.create", "key.create", "key.import", "keyspace.open_to_imports",
	}, actions(entries))
}

func TestTheLargestBulk(t *testing.T) {
	w := newWorld(t)
	list := make([]keys.NewKey, keys.MaxBulk)
	for i := range list {
		list[i] = keys.NewKey{Name: fmt.Sprint("k", i), Import: imported(fmt.Sprint("secret ", i))}
	}
	var created []keys.Created
	entries, stale := w.during(t, func() {
		var err error
		created, err = w.CreateMany(t.Context(), list)
		require.NoError(t, err)
	})
	require.Len(t, created, keys.MaxBulk)
	require.ElementsMatch(t, []string{"owner.create", "key.import", "keyspace.open_to_imports"}, actions(entries), "one entry for all")
	subjects := map[models.Subject]bool{}
	for _, d := range stale {
		subjects[d.Subject] = true
	}
	ids := make([]string, len(created))
	for i, c := range created {
		ids[i] = string(c.Key.ID)
		require.True(t, subjects[models.HashSubject(apikey.Sum(fmt.Sprint("secret ", i)))])
	}
	for _, c := range []keys.Created{created[0], created[500], created[999]} {
		found, err := w.audits.List(t.Context(), models.AuditFilter{ObjectID: string(c.Key.ID)}, models.Page{})
		require.NoError(t, err)
		require.Equal(t, []string{"key.import"}, actions(found), "found by each")
		found, err = w.audits.List(t.Context(), models.AuditFilter{ObjectID: string(c.Owner.ID)}, models.Page{})
		require.NoError(t, err)
		require.Equal(t, []string{"owner.create"}, actions(found))
	}
	slices.Sort(ids)
	imported, err := w.audits.List(t.Context(), models.AuditFilter{Action: "key.import"}, models.Page{})
	require.NoError(t, err)
	require.Len(t, imported, 1)
	require.JSONEq(t, fmt.Sprintf(`{"count":1000,"first":%q,"last":%q,"sha256":"%s"}`, ids[0], ids[999],
		apikey.Sum(strings.Join(ids, "\n")+"\n")), string(imported[0].After))
	keyCount, ownerCount := w.count(t)
	require.Equal(t, keys.MaxBulk, keyCount)
	require.Equal(t, keys.MaxBulk, ownerCount)
}

func TestNothingIsCreatedThatIsNotRecorded(t *testing.T) {
	for _, action := range []string{"owner.create", "key.create", "key.import", "keyspace.open_to_imports"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t)
			w.changes.FailOn = action
			entries, stale := w.during(t, func() {
				_, err := w.CreateMany(t.Context(), []keys.NewKey{{Name: "a"}, {Name: "b", Import: imported("made elsewhere")}})
				require.ErrorIs(t, err, repotest.ErrRecord)
			})
			require.Empty(t, entries)
			require.Empty(t, stale)
			keyCount, ownerCount := w.count(t)
			require.Zero(t, keyCount)
			require.Zero(t, ownerCount)
			keyspace, err := w.FindKeyspace(t.Context(), "default")
			require.NoError(t, err)
			require.False(t, keyspace.Imported)
		})
	}
}

func TestImport(t *testing.T) {
	pepper := models.NewPepper([]byte("pepper"))
	w := newWorld(t, pepper)
	const secret = "sk_made_elsewhere_0123456789"
	var created keys.Created
	entries, stale := w.during(t, func() { created = w.create(t, keys.NewKey{Import: imported(secret)}) })
	require.Empty(t, created.Secret.Reveal())
	require.Equal(t, "imported", created.Secrets[0].Mask)
	require.True(t, created.Secrets[0].Imported)
	require.Equal(t, pepper.ID, created.Secrets[0].PepperID)
	require.Equal(t, []string{"keyspace.open_to_imports", "owner.create", "key.import"}, actions(entries))
	require.ElementsMatch(t, []models.Dependency{
		{Subject: models.HashSubject(apikey.Sum(secret)), Version: 1},
		{Subject: models.DirectorySubject, Version: 1},
		subject("keyspace", created.Keyspace.ID, 2),
	}, stale)
	view, err := w.Lookup(t.Context(), secret)
	require.NoError(t, err)
	require.True(t, view.Keyspace.Imported)

	entries, stale = w.during(t, func() {
		created = w.create(t, keys.NewKey{Import: &keys.Import{Hash: apikey.Sum("another"), Mask: "sk_…9876"}})
	})
	require.Equal(t, "sk_…9876", created.Secrets[0].Mask)
	require.Equal(t, []string{"owner.create", "key.import"}, actions(entries), "the keyspace is open already")
	require.Equal(t, []models.Dependency{{Subject: models.HashSubject(apikey.Sum("another")), Version: 1}}, stale)
}

func TestBadImports(t *testing.T) {
	const secret = "sk_made_elsewhere_0123456789"
	generated, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	last, current := models.NewPepper([]byte("last year")), models.NewPepper([]byte("this year"))
	w := newWorld(t)
	w.create(t, keys.NewKey{Import: imported("stored plain")})
	w.Peppers = models.Peppers{last}
	w.create(t, keys.NewKey{Import: imported("stored last year")})
	w.Peppers = models.Peppers{current, last}
	w.create(t, keys.NewKey{Import: imported("stored this year")})
	tests := []struct {
		name    string
		imports []*keys.Import
		bad     []string
	}{
		{"the secret as its mask", []*keys.Import{{Hash: apikey.Sum(secret), Mask: secret}}, []string{"keys[0].import.mask"}},
		{"another key as its mask", []*keys.Import{{Hash: apikey.Sum(secret), Mask: generated.Reveal()}}, []string{"keys[0].import.mask"}},
		{"a long mask", []*keys.Import{{Hash: apikey.Sum(secret), Mask: string(make([]byte, 65))}}, []string{"keys[0].import.mask"}},
		{"the same twice", []*keys.Import{imported(secret), imported("x"), imported(secret)}, []string{"keys[2].import.hash"}},
		{"one there, plain", []*keys.Import{imported("x"), imported("stored plain")}, []string{"keys[1].import.hash"}},
		{"one there, under the last pepper", []*keys.Import{imported("stored last year")}, []string{"keys[0].import.hash"}},
		{"one there, under this pepper", []*keys.Import{imported("stored this year")}, []string{"keys[0].import.hash"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var list []keys.NewKey
			for _, i := range test.imports {
				list = append(list, keys.NewKey{Name: "k", Import: i})
			}
			_, err := w.CreateMany(t.Context(), list)
			require.Equal(t, test.bad, badFields(t, err))
		})
	}
	keyCount, _ := w.count(t)
	require.Equal(t, 3, keyCount)
}

// Everything that is done to keys leaves audit rows, and none of them says
// anything of a secret.
func TestAuditRowsHoldNoSecret(t *testing.T) {
	w := newWorld(t, models.NewPepper([]byte("pepper")))
	created := w.create(t, keys.NewKey{})
	rotated, err := w.Rotate(t.Context(), created.Key.ID, time.Hour)
	require.NoError(t, err)
	const foreign = "sk_made_elsewhere_0123456789"
	w.create(t, keys.NewKey{Import: imported(foreign)})
	_, err = w.Update(t.Context(), created.Key.ID, 0, keys.Patch{Name: ptr("renamed")})
	require.NoError(t, err)
	require.NoError(t, w.Erase(t.Context(), created.Key.ID))

	var hashes []apikey.Hash
	secrets := []string{created.Secret.Reveal(), rotated.Secret.Reveal(), foreign}
	for _, secret := range secrets {
		hashes = append(hashes, w.Peppers.Candidates(apikey.Sum(secret))...)
	}
	entries, _ := w.trail(t)
	require.Greater(t, len(entries), 6)
	for _, e := range entries {
		row, err := json.Marshal(e)
		require.NoError(t, err)
		for _, secret := range secrets {
			require.NotContains(t, string(row), secret)
		}
		for _, hash := range hashes {
			require.NotContains(t, string(row), hex.EncodeToString(hash[:]))
			require.NotContains(t, string(row), base64.StdEncoding.EncodeToString(hash[:]))
		}
	}
}

func TestACanceledCreateLeavesNothing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Create(ctx, keys.NewKey{Name: "k"})
	require.ErrorIs(t, err, context.Canceled)
	keyCount, ownerCount := w.count(t)
	require.Zero(t, keyCount)
	require.Zero(t, ownerCount)
}
