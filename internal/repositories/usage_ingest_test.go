package repositories_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// twoHandles runs a test on two handles of one database, as two processes have.
func twoHandles(t *testing.T, test func(t *testing.T, handles [2]*repositories.DB)) {
	t.Helper()
	eachTarget(t, func(t *testing.T, target string) {
		var handles [2]*repositories.DB
		for i := range handles {
			db, err := openTarget(t.Context(), target, patient(&clock{now: at(1)}))
			handles[i] = opened(t, db, err)
		}
		test(t, handles)
	})
}

// number gives the one number that a query asks for.
func number(t *testing.T, db *repositories.DB, query string) int64 {
	t.Helper()
	var n int64
	require.NoError(t, repositories.Pool(db).QueryRowContext(t.Context(), query).Scan(&n), query)
	return n
}

func execSQL(t *testing.T, db *repositories.DB, query string) {
	t.Helper()
	_, err := repositories.Pool(db).ExecContext(t.Context(), query)
	require.NoError(t, err, query)
}

var everyCount = models.UsageCounts{
	Requests: 1, Allowed: 2, DeniedLimit: 3, DeniedQuota: 4, DeniedCost: 5, DeniedKey: 6, DeniedAccess: 7, Units: 8,
	BillableUnits: 9, Reports: 10, Status2xx: 11, Status3xx: 12, Status4xx: 13, Status5xx: 14, BytesIn: 15, BytesOut: 16,
}

const everyColumn = `sum(requests), sum(allowed), sum(denied_limit), sum(denied_quota), sum(denied_cost), sum(denied_key),
	sum(denied_access), sum(units), sum(billable_units), sum(reports), sum(status_2xx), sum(status_3xx), sum(status_4xx),
	sum(status_5xx), sum(bytes_in), sum(bytes_out)`

// countsOf adds up what a table counts, and the rows it does so in.
func countsOf(t *testing.T, db *repositories.DB, from string) (c models.UsageCounts, rows int64) {
	t.Helper()
	require.NoError(t, repositories.Pool(db).QueryRowContext(t.Context(), "SELECT count(*), "+everyColumn+" FROM "+from).Scan(
		&rows, &c.Requests, &c.Allowed, &c.DeniedLimit, &c.DeniedQuota, &c.DeniedCost, &c.DeniedKey, &c.DeniedAccess, &c.Units,
		&c.BillableUnits, &c.Reports, &c.Status2xx, &c.Status3xx, &c.Status4xx, &c.Status5xx, &c.BytesIn, &c.BytesOut))
	return c, rows
}

func times(c models.UsageCounts, n int) (sum models.UsageCounts) {
	for range n {
		sum.Add(&c)
	}
	return sum
}

// usageOf is a batch that counts everything once for each of the keys.
func usageOf(keys []models.KeyID) *models.UsageBatch {
	b := &models.UsageBatch{
		Sums: []models.UsageSum{{Bucket: models.BucketOf(at(0)), Meter: "requests", UsageCounts: everyCount}},
		Installation: []models.InstallationUsage{
			{Bucket: models.BucketOf(at(0)), Kind: models.KindLimitCheck, Requests: 3, Allowed: 2},
		},
	}
	for _, key := range keys {
		owner := models.OwnerID(key)
		cell := models.UsageCell{
			Bucket: models.BucketOf(at(0)), SegmentID: models.SegmentID(key), APIKeyID: key, Endpoint: "/a", Method: "GET", Meter: "requests",
		}
		violation := models.RateLimitViolation{
			OwnerID: owner, APIKeyID: key, Rule: "burst", Code: "rate_limited", Endpoint: "/a", Limit: 7, Count: 2, FirstAt: at(1), LastAt: at(2),
		}
		violation.Identify()
		b.Rollups = append(b.Rollups, models.UsageRollup{UsageCell: cell, OwnerID: owner, UsageCounts: everyCount})
		b.Latencies = append(b.Latencies, models.UsageLatency{UsageCell: cell, OwnerID: owner, Latency: 3, Count: 4})
		b.Quotas = append(b.Quotas, models.QuotaTotal{QuotaKey: quotaOf(string(key)), Units: 5})
		b.Violations = append(b.Violations, violation)
		b.Segments = append(b.Segments, models.Segment{ID: models.SegmentID(key), OwnerID: owner, PlanID: models.PlanID(key), PlanVersion: 1, Since: at(0)})
		b.Logs = append(b.Logs, models.UsageLog{
			At: at(1), RequestID: "r", Kind: models.RecordCheck, OwnerID: owner, APIKeyID: key, SegmentID: models.SegmentID(key), SampleRate: 0.5,
			Limits: []models.RecordedLimit{{Rule: "burst"}},
		})
	}
	return b
}

func quotaOf(subject string) models.QuotaKey {
	return models.QuotaKey{Subject: "key:" + subject, Rule: "daily", Period: models.PeriodDay, Start: at(0).Truncate(24 * time.Hour)}
}

func someKeys(n int) []models.KeyID {
	keys := make([]models.KeyID, n)
	for i := range keys {
		keys[i] = models.NewID[models.KeyID]()
	}
	return keys
}

func TestUsageAddsUpWhateverTheOrderAndTheProcess(t *testing.T) {
	const keys, workers, rounds = 40, 6, 8
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		all := someKeys(keys)
		var group errgroup.Group
		for w := range workers {
			ingest := repositories.NewIngest(handles[w%2])
			group.Go(func() error {
				for range rounds {
					mine := slices.Clone(all)
					rand.Shuffle(keys, func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
					err := ingest.InTx(t.Context(), func(ctx context.Context) error { return ingest.Add(ctx, usageOf(mine)) })
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		// Totals take it up meanwhile, before all of it has come.
		for _, db := range handles {
			group.Go(func() error {
				return repositories.TotalSome(t.Context(), db, models.BucketOf(at(0)).Add(models.Bucket), 3, keys)
			})
		}
		require.NoError(t, group.Wait())

		db, n := handles[0], workers*rounds
		require.NoError(t, repositories.NewUsageUpkeep(db).Total(t.Context(), models.BucketOf(at(0)).Add(models.Bucket)))
		for table, levels := range map[string]int{"usage_rollups": 1, "usage_totals": len(models.TotalLevels)} {
			got, rows := countsOf(t, db, table)
			require.Equal(t, times(everyCount, n*keys*levels), got, table)
			require.EqualValues(t, keys*levels, rows, table)
		}
		sums, _ := countsOf(t, db, "usage_sums")
		require.Equal(t, times(everyCount, n), sums)
		for query, want := range map[string]int{
			"SELECT sum(count) FROM usage_latencies":                                         4 * n * keys,
			"SELECT sum(units) FROM quota_totals":                                            5 * n * keys,
			"SELECT sum(denials) FROM rate_limit_violations":                                 2 * n * keys,
			"SELECT count(*) FROM rate_limit_violations":                                     keys,
			"SELECT sum(requests) FROM installation_usage":                                   3 * n,
			"SELECT sum(allowed) FROM installation_usage":                                    2 * n,
			"SELECT count(*) FROM usage_segments":                                            keys,
			"SELECT count(*) FROM usage_logs":                                                n * keys,
			"SELECT count(*) FROM usage_logs WHERE limits IS NOT NULL AND sample_rate = 0.5": n * keys,
		} {
			require.EqualValues(t, want, number(t, db, query), query)
		}
	})
}

func TestUsageOfTransactionsThatWaitForEachOtherAddsUp(t *testing.T) {
	db := postgresSuite(t).db
	ingest, all := repositories.NewIngest(db), usageOf(someKeys(2)).Rollups
	var holding sync.WaitGroup
	holding.Add(2)
	var group errgroup.Group
	for w := range 2 {
		first := true
		group.Go(func() error {
			return ingest.InTx(t.Context(), func(ctx context.Context) error {
				if err := ingest.AddRollups(ctx, all[w:w+1]); err != nil {
					return err
				}
				if first {
					first = false
					holding.Done()
					holding.Wait()
				}
				return ingest.AddRollups(ctx, all[1-w:2-w])
			})
		})
	}
	require.NoError(t, group.Wait())
	got, _ := countsOf(t, db, "usage_rollups")
	require.Equal(t, times(everyCount, 4), got)
}

func TestTheSameKeyMayComeTwiceInOneCall(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest := repositories.NewIngest(s.db)
		one := usageOf(someKeys(1))
		first := one.Rollups[0]
		for _, list := range []*models.UsageBatch{{Rollups: append(one.Rollups, first, first)}, {Quotas: append(one.Quotas, one.Quotas[0])},
			{Segments: append(one.Segments, one.Segments[0])}, {Latencies: append(one.Latencies, one.Latencies[0])}} {
			require.NoError(t, ingest.Add(t.Context(), list))
		}
		got, rows := countsOf(t, s.db, "usage_rollups")
		require.Equal(t, times(everyCount, 3), got)
		require.EqualValues(t, 1, rows)
		require.Equal(t, everyCount, first.UsageCounts)
		require.Equal(t, everyCount, one.Rollups[0].UsageCounts, "the caller's rows are left alone")
		require.EqualValues(t, 10, number(t, s.db, "SELECT units FROM quota_totals"))
	})
}

func TestManyRowsGoInAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest := repositories.NewIngest(s.db)
		for _, n := range []int{0, 1, 33, 5001} {
			require.NoError(t, ingest.AddRollups(t.Context(), usageOf(someKeys(n)).Rollups))
		}
		got, rows := countsOf(t, s.db, "usage_rollups")
		require.EqualValues(t, 5035, rows)
		require.Equal(t, times(everyCount, 5035), got)
	})
}

func TestAnEventIsClaimedOnce(t *testing.T) {
	const ids = 400
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		all := make([]models.EventID, ids)
		for i := range all {
			all[i] = models.EventIDOf("test", "a", "b", int64(i))
		}
		var mu sync.Mutex
		claimed := map[models.EventID]int{}
		var group errgroup.Group
		for w := range 6 {
			ingest := repositories.NewIngest(handles[w%2])
			mine := append([]models.EventID{all[0], all[0]}, all...)
			rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			group.Go(func() error {
				var fresh map[models.EventID]bool
				err := ingest.InTx(t.Context(), func(ctx context.Context) (err error) {
					fresh, err = ingest.ClaimIDs(ctx, mine, at(1))
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				for id := range fresh {
					claimed[id]++
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Len(t, claimed, ids)
		for id, n := range claimed {
			require.Equal(t, 1, n, id)
		}
		upkeep := repositories.NewUsageUpkeep(handles[0])
		require.NoError(t, upkeep.DropEventIDs(t.Context(), at(1)))
		require.EqualValues(t, ids, number(t, handles[0], "SELECT count(*) FROM usage_event_ids"))
		require.NoError(t, upkeep.DropEventIDs(t.Context(), at(2)))
		require.Zero(t, number(t, handles[0], "SELECT count(*) FROM usage_event_ids"))
	})
}

func TestAClaimThatIsRolledBackIsNone(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, id := repositories.NewIngest(s.db), models.EventIDOf("test", "", "")
		claim := func(ctx context.Context, want bool) {
			fresh, err := ingest.ClaimIDs(ctx, []models.EventID{id}, at(1))
			require.NoError(t, err)
			require.Equal(t, want, fresh[id])
		}
		require.ErrorIs(t, ingest.InTx(t.Context(), func(ctx context.Context) error {
			claim(ctx, true)
			claim(ctx, false)
			return errRefused
		}), errRefused)
		claim(t.Context(), true)
		claim(t.Context(), false)
	})
}

func TestNoKeyHasMoreEndpointsThanTheMost(t *testing.T) {
	const most = 5
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		keys := someKeys(3)
		var group errgroup.Group
		for w := range 8 {
			ingest := repositories.NewIngest(handles[w%2])
			group.Go(func() error {
				for round := range 4 {
					want := map[models.KeyID][]string{}
					for i, key := range keys {
						want[key] = []string{fmt.Sprintf("/%d/%d", w, round), fmt.Sprintf("/%d", (w+i)%4), "/same"}
					}
					all, err := ingest.ClaimEndpoints(t.Context(), want, most)
					if err != nil {
						return err
					}
					for _, key := range keys {
						if n := len(all[key]); n > most {
							return fmt.Errorf("%d endpoints", n)
						}
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		none := map[models.KeyID][]string{models.NewID[models.KeyID](): nil}
		for _, key := range keys {
			none[key] = nil
		}
		endpoints, err := repositories.NewIngest(handles[1]).ClaimEndpoints(t.Context(), none, most)
		require.NoError(t, err)
		require.Len(t, endpoints, len(keys))
		for _, key := range keys {
			require.Len(t, endpoints[key], most)
			again, err := repositories.NewIngest(handles[0]).ClaimEndpoints(t.Context(), map[models.KeyID][]string{key: {"/late"}}, most)
			require.NoError(t, err)
			require.Equal(t, endpoints[key], again[key])
			again, err = repositories.NewIngest(handles[0]).ClaimEndpoints(t.Context(), map[models.KeyID][]string{key: {"/late"}}, most-2)
			require.NoError(t, err)
			require.Len(t, again[key], most, "those counted apart stay so where fewer are allowed later")
		}
	})
}

func TestViolationsKeepTheFirstAndTheLast(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest := repositories.NewIngest(s.db)
		v := usageOf(someKeys(1)).Violations[0]
		v.FirstAt, v.LastAt, v.RequestID = at(20), at(25), "second"
		early := v
		early.FirstAt, early.LastAt, early.RequestID, early.IPs, early.Count = at(10), at(12), "first", []string{"192.0.2.1"}, 3
		late := v
		late.FirstAt, late.LastAt, late.RequestID, late.IPs, late.Agents = at(30), at(40), "third", []string{"192.0.2.2"}, []string{"curl"}
		check := func() {
			t.Helper()
			var first, last time.Time
			var request, ips, agents string
			var denials int64
			require.NoError(t, repositories.Pool(s.db).QueryRowContext(t.Context(),
				"SELECT denials, first_at, last_at, request_id, ips, agents FROM rate_limit_violations").Scan(&denials, &first, &last, &request, &ips, &agents))
			require.EqualValues(t, 7, denials)
			require.Equal(t, at(10), first.UTC())
			require.Equal(t, at(40), last.UTC())
			require.Equal(t, "first", request)
			require.JSONEq(t, `["192.0.2.1"]`, ips)
			require.JSONEq(t, `["curl"]`, agents)
		}
		for _, row := range []models.RateLimitViolation{v, early, late} {
			require.NoError(t, ingest.AddViolations(t.Context(), []models.RateLimitViolation{row}))
		}
		check()
		execSQL(t, s.db, "DELETE FROM rate_limit_violations")
		require.NoError(t, ingest.AddViolations(t.Context(), []models.RateLimitViolation{v, early, late}))
		check()
	})
}

func TestGapsAndRejectsAreKeptOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest, stream := repositories.NewIngest(s.db), models.NewID[models.StreamID]()
		for range 2 {
			require.NoError(t, ingest.AddGaps(t.Context(), []models.IngestGap{{StreamID: stream, FromSeq: 3, ToSeq: 9, FoundAt: at(1)}}))
			require.NoError(t, ingest.AddRejects(t.Context(), []models.IngestReject{
				{StreamID: stream, Seq: 3, Reason: "bad \x00 and \xff", Payload: []byte{0, 0xff}, RejectedAt: at(1)},
				{StreamID: stream, Seq: 4, RejectedAt: at(1)},
			}))
		}
		require.EqualValues(t, 1, number(t, s.db, "SELECT count(*) FROM ingest_gaps WHERE from_seq = 3 AND to_seq = 9"))
		require.EqualValues(t, 2, number(t, s.db, "SELECT count(*) FROM ingest_rejects"))
		var reason string
		var payload []byte
		require.NoError(t, repositories.Pool(s.db).QueryRowContext(t.Context(),
			"SELECT reason, payload FROM ingest_rejects WHERE seq = 3").Scan(&reason, &payload))
		require.Equal(t, "bad \uFFFD and \uFFFD", reason)
		require.Equal(t, []byte{0, 0xff}, payload)
	})
}

func TestWhatTheDatabaseRefusesIsToldFromWhatItCannotDoNow(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ingest := repositories.NewIngest(s.db)
		batch := func(change func(*models.UsageBatch)) error {
			b := usageOf(someKeys(1))
			change(b)
			return ingest.InTx(t.Context(), func(ctx context.Context) error { return ingest.Add(ctx, b) })
		}
		require.NoError(t, batch(func(*models.UsageBatch) {}))
		require.False(t, ingest.Refused(nil))
		overflow := usageOf(someKeys(1))
		overflow.Rollups[0].Units = math.MaxInt64
		require.NoError(t, ingest.AddRollups(t.Context(), overflow.Rollups))
		overflow.Rollups[0].Units = 1
		require.True(t, ingest.Refused(ingest.AddRollups(t.Context(), overflow.Rollups)), "a sum beyond 64 bits")

		if s.db.Engine() == repositories.Postgres {
			for name, change := range map[string]func(*models.UsageBatch){
				"NUL":                  func(b *models.UsageBatch) { b.Rollups[0].Endpoint = "a\x00b" },
				"no UTF-8":             func(b *models.UsageBatch) { b.Logs[0].Endpoint = "\xff" },
				"NUL in JSON":          func(b *models.UsageBatch) { b.Violations[0].Agents = []string{"a\x00b"} },
				"no UUID":              func(b *models.UsageBatch) { b.Rollups[0].OwnerID = "x" },
				"too large":            func(b *models.UsageBatch) { b.Segments[0].PlanVersion = math.MaxInt32 + 1 },
				"too long for a key":   func(b *models.UsageBatch) { b.Rollups[0].Endpoint = noise(9000) },
				"too long, by a claim": func(b *models.UsageBatch) { b.Latencies[0].Endpoint = noise(9000) },
			} {
				require.True(t, repositories.Refused(batch(change)), name)
			}
			refused(t, batch(func(b *models.UsageBatch) { b.Rollups[0].Endpoint = "a\x00b" }), apierror.CodeValidationFailed)
		}
		_, err := repositories.Pool(s.db).ExecContext(t.Context(), "INSERT INTO installation_usage (bucket) VALUES (NULL)")
		require.True(t, repositories.Refused(fmt.Errorf("wrapped: %w", err)))

		_, err = repositories.Pool(s.db).ExecContext(t.Context(), "INSERT INTO nowhere VALUES (1)")
		require.Error(t, err)
		require.False(t, repositories.Refused(err), "a fault of ours")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.False(t, repositories.Refused(ingest.Add(ended, usageOf(someKeys(1)))))
		require.False(t, repositories.Refused(sql.ErrConnDone))
	})
}

// noise is text that does not compress.
func noise(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(string(models.NewID[models.KeyID]()))
	}
	return b.String()
}
