package repositories

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// tallies adds up what each member of a group used of one meter, all keys
// together. A tally is of a stretch that begins with a month, a day, an hour:
// what was used until an instant of it is the tally of the month until that day,
// that of the day until that hour, and that of the hour. What was used between
// two instants is the one less the other, so it takes a few tallies however long
// the range is. Where tallies are missing or out of date, totals and rollups are
// read.
type tallies struct {
	db    *DB
	by    models.UsageGroup
	meter string
	cache *tallyCache
}

// span is a stretch that there is a tally of, with the changes it was made at.
type span struct {
	Since, Until time.Time
	Changes      int64
}

// fresh is the condition that a tally t is up to date.
const fresh = "t.changes = (SELECT COALESCE(SUM(s.changes), 0) FROM usage_sums s WHERE s.meter = t.meter AND s.bucket >= t.since AND s.bucket < t.until)"

// tallyPlan says what a sum is made of.
type tallyPlan struct {
	spans  []signedSpan
	direct []stretch // what is read from totals and rollups; their numbers are their signs
}

type signedSpan struct {
	span
	sign int // 1, or -1 where it is taken away
}

// plan finds the parts of [from, to).
func (t tallies) plan(ctx context.Context, from, to time.Time) (p tallyPlan, err error) {
	for month := models.StartOf(models.PeriodMonth, from); month.Before(to); month = models.After(models.PeriodMonth, month) {
		begin, end := month, models.After(models.PeriodMonth, month)
		if from.After(begin) {
			begin = from
		}
		if to.Before(end) {
			end = to
		}
		if err := t.within(ctx, &p, month, begin.UTC(), end.UTC()); err != nil {
			return tallyPlan{}, err
		}
	}
	return p, nil
}

// within adds the parts of a stretch of one month.
func (t tallies) within(ctx context.Context, p *tallyPlan, month, begin, end time.Time) error {
	added, last, err := t.until(ctx, month, end)
	if err != nil {
		return err
	}
	taken, first, err := t.until(ctx, month, begin)
	if err != nil {
		return err
	}
	if last.Sub(begin) <= begin.Sub(first) { // less is left to be read without tallies
		p.read(begin, end, 1)
		return nil
	}
	for len(added) > 0 && len(taken) > 0 && added[0] == taken[0] {
		added, taken = added[1:], taken[1:]
	}
	p.add(added, 1)
	p.add(taken, -1)
	p.read(last, end, 1)
	p.read(first, begin, -1)
	return nil
}

func (p *tallyPlan) add(spans []span, sign int) {
	for _, s := range spans {
		p.spans = append(p.spans, signedSpan{s, sign})
	}
}

func (p *tallyPlan) read(from, to time.Time, sign int) { p.direct = put(p.direct, sign, from, to) }

// parts gives what the plan is made of: its tallies and, in the last one, the
// counts named of all that is read.
func (t tallies) parts(ctx context.Context, p tallyPlan, counts []string) ([]*tallyCursor, error) {
	list, err := t.load(ctx, p.spans)
	if err != nil {
		return nil, err
	}
	rest, err := t.read(ctx, p.direct, counts, nil)
	if err != nil {
		return nil, err
	}
	packed, err := openTally(packTally(rest))
	if err != nil {
		return nil, err
	}
	return append(list, newTallyCursor(packed, 1)), nil
}

// until finds tallies that follow each other from since on, and where the last
// one ends: as near to end as there are.
func (t tallies) until(ctx context.Context, since, end time.Time) (list []span, reached time.Time, err error) {
	for reached = since; reached.Before(end); {
		var next []span
		err := t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
			return g.Raw("SELECT t.since, t.until, t.changes FROM usage_tallies t WHERE t.meter = ? AND t.grouped_by = ? AND t.since = ? AND t.until <= ? AND "+
				fresh+" ORDER BY t.until DESC LIMIT 1", t.meter, t.by, reached, end).Scan(&next).Error
		})
		if err != nil {
			return nil, reached, err
		}
		if len(next) == 0 {
			break
		}
		list, reached = append(list, next[0]), next[0].Until.UTC()
	}
	return list, reached, nil
}

// load reads tallies.
func (t tallies) load(ctx context.Context, spans []signedSpan) ([]*tallyCursor, error) {
	list := make([]*tallyCursor, 0, len(spans)+1)
	for _, s := range spans {
		name := tallyName{t.meter, t.by, s.Since.Unix(), s.Until.Unix(), s.Changes}
		tally := t.cache.get(name)
		if tally == nil {
			var row struct{ Data []byte }
			err := t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
				return g.Raw("SELECT data FROM usage_tallies WHERE meter = ? AND grouped_by = ? AND since = ? AND until = ?",
					t.meter, t.by, s.Since, s.Until).Scan(&row).Error
			})
			if err != nil {
				return nil, err
			}
			if tally, err = openTally(row.Data); err != nil {
				return nil, err
			}
			t.cache.put(name, tally)
		}
		list = append(list, newTallyCursor(tally, int64(s.sign)))
	}
	return list, nil
}

// rankedBy are the counts that the largest are found by, and those that tell
// whether anything was used.
var rankedBy = []string{"requests", "units", "reports"} // in the order of the columns

// read adds up the counts named of what is in no tally, of all members or of
// some.
func (t tallies) read(ctx context.Context, direct []stretch, counts, names []string) ([]member, error) {
	s := &summation{db: t.db, q: &models.UsageQuery{Meter: t.meter}}
	if t.by == models.GroupEndpoint {
		s.source = cellsOnly
	}
	for _, part := range direct {
		s.add(part.n, part.from, part.to)
	}
	if some, err := s.open(ctx); err != nil || !some {
		return nil, err
	}
	grouping := groupings[t.by]
	condition, args := "meter = ?", []any{t.meter}
	if names != nil {
		condition, args = condition+" AND "+grouping.name+" "+t.db.among, append(args, among(t.db, names))
	}
	union, args := s.union(grouping.name+" AS name, "+grouping.method+" AS method, ", counts, condition, args...)
	sums := make([]string, len(counts))
	for i, name := range counts {
		sums[i] = "CAST(SUM(n * " + name + ") AS BIGINT) AS " + name
	}
	var list []member
	err := t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		rows, err := g.Raw("SELECT CAST(u.name AS text) AS name, u.method, "+strings.Join(sums, ", ")+" FROM ("+union+
			") u GROUP BY u.name, u.method ORDER BY u.name, u.method", args...).Rows()
		if err != nil {
			return err
		}
		list, err = scanMembers(rows, t.by, counts)
		return err
	})
	return list, err
}

func scanMembers(rows *sql.Rows, by models.UsageGroup, counts []string) (list []member, err error) {
	defer rows.Close()
	var m member
	var name, method string
	into := []any{&name, &method}
	for _, count := range countColumns {
		for _, wanted := range counts {
			if wanted == count.column {
				into = append(into, count.of(&m.UsageCounts))
			}
		}
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if m.name, err = packName(by, name, method); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// packName gives the name of a member in a tally: the bytes of an id, or an
// endpoint with its method. Their order is that of the names.
func packName(by models.UsageGroup, name, method string) (string, error) {
	if by == models.GroupEndpoint {
		return name + "\x00" + method, nil
	}
	id, err := uuid.Parse(name)
	return string(id[:]), err
}

func openName(by models.UsageGroup, packed string) (name, method string) {
	if by == models.GroupEndpoint {
		name, method, _ = strings.Cut(packed, "\x00")
		return name, method
	}
	var id uuid.UUID
	copy(id[:], packed)
	return id.String(), ""
}
