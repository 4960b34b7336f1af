package repositories_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// at is an instant with every digit of a microsecond set.
func at(second int) time.Time { return time.Date(2026, 7, 4, 12, 0, second, 987654000, time.UTC) }

var someRules = []models.Rule{
	{Name: "burst", Limit: 1 << 32, Window: 1500 * time.Millisecond, Scope: models.ScopeKey,
		Methods: []string{"GET", "PUT"}, Endpoints: []string{"/v1/users/*", "/v1/**"}, Shadow: true},
	{Name: "daily", Limit: 1<<53 - 1, Period: models.PeriodDay, Algorithm: ratelimit.FixedWindow,
		Scope: models.ScopeOwner, Overage: models.OverageAllow},
	{Name: "bucket", Limit: 10, Burst: 1 << 28, Window: time.Second, Algorithm: ratelimit.GCRA, Scope: models.ScopeKey},
	{Name: "log", Limit: 10_000, Window: time.Hour, Algorithm: ratelimit.SlidingLog, Scope: models.ScopeOwner},
}

func TestEntitiesComeBackAsTheyWereStored(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		keyspace := models.Keyspace{
			ID: models.NewID[models.KeyspaceID](), Name: "shop-eu", Prefix: "shop_eu", Description: "Läden — 店 🙂",
			Imported: true, Metadata: map[string]string{"region": "eu", "quote": `"\'`}, Version: 1, CreatedAt: at(1), UpdatedAt: at(2),
		}
		require.NoError(t, s.keyspaces.Create(t.Context(), &keyspace))
		gotKeyspace, err := s.keyspaces.Find(t.Context(), string(keyspace.ID))
		require.NoError(t, err)
		require.Equal(t, &keyspace, gotKeyspace)

		plan := models.Plan{
			ID: models.NewID[models.PlanID](), Name: "gold", Description: "shines", Current: 7, ArchivedAt: ptr(at(3)),
			Metadata: map[string]string{"a": ""}, Version: 1, CreatedAt: at(1), UpdatedAt: at(2),
		}
		version := models.PlanVersion{
			ID: models.NewID[models.PlanVersionID](), PlanID: plan.ID, Number: 7, Rules: someRules, CreatedAt: at(4),
		}
		require.NoError(t, s.plans.Create(t.Context(), &plan, &version))
		gotPlan, err := s.plans.Find(t.Context(), "gold")
		require.NoError(t, err)
		require.Equal(t, &plan, gotPlan)
		gotVersion, err := s.plans.FindVersion(t.Context(), plan.ID, 7)
		require.NoError(t, err)
		require.Equal(t, &version, gotVersion)

		owner := models.Owner{
			ID: models.NewID[models.OwnerID](), ExternalID: ptr("cust_42"), Name: "Ada & Söhne", Email: "ada@example.com",
			PlanID: plan.ID, PlanVersion: ptr(7), PlanSince: at(3), Implicit: true, Rules: someRules, TimeZone: "Pacific/Apia", AnchorDay: 31,
			Metadata: map[string]string{"tier": "1"}, ArchivedAt: ptr(at(5)), Version: 3, CreatedAt: at(1), UpdatedAt: at(2),
		}
		require.NoError(t, s.owners.Create(t.Context(), &owner))
		gotOwner, err := s.owners.Find(t.Context(), "cust_42")
		require.NoError(t, err)
		require.Equal(t, &owner, gotOwner)

		key := models.APIKey{
			ID: models.NewID[models.KeyID](), KeyspaceID: keyspace.ID, OwnerID: owner.ID, Name: "Checkout", Environment: apikey.Test,
			ExpiresAt: ptr(at(6)), RevokedAt: ptr(at(7)), SuspendedAt: ptr(at(8)), SuspendedUntil: ptr(at(9)), SuspendReason: "abuse",
			AllowedIPs: []string{"10.0.0.0/8", "2001:db8::/32"}, Permissions: []string{"orders:read"}, Methods: []string{"GET"},
			Endpoints: []string{"/v1/**"}, Rules: someRules, Tags: []string{"a", "ü"}, Metadata: map[string]string{"k": "v"},
			Version: 9, CreatedAt: at(1), UpdatedAt: at(2),
		}
		secret := models.Secret{
			ID: models.NewID[models.SecretID](), KeyID: key.ID, Hash: apikey.Sum("x"), PepperID: "2026", Mask: "…abcd",
			Imported: true, ExpiresAt: ptr(at(10)), CreatedAt: at(11),
		}
		require.NoError(t, s.keys.Create(t.Context(), []models.APIKey{key}, []models.Secret{secret}))
		gotKey, err := s.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.Equal(t, &key, gotKey)
		secrets, err := s.keys.SecretsOf(t.Context(), []models.KeyID{key.ID})
		require.NoError(t, err)
		require.Equal(t, map[models.KeyID][]models.Secret{key.ID: {secret}}, secrets)

		token := models.AccessToken{
			ID: models.NewID[models.TokenID](), Name: "ci", Hash: apikey.Sum("y"), Mask: "vivat_…wxyz",
			Scopes: []models.TokenScope{models.ScopeKeysRead, models.ScopeAdmin}, ExpiresAt: ptr(at(12)), RevokedAt: ptr(at(13)),
			Version: 2, CreatedAt: at(1), UpdatedAt: at(2),
		}
		require.NoError(t, s.tokens.Create(t.Context(), &token))
		gotToken, err := s.tokens.Find(t.Context(), token.ID)
		require.NoError(t, err)
		require.Equal(t, &token, gotToken)
		gotToken, err = s.tokens.FindByHash(t.Context(), token.Hash)
		require.NoError(t, err)
		require.Equal(t, &token, gotToken)
	})
}

func TestWhatWasLeftOutComesBackLeftOut(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t)
		got, err := s.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.Equal(t, key, got)
		owner, err := s.owners.Find(t.Context(), string(key.OwnerID))
		require.NoError(t, err)
		require.Nil(t, owner.ExternalID)
		require.Nil(t, owner.PlanVersion)
		require.Nil(t, owner.Rules)
	})
}

func TestTimesKeepTheirMicrosecondsAndComeBackInUTC(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
		last := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro()
		zones := []*time.Location{time.UTC, time.FixedZone("east", 14*3600), time.FixedZone("west", -11*3600-1800)}
		key := s.key(t)
		rapid.Check(t, func(t *rapid.T) {
			instant := time.UnixMicro(rapid.Int64Range(first, last).Draw(t, "microsecond"))
			key.ExpiresAt = ptr(instant.In(rapid.SampledFrom(zones).Draw(t, "zone")))
			require.NoError(t, s.keys.Update(t.Context(), key))
			got, err := s.keys.Find(t.Context(), key.ID)
			require.NoError(t, err)
			require.Equal(t, instant.UTC(), *got.ExpiresAt)
		})
	})
}

func TestAuditEntriesComeBackAsTheyWereStored(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		entry := models.AuditEntry{
			ID: models.NewID[models.AuditID](), At: at(1), ActorKind: "token", ActorID: "t1", ActorName: "ci", Action: "key.create",
			ObjectKind: "key", ObjectID: "k1", After: json.RawMessage(`{"limit": 9007199254740993, "tags": []}`), IP: "::1", RequestID: "r1",
		}
		require.NoError(t, s.audit.Append(t.Context(), []models.AuditEntry{entry}))
		list, err := s.audit.List(t.Context(), models.AuditFilter{}, models.Page{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Nil(t, list[0].Before)
		require.JSONEq(t, string(entry.After), string(list[0].After))
		require.Contains(t, string(list[0].After), "9007199254740993", "a number keeps its digits")
		list[0].After = entry.After
		require.Equal(t, entry, list[0])
	})
}
