package repositories_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestMigratedDatabaseHoldsTheSeededKeyspaceAndPlans(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		keyspaces, err := s.keyspaces.All(t.Context())
		require.NoError(t, err)
		require.Len(t, keyspaces, 1)
		require.Equal(t, "default", keyspaces[0].Name)
		require.Equal(t, "viva", keyspaces[0].Prefix)
		require.Equal(t, s.clock.Now(), keyspaces[0].CreatedAt)

		minute := func(limit int64) models.Rule {
			return models.Rule{Name: "per-minute", Limit: limit, Window: time.Minute, Algorithm: ratelimit.SlidingWindow, Scope: models.ScopeOwner}
		}
		month := func(limit int64, overage models.Overage) models.Rule {
			return models.Rule{Name: "monthly", Limit: limit, Period: models.PeriodMonth, Algorithm: ratelimit.FixedWindow, Scope: models.ScopeOwner, Overage: overage}
		}
		for name, rules := range map[string][]models.Rule{
			"free":       {minute(60), month(10_000, models.OverageBlock)},
			"pro":        {minute(1_000), month(1_000_000, models.OverageAllow)},
			"enterprise": {minute(10_000)},
		} {
			plan := s.plan(t, name)
			version, err := s.plans.FindVersion(t.Context(), plan.ID, plan.Current)
			require.NoError(t, err)
			require.Equal(t, rules, version.Rules, name)
		}
	})
}

func TestDefaultKeyspaceTakesThePrefixConfigured(t *testing.T) {
	db := engines[repositories.SQLite](t, repositories.Options{DefaultPrefix: "shop_eu"})
	require.NoError(t, db.Migrate(t.Context()))
	keyspace, err := repositories.NewKeyspaces(db).Find(t.Context(), models.DefaultKeyspace)
	require.NoError(t, err)
	require.Equal(t, "shop_eu", keyspace.Prefix)
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		free := s.plan(t, "free")
		require.NoError(t, s.plans.Delete(t.Context(), s.plan(t, "enterprise").ID))
		require.NoError(t, s.db.Migrate(t.Context()))

		plans, err := s.plans.List(t.Context(), models.Page{}, true)
		require.NoError(t, err)
		require.Len(t, plans, 2, "a plan that was erased stays erased")
		require.Equal(t, free, s.plan(t, "free"))
	})
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		up, err := s.db.MigrationStatus(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, up)
		before := schemaOf(t, s.db)
		for _, m := range up {
			require.False(t, m.AppliedAt.IsZero(), m.Name)
		}
		requireVersion(t, s.db, up[len(up)-1].Version)

		require.NoError(t, s.db.MigrateDown(t.Context(), 1))
		requireVersion(t, s.db, up[len(up)-2].Version)

		require.NoError(t, s.db.MigrateDown(t.Context(), 1000))
		requireVersion(t, s.db, 0)
		require.Empty(t, schemaOf(t, s.db), "nothing may be left behind")
		down, err := s.db.MigrationStatus(t.Context())
		require.NoError(t, err)
		for _, m := range down {
			require.True(t, m.AppliedAt.IsZero(), m.Name)
		}

		require.NoError(t, s.db.Migrate(t.Context()))
		require.Equal(t, before, schemaOf(t, s.db))
		s.plan(t, "free")
	})
}

func requireVersion(t *testing.T, db *repositories.DB, want int64) {
	t.Helper()
	current, wanted, err := db.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, current)
	all, err := db.MigrationStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, wanted, all[len(all)-1].Version)
}
