package repositories

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// UsageUpkeep makes room for usage and drops what is kept no longer. What it
// does takes as many short transactions as it needs, and what one of them has
// done stays done: a job that is interrupted goes on the next time.
type UsageUpkeep struct {
	db        *DB
	totalKeys int
}

// NewUsageUpkeep makes the repository.
func NewUsageUpkeep(db *DB) UsageUpkeep { return UsageUpkeep{db, totalKeys} }

// eraseRows bounds the rows that one statement erases.
const eraseRows = 5000

// longKeptYears is how long months and the totals of quotas are kept.
const longKeptYears = 3

// MakePartitions makes the partitions of raw rows and violations from yesterday
// to so many days ahead. Several processes may do so at once. SQLite has none.
func (u UsageUpkeep) MakePartitions(ctx context.Context, now time.Time, days int) error {
	if u.db.engine == SQLite {
		return nil
	}
	yesterday := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	for _, table := range []partitioned{logDays, violationDays} {
		if err := table.make(ctx, u.db, yesterday, days+2); err != nil {
			return err
		}
	}
	return nil
}

// DropLogs erases raw rows from before an instant; on PostgreSQL only days that
// had ended by then.
func (u UsageUpkeep) DropLogs(ctx context.Context, before time.Time) error {
	if u.db.engine == Postgres {
		return logDays.drop(ctx, u.db, before)
	}
	return u.erase(ctx, expired{table: "usage_logs", instant: "at", key: "rowid"}, before)
}

// DropViolations erases violations like DropLogs, and whom they were too many of.
func (u UsageUpkeep) DropViolations(ctx context.Context, before time.Time) error {
	if err := u.erase(ctx, expired{table: "abuse_episodes", instant: "seen_at", key: "subject"}, before); err != nil {
		return err
	}
	if u.db.engine == Postgres {
		return violationDays.drop(ctx, u.db, before)
	}
	return u.erase(ctx, expired{table: "rate_limit_violations", instant: "minute", key: "minute, id"}, before)
}

// DropRollups erases usage from before an instant. Months and the totals of quotas
// are kept for three years; rollups are until totals have taken them up.
func (u UsageUpkeep) DropRollups(ctx context.Context, before time.Time) error {
	longAgo := u.db.now().AddDate(-longKeptYears, 0, 0)
	if before.Before(longAgo) {
		longAgo = before
	}
	mark, err := totaledNow(ctx, u.db, "")
	if err != nil {
		return err
	}
	rollups := before
	if mark.until().Before(before) {
		rollups = mark.until()
	}
	level := func(kind models.PeriodKind) string { return "level = '" + string(kind) + "'" }
	for _, e := range []struct {
		expired
		before time.Time
	}{
		{expired{table: "usage_rollups", instant: "bucket", who: "api_key_id"}, rollups},
		{expired{table: "usage_latencies", instant: "bucket", who: "api_key_id"}, before},
		// By whole months, as they tell whether tallies of a month are up to date.
		{expired{table: "usage_sums", instant: "bucket", who: "meter"}, models.StartOf(models.PeriodMonth, before)},
		{expired{table: "installation_usage", instant: "bucket", who: "kind"}, before},
		{expired{table: "usage_totals", instant: "start", who: "api_key_id", where: level(models.PeriodHour)}, before},
		{expired{table: "usage_totals", instant: "start", who: "api_key_id", where: level(models.PeriodDay)}, before},
		{expired{table: "usage_totals", instant: "start", who: "api_key_id", where: level(models.PeriodMonth)}, longAgo},
		{expired{table: "quota_totals", instant: "start", who: "subject"}, longAgo},
	} {
		if err := u.erase(ctx, e.expired, e.before); err != nil {
			return err
		}
	}
	return nil
}

// DropEventIDs forgets the ids claimed before an instant: records that come
// again later are counted again.
func (u UsageUpkeep) DropEventIDs(ctx context.Context, before time.Time) error {
	return u.erase(ctx, expired{table: "usage_event_ids", instant: "at", key: "id"}, before)
}

// expired are rows of a table that are too old, by a column with an instant.
type expired struct {
	table   string
	instant string
	where   string // which of the table's rows
	// SQLite finds rows by a key that is short. Those of a longer one it would look
	// for by its first column alone; they go instant by instant, by a column that
	// follows it in an index.
	key, who string
}

// erase deletes the rows from before an instant, a bounded number at a time.
func (u UsageUpkeep) erase(ctx context.Context, e expired, before time.Time) error {
	which, args := e.instant+" < ?", []any{before}
	if e.where != "" {
		which += " AND " + e.where
	}
	var rows string
	switch {
	case u.db.engine == Postgres:
		rows = fmt.Sprintf("ctid = ANY (ARRAY(SELECT ctid FROM %s WHERE %s LIMIT %d))", e.table, which, eraseRows)
	case e.key != "":
		rows = fmt.Sprintf("(%[1]s) IN (SELECT %[1]s FROM %s WHERE %s LIMIT %d)", e.key, e.table, which, eraseRows)
	default:
		oldest := fmt.Sprintf("%[1]s = (SELECT min(%[1]s) FROM %s WHERE %s)", e.instant, e.table, which)
		if e.where != "" {
			oldest += " AND " + e.where
		}
		rows = fmt.Sprintf("%[1]s AND %[2]s IN (SELECT %[2]s FROM %[3]s WHERE %[1]s LIMIT %[4]d)", oldest, e.who, e.table, eraseRows)
		args = append(args, before)
	}
	return u.db.repeat(ctx, "usage", func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM "+e.table+" WHERE "+rows, args...)
		return result.RowsAffected, result.Error
	})
}
