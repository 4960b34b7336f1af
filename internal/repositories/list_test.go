package repositories_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Names whose order by code point, by UTF-16, by letter and without case differ.
var someNames = []string{"", "A", "B", "Z", "a", "aa", "a-b", "a_b", "ab", "z", "Ä", "ä", "é", "\uffee", "🙂", "%", "_", "a%b", "1", "10", "2"}

// manyKeys stores keys with few distinct times and names, so that ties abound.
func manyKeys(t *testing.T, s *suite, n int) []models.APIKey {
	t.Helper()
	owner := s.owner(t)
	keys := make([]models.APIKey, n)
	for i := range keys {
		keys[i] = s.newKey(t, owner.ID)
		keys[i].Name = someNames[i*7%len(someNames)]
		keys[i].CreatedAt = at(i * 3 % 5)
		keys[i].UpdatedAt = at(i * 5 % 7)
	}
	require.NoError(t, s.keys.Create(t.Context(), keys, nil))
	return keys
}

func sortValue(k *models.APIKey, sort string) string {
	switch sort {
	case "name":
		return k.Name
	case "updated_at":
		return k.UpdatedAt.Format(time.RFC3339Nano)
	default:
		return k.CreatedAt.Format(time.RFC3339Nano)
	}
}

func TestPagesJoinToTheWholeListInOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		keys := manyKeys(t, s, 60)
		rapid.Check(t, func(t *rapid.T) {
			sort := rapid.SampledFrom(repositories.KeySorts).Draw(t, "sort")
			descending := rapid.Bool().Draw(t, "descending")
			page := models.Page{Limit: rapid.IntRange(1, 70).Draw(t, "limit"), Sort: sort}
			want := slices.Clone(keys)
			slices.SortFunc(want, func(a, b models.APIKey) int {
				return cmp.Or(strings.Compare(sortValue(&a, sort), sortValue(&b, sort)), cmp.Compare(a.ID, b.ID))
			})
			if descending {
				page.Sort = "-" + sort
				slices.Reverse(want)
			}
			var got []models.APIKey
			for {
				rows, err := s.keys.List(t.Context(), models.KeyFilter{}, page, s.clock.Now())
				require.NoError(t, err)
				require.LessOrEqual(t, len(rows), page.Limit)
				got = append(got, rows...)
				if len(rows) < page.Limit {
					break
				}
				last := &rows[len(rows)-1]
				page.After = &models.Position{Value: sortValue(last, sort), ID: string(last.ID)}
			}
			require.Equal(t, want, got)
		})
	})
}

func TestEveryListTakesEverySortItNames(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		plan := s.plan(t, "free").ID
		lists := map[string]struct {
			sorts []string
			list  func(models.Page) error
		}{
			"keyspaces": {repositories.KeyspaceSorts, func(p models.Page) error { _, err := s.keyspaces.List(t.Context(), p); return err }},
			"plans":     {repositories.PlanSorts, func(p models.Page) error { _, err := s.plans.List(t.Context(), p, true); return err }},
			"versions":  {repositories.PlanVersionSorts, func(p models.Page) error { _, err := s.plans.Versions(t.Context(), plan, p); return err }},
			"owners": {repositories.OwnerSorts, func(p models.Page) error {
				_, err := s.owners.List(t.Context(), models.OwnerFilter{}, p)
				return err
			}},
			"keys": {repositories.KeySorts, func(p models.Page) error {
				_, err := s.keys.List(t.Context(), models.KeyFilter{}, p, s.clock.Now())
				return err
			}},
			"tokens": {repositories.TokenSorts, func(p models.Page) error { _, err := s.tokens.List(t.Context(), p); return err }},
			"audit": {repositories.AuditSorts, func(p models.Page) error {
				_, err := s.audit.List(t.Context(), models.AuditFilter{}, p)
				return err
			}},
		}
		values := map[string]string{"name": "x", "number": "1", "at": "2026-01-01T00:00:00.000001Z", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00+02:00"}
		id := string(models.NewID[models.KeyID]())
		for name, l := range lists {
			require.NoError(t, l.list(models.Page{}), name)
			for _, sort := range l.sorts {
				for _, direction := range []string{"", "-"} {
					page := models.Page{Sort: direction + sort, After: &models.Position{Value: values[sort], ID: id}}
					require.NoError(t, l.list(page), "%s by %s", name, page.Sort)
				}
				for _, bad := range []models.Position{
					{Value: values[sort], ID: "1"}, {Value: values[sort], ID: ""}, {Value: "a\x00b", ID: id}, {Value: "\xff", ID: id},
				} {
					cursor := refused(t, l.list(models.Page{Sort: sort, After: &bad}), apierror.CodeValidationFailed)
					require.Equal(t, "cursor", field(t, cursor), "%s by %s", name, sort)
				}
			}
			for _, sort := range []string{"hash", "id", "name; DROP TABLE owners", "--name"} {
				err := l.list(models.Page{Sort: sort})
				require.Error(t, err, "%s by %s", name, sort)
				require.Equal(t, apierror.CodeInternal, apierror.CodeOf(err), "the caller should have refused it")
			}
		}
	})
}

func TestListLimitsItself(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		manyKeys(t, s, models.DefaultPageLimit+5)
		rows, err := s.keys.List(t.Context(), models.KeyFilter{}, models.Page{}, s.clock.Now())
		require.NoError(t, err)
		require.Len(t, rows, models.DefaultPageLimit)
	})
}

// Keys in every combination of what makes a status, at, before and after now.
func everyStatus(t *testing.T, s *suite) []models.APIKey {
	t.Helper()
	now := s.clock.Now()
	times := []*time.Time{nil, ptr(now.Add(-time.Microsecond)), &now, ptr(now.Add(time.Microsecond))}
	owner := s.owner(t)
	var keys []models.APIKey
	for i, revoked := range []*time.Time{nil, &now} {
		for _, expires := range times {
			for _, suspended := range []*time.Time{nil, &now} {
				for _, until := range times {
					key := s.newKey(t, owner.ID)
					key.RevokedAt, key.ExpiresAt, key.SuspendedAt, key.SuspendedUntil = revoked, expires, suspended, until
					if i == 1 {
						key.Environment = apikey.Test
					}
					keys = append(keys, key)
				}
			}
		}
	}
	require.NoError(t, s.keys.Create(t.Context(), keys, nil))
	return keys
}

func TestStatusFiltersAgreeWithTheStatusOfEachKey(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		keys := everyStatus(t, s)
		now := s.clock.Now()
		for _, status := range []models.KeyStatus{models.KeyActive, models.KeySuspended, models.KeyExpired, models.KeyRevoked} {
			want := idsOf(keys, func(k *models.APIKey) bool { return k.Status(now) == status })
			require.NotEmpty(t, want, status)
			require.Equal(t, want, listIDs(t, s, models.KeyFilter{Status: status}), status)
		}
		require.Equal(t, idsOf(keys, func(k *models.APIKey) bool {
			return k.Status(now) == models.KeyRevoked && k.Environment == apikey.Test
		}), listIDs(t, s, models.KeyFilter{Status: models.KeyRevoked, Environment: "test"}))
		_, err := s.keys.List(t.Context(), models.KeyFilter{Status: "lost"}, models.Page{}, now)
		require.Error(t, err)
	})
}

func TestKeyFilters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		first := manyKeys(t, s, len(someNames))
		tags := [][]string{nil, {}, {"a"}, {"a", "b"}, {"ab"}, {`"`, `a"b`}, {"A"}, {"ä"}, {"1"}}
		keyspace := models.Keyspace{ID: models.NewID[models.KeyspaceID](), Name: "other", Version: 1, CreatedAt: at(1), UpdatedAt: at(1)}
		require.NoError(t, s.keyspaces.Create(t.Context(), &keyspace))
		owner := s.owner(t)
		second := make([]models.APIKey, len(tags))
		for i := range second {
			second[i] = s.newKey(t, owner.ID)
			second[i].Name, second[i].Tags, second[i].KeyspaceID = "tagged "+strconv.Itoa(i), tags[i], keyspace.ID
		}
		require.NoError(t, s.keys.Create(t.Context(), second, nil))
		all := slices.Concat(first, second)

		for _, prefix := range append([]string{"tagged", "a\U0010ffff"}, someNames...) {
			require.Equal(t, idsOf(all, func(k *models.APIKey) bool { return strings.HasPrefix(k.Name, prefix) }),
				listIDs(t, s, models.KeyFilter{Name: prefix}), "%q", prefix)
		}
		for _, tag := range []string{"a", "b", "ab", `"`, `a"b`, "A", "ä", "1", "nothing", `["a"]`} {
			require.Equal(t, idsOf(all, func(k *models.APIKey) bool { return slices.Contains(k.Tags, tag) }),
				listIDs(t, s, models.KeyFilter{Tag: tag}), "%q", tag)
		}
		require.Equal(t, idsOf(second, nil), listIDs(t, s, models.KeyFilter{OwnerID: owner.ID}))
		require.Equal(t, idsOf(second, nil), listIDs(t, s, models.KeyFilter{KeyspaceID: keyspace.ID}))
		require.Equal(t, idsOf(second[3:4], nil), listIDs(t, s, models.KeyFilter{
			OwnerID: owner.ID, KeyspaceID: keyspace.ID, Environment: "live", Name: "tagged", Tag: "b", Status: models.KeyActive,
		}))
	})
}

func TestKeysAreFoundByTheTagsTheyHaveNow(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.owner(t).ID
		keys := []models.APIKey{s.newKey(t, owner), s.newKey(t, owner)}
		keys[0].Tags, keys[1].Tags = []string{"a", "b"}, []string{"b"}
		require.NoError(t, s.keys.Create(t.Context(), keys, nil))
		tagged := func(tag string) []models.KeyID { return listIDs(t, s, models.KeyFilter{Tag: tag}) }

		keys[0].Tags = []string{"b", "c"}
		require.NoError(t, s.keys.Update(t.Context(), &keys[0]))
		require.Empty(t, tagged("a"))
		require.Equal(t, []models.KeyID{keys[0].ID}, tagged("c"))
		require.Len(t, tagged("b"), 2)
		keys[1].Tags = nil
		require.NoError(t, s.keys.Update(t.Context(), &keys[1]))
		require.Equal(t, []models.KeyID{keys[0].ID}, tagged("b"))
		require.NoError(t, s.keys.Delete(t.Context(), keys[0].ID))
		require.Empty(t, tagged("b"))
		require.Empty(t, tagged("c"))
	})
}

// With more keys than are found one by one, pages come along the index of their
// order, and hold the same.
func TestManyKeysOfANameOrTagArePaged(t *testing.T) {
	t.Cleanup(repositories.FindFew(2))
	eachEngine(t, func(t *testing.T, s *suite) {
		keys := manyKeys(t, s, 40)
		for i := range keys {
			if i%4 == 0 {
				keys[i].Tags = []string{"t"}
				require.NoError(t, s.keys.Update(t.Context(), &keys[i]))
			}
		}
		has := func(k *models.APIKey) bool { return slices.Contains(k.Tags, "t") }
		require.Equal(t, idsOf(keys, has), listIDs(t, s, models.KeyFilter{Tag: "t"}))
		named := func(k *models.APIKey) bool { return strings.HasPrefix(k.Name, "a") }
		require.Greater(t, len(idsOf(keys, named)), 2)
		require.Equal(t, idsOf(keys, named), listIDs(t, s, models.KeyFilter{Name: "a"}))
		require.Equal(t, idsOf(keys, func(k *models.APIKey) bool { return named(k) && has(k) }), listIDs(t, s, models.KeyFilter{Name: "a", Tag: "t"}))
	})
}

func TestOwnerAndPlanFilters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		pro := s.plan(t, "pro").ID
		owners := make([]models.Owner, 8)
		for i := range owners {
			owners[i] = s.newOwner(t)
			owners[i].Name = fmt.Sprintf("owner-%d", i)
			owners[i].Implicit = i&1 != 0
			if i&2 != 0 {
				owners[i].ArchivedAt = ptr(at(1))
			}
			if i&4 != 0 {
				owners[i].PlanID = pro
			}
		}
		require.NoError(t, s.owners.CreateMany(t.Context(), owners))
		names := func(f models.OwnerFilter) string {
			list, err := s.owners.List(t.Context(), f, models.Page{Sort: "name"})
			require.NoError(t, err)
			var digits strings.Builder
			for _, o := range list {
				digits.WriteString(strings.TrimPrefix(o.Name, "owner-"))
			}
			return digits.String()
		}
		require.Equal(t, "0145", names(models.OwnerFilter{}))
		require.Equal(t, "01234567", names(models.OwnerFilter{IncludeArchived: true}))
		require.Equal(t, "15", names(models.OwnerFilter{Implicit: ptr(true)}))
		require.Equal(t, "04", names(models.OwnerFilter{Implicit: ptr(false)}))
		require.Equal(t, "4567", names(models.OwnerFilter{PlanID: pro, IncludeArchived: true}))
		require.Equal(t, "5", names(models.OwnerFilter{PlanID: pro, Name: "owner-5"}))

		free := s.plan(t, "free")
		free.ArchivedAt = ptr(at(1))
		require.NoError(t, s.plans.Update(t.Context(), free))
		for archived, want := range map[bool]int{false: 2, true: 3} {
			plans, err := s.plans.List(t.Context(), models.Page{}, archived)
			require.NoError(t, err)
			require.Len(t, plans, want)
		}
	})
}

func TestAuditFilters(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		for i := range 16 {
			pick := func(bit int, yes, no string) string {
				if i&bit != 0 {
					return yes
				}
				return no
			}
			require.NoError(t, s.audit.Append(t.Context(), []models.AuditEntry{{
				ID: models.NewID[models.AuditID](), At: at(i % 3), RequestID: strconv.Itoa(i),
				ObjectKind: pick(1, "key", "owner"), ObjectID: pick(2, "o1", "o2"),
				ActorID: pick(4, "a1", "a2"), Action: pick(8, "key.create", "key.revoke"),
			}}))
		}
		count := func(f models.AuditFilter) int {
			list, err := s.audit.List(t.Context(), f, models.Page{})
			require.NoError(t, err)
			require.True(t, slices.IsSortedFunc(list, func(a, b models.AuditEntry) int { return b.At.Compare(a.At) }), "the newest first")
			return len(list)
		}
		require.Equal(t, 16, count(models.AuditFilter{}))
		require.Equal(t, 8, count(models.AuditFilter{ObjectKind: "key"}))
		require.Equal(t, 8, count(models.AuditFilter{ObjectID: "o1"}))
		require.Equal(t, 8, count(models.AuditFilter{ActorID: "a2"}))
		require.Equal(t, 8, count(models.AuditFilter{Action: "key.revoke"}))
		require.Equal(t, 1, count(models.AuditFilter{ObjectKind: "key", ObjectID: "o1", ActorID: "a1", Action: "key.create"}))
		require.Zero(t, count(models.AuditFilter{ObjectKind: "plan"}))
	})
}

func idsOf(keys []models.APIKey, match func(*models.APIKey) bool) []models.KeyID {
	ids := []models.KeyID{}
	for i := range keys {
		if match == nil || match(&keys[i]) {
			ids = append(ids, keys[i].ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func listIDs(t *testing.T, s *suite, f models.KeyFilter) []models.KeyID {
	t.Helper()
	list, err := s.keys.List(t.Context(), f, models.Page{Limit: models.MaxPageLimit}, s.clock.Now())
	require.NoError(t, err)
	return idsOf(list, nil)
}
