package repositories_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestRefsAreIDsOrNames(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.newOwner(t)
		owner.ExternalID = ptr("cust_1")
		require.NoError(t, s.owners.Create(t.Context(), &owner))

		find := map[string]func(ref string) (any, error){
			"owner":         func(ref string) (any, error) { return s.owners.Find(t.Context(), ref) },
			"locked owner":  func(ref string) (any, error) { return s.owners.Lock(t.Context(), ref) },
			"plan":          func(ref string) (any, error) { return s.plans.Find(t.Context(), ref) },
			"locked plan":   func(ref string) (any, error) { return s.plans.Lock(t.Context(), ref) },
			"keyspace":      func(ref string) (any, error) { return s.keyspaces.Find(t.Context(), ref) },
			"locked spaces": func(ref string) (any, error) { return s.keyspaces.Lock(t.Context(), ref) },
		}
		for name, find := range find {
			for _, ref := range []string{"", "nobody", "CUST_1", "a\x00b", "\xff", string(models.NewID[models.PlanID]()), "'; DROP TABLE owners; --"} {
				_, err := find(ref)
				require.ErrorIs(t, err, apierror.CodeNotFound, "%s %q", name, ref)
			}
		}
		for _, ref := range []string{"cust_1", string(owner.ID)} {
			got, err := s.owners.Find(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, owner.ID, got.ID)
		}
		_, err := s.keys.Find(t.Context(), "no-uuid")
		require.ErrorIs(t, err, apierror.CodeNotFound)
		_, err = s.keys.Find(t.Context(), models.NewID[models.KeyID]())
		require.Equal(t, "There is no such key", refused(t, err, apierror.CodeNotFound).Detail)
		_, err = s.tokens.Lock(t.Context(), "no-uuid")
		require.ErrorIs(t, err, apierror.CodeNotFound)
	})
}

func TestWhatIsTakenIsNamed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		now := s.clock.Now()
		owner := s.newOwner(t)
		owner.ExternalID = ptr("cust_1")
		require.NoError(t, s.owners.Create(t.Context(), &owner))
		key := s.key(t)
		require.NoError(t, s.keys.AddSecret(t.Context(), ptr(s.newSecret(key.ID, "x"))))
		token := func() *models.AccessToken {
			return &models.AccessToken{ID: models.NewID[models.TokenID](), Hash: apikey.Sum("x"), Version: 1, CreatedAt: now, UpdatedAt: now}
		}
		require.NoError(t, s.tokens.Create(t.Context(), token()))
		free := s.plan(t, "free")

		tests := []struct {
			field  string
			create func() error
		}{
			{"external_id", func() error {
				twin := s.newOwner(t)
				twin.ExternalID = ptr("cust_1")
				return s.owners.Create(t.Context(), &twin)
			}},
			{"id", func() error {
				twin := s.newOwner(t)
				twin.ID = owner.ID
				return s.owners.Create(t.Context(), &twin)
			}},
			{"name", func() error {
				return s.keyspaces.Create(t.Context(), &models.Keyspace{
					ID: models.NewID[models.KeyspaceID](), Name: "default", Prefix: "other", Version: 1, CreatedAt: now, UpdatedAt: now,
				})
			}},
			{"name", func() error {
				id := models.NewID[models.PlanID]()
				return s.plans.Create(t.Context(),
					&models.Plan{ID: id, Name: "free", Current: 1, Version: 1, CreatedAt: now, UpdatedAt: now},
					&models.PlanVersion{ID: models.NewID[models.PlanVersionID](), PlanID: id, Number: 1, CreatedAt: now})
			}},
			{"number", func() error {
				return s.plans.AddVersion(t.Context(), &models.PlanVersion{
					ID: models.NewID[models.PlanVersionID](), PlanID: free.ID, Number: 1, CreatedAt: now,
				})
			}},
			{"hash", func() error { return s.keys.AddSecret(t.Context(), ptr(s.newSecret(key.ID, "x"))) }},
			{"hash", func() error { return s.tokens.Create(t.Context(), token()) }},
		}
		for _, test := range tests {
			require.Equal(t, test.field, field(t, refused(t, test.create(), apierror.CodeAlreadyExists)))
		}
		keyspace := *s.keyspace(t)
		keyspace.ID, keyspace.Name = models.NewID[models.KeyspaceID](), "another"
		require.NoError(t, s.keyspaces.Create(t.Context(), &keyspace), "keyspaces may share a prefix")
	})
}

func TestOwnersWithoutExternalIDDoNotCollide(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		require.NoError(t, s.owners.CreateMany(t.Context(), []models.Owner{s.newOwner(t), s.newOwner(t)}))
		require.NoError(t, s.owners.CreateMany(t.Context(), nil))
	})
}

func TestCreateManyStoresAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owners := make([]models.Owner, 1500) // more than one INSERT takes
		for i := range owners {
			owners[i] = s.newOwner(t)
		}
		last := owners[len(owners)-1].ID
		owners[len(owners)-1].ID = owners[0].ID
		refused(t, s.owners.CreateMany(t.Context(), owners), apierror.CodeAlreadyExists)
		list, err := s.owners.List(t.Context(), models.OwnerFilter{}, models.Page{})
		require.NoError(t, err)
		require.Empty(t, list)

		owners[len(owners)-1].ID = last
		require.NoError(t, s.owners.CreateMany(t.Context(), owners))
		list, err = s.owners.List(t.Context(), models.OwnerFilter{}, models.Page{Limit: 2000})
		require.NoError(t, err)
		require.Len(t, list, 1500)
	})
}

func TestFindManyGivesWhatThereIs(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		a, b, gone := s.owner(t), s.owner(t), models.NewID[models.OwnerID]()
		owners, err := s.owners.FindMany(t.Context(), []models.OwnerID{a.ID, b.ID, gone, a.ID})
		require.NoError(t, err)
		require.Equal(t, map[models.OwnerID]models.Owner{a.ID: *a, b.ID: *b}, owners)
		owners, err = s.owners.FindMany(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, owners)

		free := s.plan(t, "free")
		plans, err := s.plans.FindMany(t.Context(), []models.PlanID{free.ID})
		require.NoError(t, err)
		require.Equal(t, map[models.PlanID]models.Plan{free.ID: *free}, plans)
		keyspace := s.keyspace(t)
		keyspaces, err := s.keyspaces.FindMany(t.Context(), []models.KeyspaceID{keyspace.ID})
		require.NoError(t, err)
		require.Equal(t, map[models.KeyspaceID]models.Keyspace{keyspace.ID: *keyspace}, keyspaces)
	})
}

func TestUpdateMovesToTheNextVersionOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t, func(k *models.APIKey) { k.Tags, k.ExpiresAt = []string{"a"}, ptr(at(1)) })
		stale := *key
		now := s.clock.advance(time.Second)
		key.Name, key.Tags, key.ExpiresAt = "renamed", nil, nil
		require.NoError(t, s.keys.Update(t.Context(), key))
		require.EqualValues(t, 2, key.Version)
		require.Equal(t, now, key.UpdatedAt)
		got, err := s.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.Equal(t, key, got, "fields that were emptied are stored too")

		lost := stale
		lost.Name = "lost"
		refused(t, s.keys.Update(t.Context(), &lost), apierror.CodePreconditionFailed)
		require.Equal(t, stale.Version, lost.Version, "what was not stored keeps its version")
		require.Equal(t, stale.UpdatedAt, lost.UpdatedAt)
		got, err = s.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.Equal(t, "renamed", got.Name)

		require.NoError(t, s.keys.Delete(t.Context(), key.ID))
		refused(t, s.keys.Update(t.Context(), key), apierror.CodeNotFound)
	})
}

func TestEveryKindOfEntityIsUpdated(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.owner(t)
		owner.ExternalID, owner.Rules = ptr("cust_9"), someRules
		require.NoError(t, s.owners.Update(t.Context(), owner))
		gotOwner, err := s.owners.Find(t.Context(), "cust_9")
		require.NoError(t, err)
		require.Equal(t, owner, gotOwner)

		plan := s.plan(t, "free")
		plan.ArchivedAt = ptr(at(1))
		require.NoError(t, s.plans.Update(t.Context(), plan))
		require.Equal(t, plan, s.plan(t, "free"))

		keyspace := s.keyspace(t)
		keyspace.Imported = true
		require.NoError(t, s.keyspaces.Update(t.Context(), keyspace))
		require.Equal(t, keyspace, s.keyspace(t))

		token := &models.AccessToken{ID: models.NewID[models.TokenID](), Version: 1, CreatedAt: at(1), UpdatedAt: at(1)}
		require.NoError(t, s.tokens.Create(t.Context(), token))
		token.RevokedAt = ptr(at(2))
		require.NoError(t, s.tokens.Update(t.Context(), token))
		gotToken, err := s.tokens.Find(t.Context(), token.ID)
		require.NoError(t, err)
		require.Equal(t, token, gotToken)

		taken := s.owner(t)
		taken.ExternalID = ptr("cust_9")
		require.Equal(t, "external_id", field(t, refused(t, s.owners.Update(t.Context(), taken), apierror.CodeAlreadyExists)))
	})
}

func TestWhatIsInUseCannotBeErased(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t)
		require.NoError(t, s.keys.AddSecret(t.Context(), ptr(s.newSecret(key.ID, "x"))))
		n, err := s.owners.CountKeys(t.Context(), key.OwnerID)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)

		inUse := refused(t, s.owners.Delete(t.Context(), key.OwnerID), apierror.CodeConflict)
		require.Equal(t, "The owner is still in use", inUse.Detail)
		refused(t, s.keyspaces.Delete(t.Context(), key.KeyspaceID), apierror.CodeConflict)
		refused(t, s.plans.Delete(t.Context(), s.plan(t, "free").ID), apierror.CodeConflict)

		require.NoError(t, s.keys.Delete(t.Context(), key.ID), "its secrets go with it")
		secrets, err := s.keys.SecretsOf(t.Context(), []models.KeyID{key.ID})
		require.NoError(t, err)
		require.Empty(t, secrets)
		n, err = s.owners.CountKeys(t.Context(), key.OwnerID)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, s.owners.Delete(t.Context(), key.OwnerID))
		require.NoError(t, s.keyspaces.Delete(t.Context(), key.KeyspaceID))
		free := s.plan(t, "free")
		require.NoError(t, s.plans.Delete(t.Context(), free.ID), "its versions go with it")
		_, err = s.plans.FindVersion(t.Context(), free.ID, 1)
		refused(t, err, apierror.CodeNotFound)

		refused(t, s.plans.Delete(t.Context(), free.ID), apierror.CodeNotFound)
		refused(t, s.keys.Delete(t.Context(), "no-uuid"), apierror.CodeNotFound)
	})
}

func TestReferencesMustHold(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		orphan := s.newKey(t, models.NewID[models.OwnerID]())
		refused(t, s.keys.Create(t.Context(), []models.APIKey{orphan}, nil), apierror.CodeConflict)
		pinned := s.newOwner(t)
		pinned.PlanVersion = ptr(2)
		refused(t, s.owners.Create(t.Context(), &pinned), apierror.CodeConflict)
		pinned.PlanVersion = ptr(1)
		require.NoError(t, s.owners.Create(t.Context(), &pinned))
	})
}

func TestPlanVersions(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		free, pro := s.plan(t, "free"), s.plan(t, "pro")
		for number := 2; number <= 11; number++ {
			require.NoError(t, s.plans.AddVersion(t.Context(), &models.PlanVersion{
				ID: models.NewID[models.PlanVersionID](), PlanID: free.ID, Number: number, CreatedAt: at(number),
			}))
		}
		free.Current = 11
		require.NoError(t, s.plans.Update(t.Context(), free))

		current, err := s.plans.CurrentVersions(t.Context(), []models.PlanID{free.ID, pro.ID, models.NewID[models.PlanID]()})
		require.NoError(t, err)
		require.Len(t, current, 2)
		require.Equal(t, 11, current[free.ID].Number)
		require.Equal(t, 1, current[pro.ID].Number)
		require.NotEmpty(t, current[pro.ID].Rules)

		numbers := func(page models.Page) (list []int) {
			versions, err := s.plans.Versions(t.Context(), free.ID, page)
			require.NoError(t, err)
			for _, v := range versions {
				list = append(list, v.Number)
			}
			return list
		}
		require.Equal(t, []int{11, 10, 9}, numbers(models.Page{Limit: 3}), "the newest first")
		id := current[free.ID].ID
		require.Equal(t, []int{10, 9}, numbers(models.Page{Limit: 2, After: &models.Position{Value: "11", ID: string(id)}}))
		require.Equal(t, []int{1, 2}, numbers(models.Page{Limit: 2, Sort: "number"}))
	})
}
