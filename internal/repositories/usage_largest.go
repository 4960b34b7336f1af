package repositories

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// ranked is a member among the largest, and where it is in each tally.
type ranked struct {
	member
	at []int // -1 where it is not
}

func compareRanked(a, b ranked) int {
	return cmp.Or(cmp.Compare(b.Units, a.Units), cmp.Compare(b.Requests, a.Requests), strings.Compare(a.name, b.name))
}

// largest gives what Usage.Grouped does of all keys, and ok, where any tally
// is of use.
func (t tallies) largest(ctx context.Context, from, to time.Time, limit int) (list []models.UsageOf, ok bool, err error) {
	err = t.db.snapshot(ctx, func(ctx context.Context) error {
		plan, err := t.plan(ctx, from, to)
		if err != nil || len(plan.spans) == 0 {
			return err
		}
		ok = true
		few, counts := t.by == models.GroupEndpoint, rankedBy
		if few {
			counts = countNames()
		}
		parts, err := t.parts(ctx, plan, counts)
		if err != nil {
			return err
		}
		top := rank(parts, limit)
		if !few {
			if err := t.complete(ctx, plan.direct, top); err != nil {
				return err
			}
		}
		list = make([]models.UsageOf, len(top))
		for i := range top {
			list[i].UsageCounts = top[i].UsageCounts
			list[i].Name, list[i].Method = openName(t.by, top[i].name)
		}
		return nil
	})
	return list, ok, err
}

// complete adds the counts that are not ranked by of what is in no tally.
func (t tallies) complete(ctx context.Context, direct []stretch, top []ranked) error {
	names, place := make([]string, len(top)), make(map[string]int, len(top))
	for i := range top {
		names[i], _ = openName(t.by, top[i].name)
		place[top[i].name] = i
	}
	rest, err := t.read(ctx, direct, countNames(), names)
	for i := range rest {
		into, more := &top[place[rest[i].name]].UsageCounts, rest[i].UsageCounts
		more.Requests, more.Units, more.Reports = 0, 0, 0
		into.Add(&more)
	}
	return err
}

// rank adds tallies up and gives the largest, with all counts. Who has neither
// requests nor units nor reports did not use anything.
func rank(parts []*tallyCursor, limit int) []ranked {
	var top []ranked
	columns := [...]int{columnNumber("units"), columnNumber("requests"), columnNumber("reports")}
	eachMember(parts, func(name string, at []int) {
		var sums [len(columns)]int64
		for i, n := range at {
			if n >= 0 {
				for c, column := range columns {
					sums[c] += parts[i].sign * parts[i].counts[column].of(n)
				}
			}
		}
		if sums == [len(columns)]int64{} {
			return
		}
		r := ranked{member: member{name: name, UsageCounts: models.UsageCounts{Units: sums[0], Requests: sums[1]}}}
		if len(top) >= limit && compareRanked(top[limit-1], r) < 0 {
			return
		}
		r.at = slices.Clone(at)
		if top = append(top, r); len(top) == 2*limit || len(top) == limit {
			top = largestOf(top, limit)
		}
	})
	top = largestOf(top, limit)
	for i := range top {
		top[i].UsageCounts = countsAt(parts, top[i].at)
	}
	return top
}

func largestOf(list []ranked, limit int) []ranked {
	slices.SortFunc(list, compareRanked)
	return list[:min(limit, len(list))]
}

func columnNumber(name string) int { return slices.Index(countNames(), name) }

// countsAt adds up all counts of one member.
func countsAt(parts []*tallyCursor, at []int) (sum models.UsageCounts) {
	for i, n := range at {
		if n < 0 {
			continue
		}
		for c, count := range countColumns {
			*count.of(&sum) += parts[i].sign * parts[i].counts[c].of(n)
		}
	}
	return sum
}

// eachMember goes through the members of all tallies in the order of their
// names, and tells where each is in every tally, or -1.
func eachMember(parts []*tallyCursor, visit func(name string, at []int)) {
	at := make([]int, len(parts))
	for {
		var first *tallyCursor
		for _, part := range parts {
			if !part.done() && (first == nil || part.name < first.name) {
				first = part
			}
		}
		if first == nil {
			return
		}
		name := first.name
		for i, part := range parts {
			at[i] = -1
			if !part.done() && part.name == name {
				at[i] = part.n
				part.next()
			}
		}
		visit(name, at)
	}
}

// snapshot runs fn in a transaction that reads, all of it at one instant.
func (db *DB) snapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	if db.transaction(ctx) != nil {
		return fn(ctx)
	}
	options := &sql.TxOptions{ReadOnly: true}
	if db.engine == Postgres { // SQLite always reads so
		options.Isolation = sql.LevelRepeatableRead
	}
	tx := &transaction{gorm: db.gorm.WithContext(ctx).Begin(options)}
	if tx.gorm.Error != nil {
		return translate(ctx, tx.gorm.Error, "transaction")
	}
	defer tx.gorm.Rollback()
	return fn(context.WithValue(ctx, txKey{db}, tx))
}
