package repositories

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// ExportRow takes one row of an export: the table it is from, and its columns.
type ExportRow = func(kind string, row map[string]any) error

// Export gives every row about a subject, table by table and in order. It reads
// in pages, each in a statement of its own: rows that come while it runs may be
// in it or not.
func (r Privacy) Export(ctx context.Context, s models.DataSubject, each ExportRow) error {
	for _, table := range []func() error{
		func() error { return exportPages[models.Segment](ctx, r, r.segments(s), "since, id", each) },
		func() error {
			return exportPages[models.UsageRollup](ctx, r, rowsOf{"usage_rollups", "bucket", about(s), all},
				"bucket, api_key_id, segment_id, endpoint, method, meter", each)
		},
		func() error {
			return exportPages[models.UsageLatency](ctx, r, rowsOf{"usage_latencies", "bucket", about(s), all},
				"bucket, api_key_id, segment_id, endpoint, method, meter, latency", each)
		},
		func() error {
			return exportPages[models.UsageTotal](ctx, r, rowsOf{"usage_totals", "start", about(s), all},
				"level, start, owner_id, api_key_id, meter", each)
		},
		func() error {
			return exportPages[models.QuotaTotal](ctx, r, quotasOf(s), "subject, rule, period, start", each)
		},
		func() error {
			return exportPages[models.RateLimitViolation](ctx, r, violationsOf(s), "minute, id", each)
		},
		// These have no key to go by, and may be alike.
		func() error { return exportSpans[models.UsageLog](ctx, r, logsOf(s), each) },
		func() error {
			// What was done to many at once holds nothing of each: it is told, not emptied.
			among := rowsOf{"audit_logs", "at", func(g *gorm.DB) *gorm.DB {
				return g.Where("object_kind = ? AND id IN (SELECT entry_id FROM audit_objects WHERE object_id = ?)", s.Kind, s.ID)
			}, all}
			for _, rows := range append(r.auditOf(s), among) {
				if err := exportSpans[models.AuditEntry](ctx, r, rows, each); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		if err := table(); err != nil {
			return err
		}
	}
	return nil
}

// segments are those of the owner or, of a key, of every owner it had usage with.
func (r Privacy) segments(s models.DataSubject) rowsOf {
	scan := about(s)
	if s.Kind == models.SubjectKey {
		scan = func(g *gorm.DB) *gorm.DB {
			return g.Where("owner_id IN (SELECT owner_id FROM usage_totals WHERE api_key_id = ? UNION"+
				" SELECT owner_id FROM usage_rollups WHERE api_key_id = ? AND bucket >= (SELECT bucket FROM usage_totaled WHERE one = 1))", s.ID, s.ID)
		}
	}
	return rowsOf{"usage_segments", "since", scan, all}
}

// quotasOf are the quotas of the subject and of the keys that an owner holds.
func quotasOf(s models.DataSubject) rowsOf {
	return rowsOf{"quota_totals", "start", func(g *gorm.DB) *gorm.DB {
		if s.Kind == models.SubjectKey {
			return g.Where("subject = ?", s.Kind+":"+s.ID)
		}
		return g.Where("(subject = ? OR subject IN (SELECT 'key:' || CAST(id AS TEXT) FROM api_keys WHERE owner_id = ?))",
			s.Kind+":"+s.ID, s.ID)
	}, all}
}

// exportPages goes through a table by columns that name each row.
func exportPages[T any](ctx context.Context, r Privacy, rows rowsOf, key string, each ExportRow) error {
	columns := strings.Split(key, ", ")
	beyond := fmt.Sprintf("(%s) > (?%s)", key, strings.Repeat(", ?", len(columns)-1))
	var last []any
	for {
		var page []T
		var cells []map[string]any
		err := r.db.do(ctx, privacyNoun, func(g *gorm.DB) (err error) {
			q := rows.whole(g)
			if last != nil {
				// The first says it to an index that holds the first column only.
				q = q.Where(columns[0]+" >= ?", last[0]).Where(beyond, last...)
			}
			if err := q.Order(key).Limit(privacyRows).Find(&page).Error; err != nil {
				return err
			}
			cells, err = cellsOf(ctx, g, page)
			return err
		})
		if err != nil {
			return err
		}
		if err := emit(rows.table, cells, each); err != nil {
			return err
		}
		if len(page) < privacyRows {
			return nil
		}
		last = last[:0]
		for _, column := range columns {
			last = append(last, cells[len(cells)-1][column])
		}
	}
}

func emit(table string, cells []map[string]any, each ExportRow) error {
	for _, row := range cells {
		if err := each(table, row); err != nil {
			return err
		}
	}
	return nil
}

// exportSpans goes through a table along its times.
func exportSpans[T any](ctx context.Context, r Privacy, rows rowsOf, each ExportRow) error {
	order := rows.column + ", request_id"
	return r.spans(ctx, rows, func(within scope) error {
		var cells []map[string]any
		err := r.db.do(ctx, privacyNoun, func(g *gorm.DB) (err error) {
			var page []T
			if err := within(g.Table(rows.table)).Order(order).Find(&page).Error; err != nil {
				return err
			}
			cells, err = cellsOf(ctx, g, page)
			return err
		})
		if err != nil {
			return err
		}
		return emit(rows.table, cells, each)
	})
}

// exportName is what a column is called in an export, whose lines have a kind of
// their own.
func exportName(column string) string {
	if column == "kind" {
		return "record_kind"
	}
	return column
}

// cellsOf gives rows by the names of their columns.
func cellsOf[T any](ctx context.Context, g *gorm.DB, page []T) ([]map[string]any, error) {
	statement := &gorm.Statement{DB: g}
	if err := statement.Parse(new(T)); err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(page))
	for i := range page {
		row, value := make(map[string]any, len(statement.Schema.Fields)), reflect.ValueOf(&page[i]).Elem()
		for _, field := range statement.Schema.Fields {
			cell := field.ReflectValueOf(ctx, value).Interface()
			if at, ok := cell.(time.Time); ok {
				cell = at.UTC()
			}
			row[exportName(field.DBName)] = cell
		}
		list[i] = row
	}
	return list, nil
}
