package repositories_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// The tables that grow with use, read as a whole; reading one along an index
// that gives its order is fine, as a limit ends it.
var (
	wholeTable = map[string]*regexp.Regexp{
		repositories.Postgres: regexp.MustCompile(`Seq Scan on (api_keys|secrets|owners|audit_logs|invalidations|access_tokens)`),
		repositories.SQLite:   regexp.MustCompile(`SCAN (api_keys|secrets|owners|audit_logs|invalidations|access_tokens)\n`),
	}
	sorting = regexp.MustCompile(`Sort|TEMP B-TREE FOR ORDER BY`)
)

const rowsEach = 6000

func TestQueriesReadNoWholeTable(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owners, keys := fill(t, s)
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		ctx, now, hash := t.Context(), s.clock.Now(), apikey.Sum("secret 77")
		last, err := s.invalidations.Last(ctx)
		require.NoError(t, err)

		check := func(name string, ordered bool, err error) {
			t.Helper()
			require.NoError(t, err, name)
			require.NotEmpty(t, plans, name)
			for _, plan := range plans {
				require.NotRegexp(t, wholeTable[s.db.Engine()], plan, name)
				if ordered {
					require.NotRegexp(t, sorting, plan, name)
				}
			}
			plans = nil
		}
		_, err = s.keys.Snapshot(ctx, []apikey.Hash{hash, apikey.Sum("none")})
		check("snapshot", false, err)
		_, err = s.keys.FindBySecret(ctx, []apikey.Hash{hash, apikey.Sum("none"), apikey.Sum("neither")})
		require.NoError(t, err)
		check("key by secret", false, err)
		_, err = s.owners.Find(ctx, "cust_77")
		check("owner by external id", false, err)
		_, err = s.keys.SecretsOf(ctx, []models.KeyID{keys[1].ID, keys[77].ID})
		check("secrets", false, err)
		_, err = s.owners.FindMany(ctx, []models.OwnerID{owners[1].ID, owners[77].ID})
		check("owners by id", false, err)
		_, err = s.owners.CountKeys(ctx, owners[77].ID)
		check("keys of an owner", false, err)
		_, err = s.tokens.FindByHash(ctx, apikey.Sum("token 77"))
		check("token by hash", false, err)
		_, err = s.invalidations.Since(ctx, last-3, 10*time.Second)
		check("invalidations", false, err)

		for name, filter := range map[string]models.KeyFilter{
			"every": {}, "owner": {OwnerID: owners[77].ID}, "keyspace": {KeyspaceID: keys[0].KeyspaceID},
			"name": {Name: "key 77"}, "tag": {Tag: "rare"}, "active": {Status: models.KeyActive},
			"revoked": {Status: models.KeyRevoked}, "suspended": {Status: models.KeySuspended}, "expired": {Status: models.KeyExpired},
		} {
			for _, page := range pages(repositories.KeySorts, "key 3", string(keys[3000].ID)) {
				_, err = s.keys.List(ctx, filter, page, now)
				check(fmt.Sprintf("keys, %s, by %s", name, page.Sort), name == "every", err)
			}
		}
		for name, filter := range map[string]models.OwnerFilter{
			"every": {IncludeArchived: true}, "plan": {PlanID: owners[0].PlanID}, "name": {Name: "owner 77"},
		} {
			for _, page := range pages(repositories.OwnerSorts, "owner 3", string(owners[3000].ID)) {
				_, err = s.owners.List(ctx, filter, page)
				check(fmt.Sprintf("owners, %s, by %s", name, page.Sort), name == "every", err)
			}
		}
		for _, page := range pages(repositories.TokenSorts, "15", string(models.NewID[models.TokenID]())) {
			_, err = s.tokens.List(ctx, page)
			check("tokens by "+page.Sort, true, err)
		}
		for name, filter := range map[string]models.AuditFilter{
			"every": {}, "object": {ObjectKind: "key", ObjectID: "77"}, "kind": {ObjectKind: "plan"}, "actor": {ActorID: "77"}, "action": {Action: "key.erase"},
		} {
			for _, page := range pages(repositories.AuditSorts, "", string(models.NewID[models.AuditID]())) {
				_, err = s.audit.List(ctx, filter, page)
				check(fmt.Sprintf("audit, %s, by %s", name, page.Sort), name == "every", err)
			}
		}
	})
}

// pages are a first page of a list by each of its sorts, and one in its middle.
func pages(sorts []string, name, id string) (list []models.Page) {
	for _, sort := range sorts {
		value := name
		if sort != "name" {
			value = at(rowsEach / 6).Format(time.RFC3339Nano)
		}
		for _, direction := range []string{"", "-"} {
			page := models.Page{Limit: 50, Sort: direction + sort}
			list = append(list, page)
			page.After = &models.Position{Value: value, ID: id}
			list = append(list, page)
		}
	}
	return list
}

// fill stores as many rows as tell a planner that a table is not small. One in
// a hundred keys is revoked, suspended, expired or tagged.
func fill(t *testing.T, s *suite) ([]models.Owner, []models.APIKey) {
	t.Helper()
	ctx := t.Context()
	owners, keys, secrets := make([]models.Owner, rowsEach), make([]models.APIKey, rowsEach), make([]models.Secret, rowsEach)
	invalidations := make([]models.Invalidation, rowsEach)
	owner, key := s.newOwner(t), s.newKey(t, "")
	for i := range rowsEach {
		owners[i] = owner
		owners[i].ID, owners[i].ExternalID, owners[i].Name = models.NewID[models.OwnerID](), ptr("cust_"+strconv.Itoa(i)), "owner "+strconv.Itoa(i)
		owners[i].CreatedAt = at(i)
		keys[i] = key
		keys[i].ID, keys[i].OwnerID, keys[i].Name = models.NewID[models.KeyID](), owners[i/10*10].ID, "key "+strconv.Itoa(i)
		keys[i].CreatedAt = at(i)
		switch i % 100 {
		case 0:
			keys[i].RevokedAt = ptr(at(1))
		case 1:
			keys[i].SuspendedAt = ptr(at(1))
		case 2:
			keys[i].ExpiresAt = ptr(at(1).AddDate(-1, 0, 0))
		case 3:
			keys[i].Tags = []string{"rare"}
		}
		secrets[i] = s.newSecret(keys[i].ID, "secret "+strconv.Itoa(i))
		invalidations[i] = models.Invalidation{Subject: models.SubjectOf("key", keys[i].ID), Version: 1}
	}
	inTx(t, s.db, func(ctx context.Context) {
		require.NoError(t, s.owners.CreateMany(ctx, owners))
		require.NoError(t, s.keys.Create(ctx, keys, secrets))
		require.NoError(t, s.invalidations.Append(ctx, invalidations))
	})
	inTx(t, s.db, func(ctx context.Context) {
		for i := range rowsEach / 3 {
			n := strconv.Itoa(i)
			require.NoError(t, s.tokens.Create(ctx, &models.AccessToken{
				ID: models.NewID[models.TokenID](), Name: n, Hash: apikey.Sum("token " + n), Version: 1, CreatedAt: at(i), UpdatedAt: at(i),
			}))
			require.NoError(t, s.audit.Append(ctx, []models.AuditEntry{{
				ID: models.NewID[models.AuditID](), At: at(i), ObjectKind: "key", ObjectID: n, ActorID: n, Action: "key.create",
			}}))
		}
	})
	// As if they had happened long ago.
	_, err := repositories.Pool(s.db).ExecContext(ctx, map[string]string{
		repositories.Postgres: "UPDATE invalidations SET created_at = created_at - interval '1 hour'",
		repositories.SQLite:   "UPDATE invalidations SET created_at = created_at - 3600000000",
	}[s.db.Engine()])
	require.NoError(t, err)
	_, err = repositories.Pool(s.db).ExecContext(ctx, "ANALYZE")
	require.NoError(t, err)
	return owners, keys
}
