package repositories_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestSnapshotHoldsAllThatAChecksNeeds(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.newOwner(t)
		owner.ExternalID, owner.Name, owner.TimeZone, owner.AnchorDay = ptr("cust_42"), "Ada", "Asia/Kathmandu", 15
		owner.Rules = []models.Rule{{Name: "per-minute", Limit: 7, Window: time.Minute, Scope: models.ScopeOwner}}
		require.NoError(t, s.owners.Create(t.Context(), &owner))
		key := s.newKey(t, owner.ID)
		key.AllowedIPs, key.Rules = []string{"10.0.0.0/8"}, someRules
		key.Metadata, key.ExpiresAt = map[string]string{"region": "eu"}, ptr(at(1))
		secret, other := s.newSecret(key.ID, "x"), s.newSecret(key.ID, "y")
		secret.PepperID, secret.ExpiresAt = "2026", ptr(at(2))
		require.NoError(t, s.keys.Create(t.Context(), []models.APIKey{key}, []models.Secret{secret, other}))

		got, err := s.keys.Snapshot(t.Context(), []apikey.Hash{apikey.Sum("unknown"), secret.Hash})
		require.NoError(t, err)
		keyspace, plan := s.keyspace(t), s.plan(t, "free")
		require.Equal(t, key, got.Key)
		require.Equal(t, secret, got.Secret)
		require.Equal(t, models.Keyspace{
			ID: keyspace.ID, Name: "default", Prefix: "viva", Version: 1,
		}, got.Keyspace)
		require.Equal(t, models.Owner{
			ID: owner.ID, ExternalID: ptr("cust_42"), Name: "Ada", PlanID: plan.ID, Rules: owner.Rules,
			TimeZone: "Asia/Kathmandu", AnchorDay: 15, Version: 1,
		}, got.Owner)
		require.Equal(t, models.Plan{ID: plan.ID, Name: "free", Current: 1, Version: 1}, got.Plan)
		require.Equal(t, 1, got.PlanVersion)
		version, err := s.plans.FindVersion(t.Context(), plan.ID, 1)
		require.NoError(t, err)
		require.Equal(t, version.Rules, got.PlanRules)

		require.Len(t, got.Rules(), 2+len(someRules), "it is compiled: the plan's two, one of them overridden, and the key's")
		require.False(t, got.AllowsIP(netip.MustParseAddr("192.0.2.1")))
		require.Len(t, got.Dependencies(), 4)
	})
}

func TestSnapshotFollowsThePlanUnlessTheOwnerIsPinned(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t)
		hash := apikey.Sum("x")
		require.NoError(t, s.keys.AddSecret(t.Context(), ptr(s.newSecret(key.ID, "x"))))
		number := func() int {
			snapshot, err := s.keys.Snapshot(t.Context(), []apikey.Hash{hash})
			require.NoError(t, err)
			return snapshot.PlanVersion
		}
		require.Equal(t, 1, number())

		plan := s.plan(t, "free")
		require.NoError(t, s.plans.AddVersion(t.Context(), &models.PlanVersion{
			ID: models.NewID[models.PlanVersionID](), PlanID: plan.ID, Number: 2, CreatedAt: at(1),
		}))
		require.Equal(t, 1, number(), "a version is in force when the plan says so")
		plan.Current = 2
		require.NoError(t, s.plans.Update(t.Context(), plan))
		require.Equal(t, 2, number())

		owner, err := s.owners.Find(t.Context(), string(key.OwnerID))
		require.NoError(t, err)
		owner.PlanVersion = ptr(1)
		require.NoError(t, s.owners.Update(t.Context(), owner))
		require.Equal(t, 1, number())
	})
}

func TestSnapshotOfAnUnknownSecretIsNotFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		_, err := s.keys.Snapshot(t.Context(), []apikey.Hash{apikey.Sum("x"), apikey.Sum("y")})
		refused(t, err, apierror.CodeNotFound)
	})
}

func TestSnapshotThatDoesNotCompileIsAFault(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t, func(k *models.APIKey) { k.AllowedIPs = []string{"everywhere"} })
		require.NoError(t, s.keys.AddSecret(t.Context(), ptr(s.newSecret(key.ID, "x"))))
		_, err := s.keys.Snapshot(t.Context(), []apikey.Hash{apikey.Sum("x")})
		require.Error(t, err)
		require.Equal(t, apierror.CodeInternal, apierror.CodeOf(err))
	})
}
