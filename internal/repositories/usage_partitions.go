package repositories

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// partitioned is a table that PostgreSQL keeps in one partition for each day of
// UTC, and one for what belongs to no other: the default.
type partitioned struct {
	table  string
	column string // the instant that tells the day
	noun   string
}

var (
	logDays       = partitioned{"usage_logs", "at", "usage log"}
	violationDays = partitioned{"rate_limit_violations", "minute", "violation"}
)

func (p partitioned) rest() string { return p.table + "_default" }

const dayLayout = "20060102"

// day names the partition of the day that begins at start.
func (p partitioned) day(start time.Time) string { return p.table + "_" + start.Format(dayLayout) }

// dayOf reads the name of a partition.
func (p partitioned) dayOf(name string) (start time.Time, ok bool) {
	start, err := time.Parse(dayLayout, strings.TrimPrefix(name, p.table+"_"))
	return start, err == nil
}

// lockPatience is how long DDL waits for its lock: whoever comes after waits
// behind it, and that is the ingestion.
const lockPatience = "2s"

// ddl runs fn in a transaction that is the only one to change the partitions.
func (p partitioned) ddl(ctx context.Context, db *DB, fn func(ctx context.Context) error) error {
	return db.InTx(ctx, func(ctx context.Context) error {
		if err := p.run(ctx, db, "SELECT pg_advisory_xact_lock($1)", lockID("partitions", p.table)); err != nil {
			return err
		}
		if err := p.run(ctx, db, "SET LOCAL lock_timeout = '"+lockPatience+"'"); err != nil {
			return err
		}
		return fn(ctx)
	})
}

func (p partitioned) run(ctx context.Context, db *DB, query string, args ...any) error {
	return db.do(ctx, p.noun, func(g *gorm.DB) error { return execute(g, query, args...) })
}

// partition is a table that is one, or was until it was detached.
type partition struct {
	name     string
	start    time.Time
	attached bool
}

// days gives the partitions of days, oldest first. A process may have died
// between detaching one and dropping it, so those are found by their names.
func (p partitioned) days(ctx context.Context, db *DB) (list []partition, err error) {
	var rows []struct {
		Name     string
		Attached bool
	}
	err = db.do(ctx, p.noun, func(g *gorm.DB) error {
		return g.Raw(`SELECT c.relname AS name, c.relispartition AS attached FROM pg_class c
			JOIN pg_class parent ON parent.oid = ?::regclass AND parent.relnamespace = c.relnamespace
			WHERE c.relkind = 'r' AND c.relname ~ ? ORDER BY c.relname`, p.table, "^"+p.table+`_\d{8}$`).Scan(&rows).Error
	})
	for _, row := range rows {
		if start, ok := p.dayOf(row.Name); ok {
			list = append(list, partition{row.Name, start, row.Attached})
		}
	}
	return list, err
}

// make makes the partitions of the days from start on. One that fails leaves
// the others alone: a day without a partition has its rows in the default.
func (p partitioned) make(ctx context.Context, db *DB, start time.Time, days int) error {
	have, err := p.days(ctx, db)
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, part := range have {
		made[part.name] = true
	}
	var failed []error
	for n := range days {
		day := start.AddDate(0, 0, n)
		if made[p.day(day)] {
			continue
		}
		err := p.ddl(ctx, db, func(ctx context.Context) error { return p.makeDay(ctx, db, day) })
		if err != nil {
			failed = append(failed, fmt.Errorf("make partition %s: %w", p.day(day), err))
		}
	}
	return errors.Join(failed...)
}

// makeDay makes the partition of a day. It is filled and then attached, as
// CREATE TABLE … PARTITION OF would lock the whole table, and moves the rows
// that the default has of the day, as with these it could not be attached.
func (p partitioned) makeDay(ctx context.Context, db *DB, day time.Time) error {
	have, err := p.days(ctx, db)
	if err != nil {
		return err
	}
	name := p.day(day)
	for _, part := range have {
		if part.name == name { // another process was faster
			return nil
		}
	}
	from, to := "'"+day.Format(time.RFC3339)+"'", "'"+day.AddDate(0, 0, 1).Format(time.RFC3339)+"'"
	for _, statement := range []string{
		// Attaching takes this lock anyway; taken later, rows could come between.
		"LOCK TABLE " + p.rest() + " IN ACCESS EXCLUSIVE MODE",
		"CREATE TABLE " + name + " (LIKE " + p.table + ")",
		"WITH moved AS (DELETE FROM " + p.rest() + " WHERE " + p.column + " >= " + from + " AND " + p.column + " < " + to +
			" RETURNING *) INSERT INTO " + name + " SELECT * FROM moved",
		"ALTER TABLE " + p.table + " ATTACH PARTITION " + name + " FOR VALUES FROM (" + from + ") TO (" + to + ")",
	} {
		if err := p.run(ctx, db, statement); err != nil {
			return err
		}
	}
	return nil
}

// drop drops the partitions whose day has ended at before, and erases older
// rows from the default.
func (p partitioned) drop(ctx context.Context, db *DB, before time.Time) error {
	have, err := p.days(ctx, db)
	if err != nil {
		return err
	}
	for _, part := range have {
		if part.start.AddDate(0, 0, 1).After(before) {
			continue
		}
		if err := p.dropDay(ctx, db, part.name); err != nil {
			return fmt.Errorf("drop partition %s: %w", part.name, err)
		}
	}
	return db.repeat(ctx, p.noun, func(g *gorm.DB) (int64, error) {
		return affected(g, fmt.Sprintf("DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %[1]s WHERE %[2]s < $1 LIMIT %[3]d))",
			p.rest(), p.column, eraseRows), before)
	})
}

// dropDay detaches the partition and drops it afterwards: deleting its files
// takes time, in which the whole table would be locked.
func (p partitioned) dropDay(ctx context.Context, db *DB, name string) error {
	err := p.ddl(ctx, db, func(ctx context.Context) error {
		have, err := p.days(ctx, db)
		for _, part := range have {
			if part.name == name && part.attached {
				return p.run(ctx, db, "ALTER TABLE "+p.table+" DETACH PARTITION "+name)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return p.ddl(ctx, db, func(ctx context.Context) error { return p.run(ctx, db, "DROP TABLE IF EXISTS "+name) })
}
