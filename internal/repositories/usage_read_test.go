package repositories_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// used is usage as it is stored: cells, and what they add up to.
type used struct {
	keys    []models.KeyID
	owners  []models.OwnerID
	cells   []models.UsageRollup
	batch   models.UsageBatch
	from    time.Time
	buckets int
}

// randomUsage makes usage from late in one month until early in the third.
func randomUsage(cells, owners int) *used {
	r := rand.New(rand.NewPCG(7, 11))
	u := &used{from: time.Date(2026, 1, 27, 5, 0, 0, 0, time.UTC)}
	u.buckets = int(time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC).Sub(u.from) / models.Bucket)
	segments := map[models.OwnerID]models.SegmentID{}
	for range owners {
		owner := models.NewID[models.OwnerID]()
		u.owners = append(u.owners, owner)
		segment := models.Segment{OwnerID: owner, PlanID: models.NewID[models.PlanID](), PlanVersion: 1, Since: at(0)}
		segment.Identify()
		segments[owner] = segment.ID
		u.batch.Segments = append(u.batch.Segments, segment)
		u.keys = append(u.keys, models.NewID[models.KeyID](), models.NewID[models.KeyID]())
	}
	for range cells {
		i := r.IntN(len(u.keys))
		cell := models.UsageRollup{OwnerID: u.owners[i/2], UsageCell: models.UsageCell{
			Bucket: u.from.Add(time.Duration(r.IntN(u.buckets)) * models.Bucket), SegmentID: segments[u.owners[i/2]], APIKeyID: u.keys[i],
			Endpoint: []string{"", "/a", "/b", "/Ä", "other"}[r.IntN(5)], Method: []string{"GET", "POST"}[r.IntN(2)],
			Meter: []string{models.MeterRequests, models.MeterRequests, "tokens"}[r.IntN(3)],
		}}
		cell.UsageCounts = models.UsageCounts{
			Requests: r.Int64N(5), Allowed: r.Int64N(5), DeniedLimit: r.Int64N(5), DeniedQuota: 1, DeniedCost: 2, DeniedKey: 3, DeniedAccess: 4,
			Units: r.Int64N(3), BillableUnits: r.Int64N(9), Reports: 5, Status2xx: 6, Status3xx: 7, Status4xx: 8, Status5xx: 9, BytesIn: 1 << 40, BytesOut: 10,
		}
		u.cells = append(u.cells, cell)
		u.batch.Latencies = append(u.batch.Latencies, models.UsageLatency{
			UsageCell: cell.UsageCell, OwnerID: cell.OwnerID, Latency: r.IntN(10), Count: 1 + r.Int64N(3),
		})
	}
	u.batch.Rollups = u.cells
	for i := range u.cells {
		c := &u.cells[i]
		u.batch.Sums = append(u.batch.Sums, models.UsageSum{Bucket: c.Bucket, Meter: c.Meter, UsageCounts: c.UsageCounts})
	}
	return u
}

// fill stores the usage: some of it before all but that of the last day is taken up
// into totals, and some later.
func (u *used) fill(t *testing.T, s *suite) repositories.Usage {
	t.Helper()
	ingest, late, half := repositories.NewIngest(s.db), u.batch, len(u.cells)/2
	late.Rollups = u.cells[half:]
	require.NoError(t, ingest.AddRollups(t.Context(), u.cells[:half]))
	require.NoError(t, repositories.NewUsageUpkeep(s.db).Total(t.Context(), u.bucket(u.buckets-96)))
	require.NoError(t, ingest.Add(t.Context(), &late))
	return repositories.NewUsage(s.db)
}

// bucket is an instant that many buckets after the first.
func (u *used) bucket(n int) time.Time { return u.from.Add(time.Duration(n) * models.Bucket) }

func matches(c *models.UsageRollup, q *models.UsageQuery) bool {
	return !c.Bucket.Before(q.From) && c.Bucket.Before(q.To) &&
		(q.KeyID == "" || q.KeyID == c.APIKeyID) && (q.OwnerID == "" || q.OwnerID == c.OwnerID) &&
		(q.Meter == "" || q.Meter == c.Meter) && (q.Endpoint == nil || *q.Endpoint == c.Endpoint)
}

// grouped adds the cells up one by one.
func (u *used) grouped(q *models.UsageQuery, by models.UsageGroup) []models.UsageOf {
	sums := map[[2]string]*models.UsageCounts{}
	for i := range u.cells {
		c := &u.cells[i]
		if !matches(c, q) {
			continue
		}
		name := map[models.UsageGroup][2]string{
			models.GroupOwner: {string(c.OwnerID)}, models.GroupKey: {string(c.APIKeyID)},
			models.GroupEndpoint: {c.Endpoint, c.Method}, models.GroupMeter: {c.Meter},
		}[by]
		if sums[name] == nil {
			sums[name] = &models.UsageCounts{}
		}
		sums[name].Add(&c.UsageCounts)
	}
	list := []models.UsageOf{}
	for name, counts := range sums {
		list = append(list, models.UsageOf{Name: name[0], Method: name[1], UsageCounts: *counts})
	}
	slices.SortFunc(list, func(a, b models.UsageOf) int {
		return cmp.Or(cmp.Compare(b.Units, a.Units), cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Name, b.Name), strings.Compare(a.Method, b.Method))
	})
	return list
}

// drawQuery draws a range and a subject.
func (u *used) drawQuery(t *rapid.T) models.UsageQuery {
	n := rapid.IntRange(-3, u.buckets).Draw(t, "from")
	q := models.UsageQuery{From: u.bucket(n), To: u.bucket(rapid.IntRange(n, u.buckets+3).Draw(t, "to")), Meter: models.MeterRequests}
	switch rapid.IntRange(0, 2).Draw(t, "whose") {
	case 1:
		q.KeyID = rapid.SampledFrom(u.keys).Draw(t, "key")
	case 2:
		q.OwnerID = rapid.SampledFrom(u.owners).Draw(t, "owner")
	}
	if rapid.IntRange(0, 3).Draw(t, "narrowed") == 0 {
		q.Endpoint = ptr(rapid.SampledFrom([]string{"", "/a", "/Ä", "/none"}).Draw(t, "endpoint"))
	}
	return q
}

func TestGroupsAreWhatTheirCellsAddUpTo(t *testing.T) {
	u := randomUsage(4000, 4)
	eachEngine(t, func(t *testing.T, s *suite) {
		usage := u.fill(t, s)
		rapid.Check(t, func(t *rapid.T) {
			q := u.drawQuery(t)
			by := rapid.SampledFrom([]models.UsageGroup{models.GroupOwner, models.GroupKey, models.GroupEndpoint, models.GroupMeter}).Draw(t, "by")
			asked := q
			if by == models.GroupMeter {
				q.Meter = ""
			}
			want := u.grouped(&q, by)
			limit := rapid.IntRange(1, 10).Draw(t, "limit")
			got, err := usage.Grouped(t.Context(), asked, by, limit)
			require.NoError(t, err)
			require.Equal(t, want[:min(limit, len(want))], append([]models.UsageOf{}, got...))
		})
		_, err := usage.Grouped(t.Context(), models.UsageQuery{}, "color", 1)
		require.Error(t, err)
	})
}

func TestSeriesAreWhatTheirCellsAddUpTo(t *testing.T) {
	u := randomUsage(4000, 4)
	eachEngine(t, func(t *testing.T, s *suite) {
		usage := u.fill(t, s)
		rapid.Check(t, func(t *rapid.T) {
			q := u.drawQuery(t)
			edges := []time.Time{q.From}
			for n := rapid.IntRange(1, 3000).Draw(t, "width"); ; {
				edge := edges[len(edges)-1].Add(time.Duration(n) * models.Bucket)
				if !edge.Before(q.To) || len(edges) > 50 {
					break
				}
				edges = append(edges, edge)
			}
			edges = append(edges, q.To)
			want := []models.UsageAt{}
			for i := range edges[:len(edges)-1] {
				part := q
				part.From, part.To = edges[i], edges[i+1]
				for _, sum := range u.grouped(&part, models.GroupMeter) {
					want = append(want, models.UsageAt{Bucket: edges[i], UsageCounts: sum.UsageCounts})
				}
			}
			got, err := usage.Series(t.Context(), q, edges)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	})
}

func TestLatenciesAreCountedByTheirBound(t *testing.T) {
	u := randomUsage(2000, 4)
	eachEngine(t, func(t *testing.T, s *suite) {
		usage := u.fill(t, s)
		rapid.Check(t, func(t *rapid.T) {
			q := u.drawQuery(t)
			want := map[int]int64{}
			for i := range u.cells {
				if matches(&u.cells[i], &q) {
					want[u.batch.Latencies[i].Latency] += u.batch.Latencies[i].Count
				}
			}
			got, err := usage.Latencies(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	})
}

func TestTotalsOfAKeyAreOfAllItsTime(t *testing.T) {
	u := randomUsage(1000, 4)
	eachEngine(t, func(t *testing.T, s *suite) {
		usage := u.fill(t, s)
		for _, key := range u.keys {
			q := models.UsageQuery{From: u.bucket(0), To: u.bucket(u.buckets), KeyID: key, Meter: models.MeterRequests}
			got, err := repositories.NewActivity(s.db).KeyUsage(t.Context(), []models.KeyID{key, models.NewID[models.KeyID]()})
			require.NoError(t, err)
			want := u.grouped(&q, models.GroupKey)[0].UsageCounts
			require.Equal(t, map[models.KeyID]models.KeyUsage{key: {Requests: want.Requests, Allowed: want.Allowed, Units: want.Units}}, got)
		}
		segments, err := usage.Segments(t.Context(), []models.SegmentID{u.batch.Segments[1].ID, models.SegmentID(models.NewID[models.KeyID]())})
		require.NoError(t, err)
		require.Equal(t, map[models.SegmentID]models.Segment{u.batch.Segments[1].ID: u.batch.Segments[1]}, segments)
	})
}
