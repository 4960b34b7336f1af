package repositories

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// stretch is a part of a query's time: one of a series has the number n.
type stretch struct {
	n        int
	from, to time.Time
}

// usageSource is where a summation reads from.
type usageSource int

const (
	cellsAndTotals usageSource = iota // rollups, and totals for whole hours, days and months that have taken them up
	cellsOnly                         // what is told apart in rollups alone
	sumsOnly                          // of all keys together
)

// summation adds up usage over stretches of time. It reads whole months,
// days and hours of UTC from the totals, as far as the source has them, and the
// rest by the bucket.
type summation struct {
	db     *DB
	q      *models.UsageQuery
	source usageSource

	buckets []stretch
	totals  [len(models.TotalLevels)][]stretch
	// untotaled are those that totals may not have taken up wholly.
	untotaled []stretch
}

func newSummation(db *DB, q *models.UsageQuery) *summation {
	s := &summation{db: db, q: q}
	switch {
	case q.Endpoint != nil:
		s.source = cellsOnly
	case q.KeyID == "" && q.OwnerID == "":
		s.source = sumsOnly
	}
	return s
}

// add adds a stretch.
func (s *summation) add(n int, from, to time.Time) {
	level := 0
	if s.source != cellsAndTotals {
		level = len(models.TotalLevels)
	}
	s.cut(n, from.UTC(), to.UTC(), level)
}

// cut takes the whole periods of a level out of the middle of a stretch, and
// leaves what is before and after them to the next.
func (s *summation) cut(n int, from, to time.Time, level int) {
	if level == len(models.TotalLevels) {
		s.buckets = put(s.buckets, n, from, to)
		return
	}
	kind := models.TotalLevels[level]
	first, last := models.StartOf(kind, from), models.StartOf(kind, to)
	if first.Before(from) {
		first = models.After(kind, first)
	}
	if !first.Before(last) {
		s.cut(n, from, to, level+1)
		return
	}
	s.cut(n, from, first, level+1)
	s.totals[level] = put(s.totals[level], n, first, last)
	s.cut(n, last, to, level+1)
}

func put(list []stretch, n int, from, to time.Time) []stretch {
	if from.Before(to) {
		list = append(list, stretch{n, from, to})
	}
	return list
}

// open has to be called once all is added. It tells whether there is anything to
// add up: nothing is in a range of no length.
func (s *summation) open(ctx context.Context) (some bool, err error) {
	var mark *totaled
	for _, parts := range s.totals {
		for _, p := range parts {
			if mark == nil {
				now, err := totaledNow(ctx, s.db, "")
				if err != nil {
					return false, err
				}
				mark = &now
			}
			if p.from.Before(mark.until()) {
				p.from = mark.until()
			}
			s.untotaled = put(s.untotaled, p.n, p.from, p.to)
		}
	}
	return len(s.buckets) > 0 || mark != nil, nil
}

// union selects counts that are to be added up, with the number of their stretch
// and with further columns. A further condition narrows it.
func (s *summation) union(columns string, counts []string, condition string, args ...any) (query string, all []any) {
	var branches []string
	branch := func(table, instant, among string, parts []stretch) {
		if len(parts) == 0 {
			return
		}
		conditions := []string{instant + " >= p.since", instant + " < p.until"}
		all = append(all, encodeStretches(s.db.engine, parts))
		where := func(term string, arg any) {
			conditions = append(conditions, term)
			all = append(all, arg)
		}
		if among != "" {
			conditions = append(conditions, among)
		}
		if s.q.KeyID != "" {
			where("api_key_id = ?", s.q.KeyID)
		}
		if s.q.OwnerID != "" {
			where("owner_id = ?", s.q.OwnerID)
		}
		if s.q.Endpoint != nil {
			where("endpoint = ?", *s.q.Endpoint)
		}
		if condition != "" {
			conditions = append(conditions, condition)
			all = append(all, args...)
		}
		branches = append(branches, "SELECT n, "+columns+strings.Join(counts, ", ")+" FROM "+
			joinStretches(s.db.engine, table, strings.Join(conditions, " AND ")))
	}
	table := "usage_rollups"
	if s.source == sumsOnly {
		table = "usage_sums"
	}
	branch(table, "bucket", "", s.buckets)
	for level, parts := range s.totals {
		branch("usage_totals", "start", "level = '"+string(models.TotalLevels[level])+"'", parts)
	}
	branch("usage_rollups", "bucket", untotaled, s.untotaled)
	return strings.Join(branches, " UNION ALL "), all
}

// joinStretches reads a table once for each stretch, along the index that the
// conditions name. A planner left to itself may compare every row with every
// stretch: OFFSET and CROSS JOIN keep the one and the other from it.
func joinStretches(engine, table, conditions string) string {
	if engine == Postgres {
		return "(SELECT (value ->> 0)::integer AS n, (value ->> 1)::timestamptz AS since, (value ->> 2)::timestamptz AS until" +
			" FROM jsonb_array_elements(?::jsonb)) p CROSS JOIN LATERAL (SELECT * FROM " + table + " WHERE " + conditions + " OFFSET 0) u"
	}
	return "(SELECT value ->> 0 AS n, value ->> 1 AS since, value ->> 2 AS until FROM json_each(?)) p" +
		" CROSS JOIN " + table + " WHERE " + conditions
}

// encodeStretches makes one parameter of any number of stretches.
func encodeStretches(engine string, parts []stretch) string {
	instant := func(t time.Time) any { return t.UnixMicro() }
	if engine == Postgres {
		instant = func(t time.Time) any { return t.Format(time.RFC3339Nano) }
	}
	rows := make([][3]any, len(parts))
	for i, p := range parts {
		rows[i] = [3]any{p.n, instant(p.from), instant(p.to)}
	}
	data, _ := json.Marshal(rows) // numbers and text always can be
	return string(data)
}

// summed adds up every count. PostgreSQL gives sums in another type.
func summed() string {
	names := countNames()
	for i, name := range names {
		names[i] = "CAST(SUM(" + name + ") AS BIGINT) AS " + name
	}
	return strings.Join(names, ", ")
}
