package repositories

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Usage tells what was used. Ranges are half-open, and their ends are starts of
// buckets. No answer depends on which of the tables it was read from.
type Usage struct {
	db      *DB
	tallies *tallyCache
}

// NewUsage makes the repository.
func NewUsage(db *DB) Usage { return Usage{db, &tallyCache{}} }

const usageNoun = "usage"

// Series adds up a meter between each two of the edges, which ascend, in place
// of the query's range. What nothing was used in is left out; the others come
// in order, each with the edge it begins at for its bucket.
func (r Usage) Series(ctx context.Context, q models.UsageQuery, edges []time.Time) ([]models.UsageAt, error) {
	s := newSummation(r.db, &q)
	for i := range edges[:len(edges)-1] {
		s.add(i, edges[i], edges[i+1])
	}
	if some, err := s.open(ctx); err != nil || !some {
		return []models.UsageAt{}, err
	}
	var rows []struct {
		N                  int
		models.UsageCounts `gorm:"embedded"`
	}
	err := r.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		union, args := s.union("", countNames(), "meter = ?", q.Meter)
		return g.Raw("SELECT n, "+summed()+" FROM ("+union+") u GROUP BY n ORDER BY n", args...).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	list := make([]models.UsageAt, len(rows))
	for i := range rows {
		list[i] = models.UsageAt{Bucket: edges[rows[i].N], UsageCounts: rows[i].UsageCounts}
	}
	return list, nil
}

// groupings say how the members of a group are named in the tables.
var groupings = map[models.UsageGroup]struct{ name, method string }{
	models.GroupOwner:    {"owner_id", "''"},
	models.GroupKey:      {"api_key_id", "''"},
	models.GroupEndpoint: {"endpoint", "method"},
	models.GroupMeter:    {"meter", "''"},
}

// Grouped adds up a meter in the query's range for each member of a group, and
// gives the largest, at most limit of them: by units, then by requests, then in
// the order of their names. Grouped by meter, it is every meter. Who has neither
// requests nor units nor reports is left out.
func (r Usage) Grouped(ctx context.Context, q models.UsageQuery, by models.UsageGroup, limit int) ([]models.UsageOf, error) {
	grouping, ok := groupings[by]
	if !ok {
		return nil, fmt.Errorf("usage grouped by %q", by)
	}
	if q.KeyID == "" && q.OwnerID == "" && q.Endpoint == nil && by != models.GroupMeter {
		list, ok, err := tallies{r.db, by, q.Meter, r.tallies}.largest(ctx, q.From, q.To, limit)
		if ok || err != nil {
			return list, err
		}
	}
	s := newSummation(r.db, &q)
	switch by {
	case models.GroupEndpoint:
		s.source = cellsOnly
	case models.GroupOwner, models.GroupKey:
		if s.source == sumsOnly {
			s.source = cellsAndTotals
		}
	}
	s.add(0, q.From, q.To)
	if some, err := s.open(ctx); err != nil || !some {
		return []models.UsageOf{}, err
	}
	condition, args := "meter = ?", []any{q.Meter}
	if by == models.GroupMeter {
		condition, args = "", nil
	}
	columns := grouping.name + " AS name, " + grouping.method + " AS method, "
	const order = " GROUP BY u.name, u.method HAVING SUM(u.units) <> 0 OR SUM(u.requests) <> 0 OR SUM(u.reports) <> 0" +
		" ORDER BY units DESC, requests DESC, name, method LIMIT ?"
	list := func(g *gorm.DB, condition string, args []any) (rows []models.UsageOf, err error) {
		union, args := s.union(columns, countNames(), condition, args...)
		err = g.Raw("SELECT CAST(name AS text) AS name, method, "+summed()+" FROM ("+union+") u"+order, append(args, limit)...).Scan(&rows).Error
		return rows, err
	}
	var rows []models.UsageOf
	err := r.db.do(ctx, usageNoun, func(g *gorm.DB) (err error) {
		if by == models.GroupEndpoint || by == models.GroupMeter {
			rows, err = list(g, condition, args)
			return err
		}
		// There may be very many of them: which are the largest is found by two
		// counts, and all are added up for these alone.
		union, first := s.union(columns, rankedBy, condition, args...)
		var largest []string
		err = g.Raw("SELECT CAST(name AS text) FROM (SELECT u.name, u.method, SUM(u.units) AS units, SUM(u.requests) AS requests FROM ("+
			union+") u"+order+") t", append(first, limit)...).Scan(&largest).Error
		if err != nil || len(largest) == 0 {
			return err
		}
		rows, err = list(g, condition+" AND "+grouping.name+" "+r.db.among, append(args, among(r.db, largest)))
		return err
	})
	return rows, err
}

// Latencies counts the reported latencies of the query's meter in its range, by
// the index of their bound.
func (r Usage) Latencies(ctx context.Context, q models.UsageQuery) (map[int]int64, error) {
	var rows []struct {
		Latency int
		Count   int64
	}
	err := r.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		g = g.Table("usage_latencies").Where("bucket >= ? AND bucket < ? AND meter = ?", q.From, q.To, q.Meter)
		if q.KeyID != "" {
			g = g.Where("api_key_id = ?", q.KeyID)
		}
		if q.OwnerID != "" {
			g = g.Where("owner_id = ?", q.OwnerID)
		}
		if q.Endpoint != nil {
			g = g.Where("endpoint = ?", *q.Endpoint)
		}
		return g.Select(`latency, CAST(SUM("count") AS BIGINT) AS "count"`).Group("latency").Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	counts := make(map[int]int64, len(rows))
	for _, row := range rows {
		counts[row.Latency] = row.Count
	}
	return counts, nil
}

// Segments gives the segments with these ids.
func (r Usage) Segments(ctx context.Context, ids []models.SegmentID) (map[models.SegmentID]models.Segment, error) {
	return findMany(ctx, r.db, "segment", ids, func(s *models.Segment) models.SegmentID { return s.ID })
}
