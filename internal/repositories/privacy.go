package repositories

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
)

// Privacy finds and empties what is stored about one key or owner.
type Privacy struct{ db *DB }

// NewPrivacy makes the repository.
func NewPrivacy(db *DB) Privacy { return Privacy{db} }

const (
	privacyNoun = "personal data"
	// privacyRows is about how many rows are read or emptied at a time.
	privacyRows = 1000
)

// Remember stores when the data of a subject was erased.
func (r Privacy) Remember(ctx context.Context, e models.Erasure) error {
	return r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
		return g.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "subject_kind"}, {Name: "subject_id"}},
			DoUpdates: clause.AssignmentColumns([]string{"erased_at"}),
		}).Create(&e).Error
	})
}

// Erasures gives those of since and later, oldest first.
func (r Privacy) Erasures(ctx context.Context, since time.Time) (list []models.Erasure, err error) {
	err = r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
		return g.Where("erased_at >= ?", since).Order("erased_at").Find(&list).Error
	})
	return list, err
}

// KeysOf gives keys of an owner, in the order of their ids, beginning after one.
func (r Privacy) KeysOf(ctx context.Context, owner models.OwnerID, after models.KeyID, most int) (list []models.APIKey, err error) {
	err = r.db.do(ctx, "key", func(g *gorm.DB) error {
		if g = g.Where("owner_id = ?", owner); after != "" {
			g = g.Where("id > ?", after)
		}
		return g.Order("id").Limit(most).Find(&list).Error
	})
	return list, err
}

// Erase empties the addresses and agents of usage logs, violations and refused
// records, the personal members of the audit log, and where an owner was written
// to. Where until is not zero,
// what happened after it stays. Each batch is a transaction of its own: what was
// emptied before a failure stays empty.
func (r Privacy) Erase(ctx context.Context, s models.DataSubject, until time.Time) (n models.ErasedRows, err error) {
	if n.Logs, err = r.empty(ctx, logsOf(s), "(ip <> '' OR user_agent <> '')", until,
		map[string]any{"ip": "", "user_agent": ""}); err != nil {
		return n, err
	}
	if n.Violations, err = r.empty(ctx, violationsOf(s), "(ips IS NOT NULL OR agents IS NOT NULL)", until,
		map[string]any{"ips": nil, "agents": nil}); err != nil {
		return n, err
	}
	if err = r.eraseRejects(ctx, s, until); err != nil {
		return n, err
	}
	for _, rows := range r.auditOf(s) {
		erased, err := r.empty(ctx, rows, "("+r.personal()+") AND action NOT LIKE '%"+models.ActionErasePersonalData+"'", until,
			map[string]any{"ip": "", "before_state": r.without("before_state"), "after_state": r.without("after_state")})
		n.AuditLogs += erased
		if err != nil {
			return n, err
		}
	}
	if s.Kind == models.SubjectOwner {
		_, err = NewDeliveries(r.db).ForgetOwner(ctx, models.OwnerID(s.ID), until)
	}
	return n, err
}

// rowsOf are rows about a subject in one table. They are gone through along the
// column of their times, within what scan selects by an index; of that, match
// selects the rows.
type rowsOf struct {
	table, column string
	scan, match   scope
}

func (s rowsOf) whole(g *gorm.DB) *gorm.DB { return s.match(s.scan(g.Table(s.table))) }

func logsOf(s models.DataSubject) rowsOf {
	return rowsOf{"usage_logs", "at", about(s), all}
}

func violationsOf(s models.DataSubject) rowsOf {
	return rowsOf{"rate_limit_violations", "minute", about(s), all}
}

// auditOf are the changes of the subject itself and, of an owner, those of the
// keys it holds, and of others while it held them.
func (r Privacy) auditOf(s models.DataSubject) []rowsOf {
	list := []rowsOf{{"audit_logs", "at", func(g *gorm.DB) *gorm.DB {
		return g.Where("object_id = ? AND object_kind = ?", s.ID, s.Kind)
	}, all}}
	if s.Kind != models.SubjectOwner {
		return list
	}
	return append(list, rowsOf{"audit_logs", "at",
		func(g *gorm.DB) *gorm.DB { return g.Where("object_kind = ?", models.SubjectKey) },
		func(g *gorm.DB) *gorm.DB {
			return g.Where("("+r.db.member("before_state", "owner_id")+" = ? OR "+r.db.member("after_state", "owner_id")+" = ?"+
				" OR object_id IN (SELECT CAST(id AS TEXT) FROM api_keys WHERE owner_id = ?))", s.ID, s.ID, s.ID)
		}})
}

// about selects rows by the columns that nearly all tables have.
func about(s models.DataSubject) scope {
	column := map[string]string{models.SubjectKey: "api_key_id", models.SubjectOwner: "owner_id"}[s.Kind]
	return func(g *gorm.DB) *gorm.DB { return g.Where(column+" = ?", s.ID) }
}

// empty sets columns in the rows that meet a condition.
func (r Privacy) empty(ctx context.Context, rows rowsOf, condition string, until time.Time, set map[string]any) (total int64, err error) {
	narrowed := rows
	narrowed.scan = func(g *gorm.DB) *gorm.DB {
		if g = rows.scan(g); !until.IsZero() {
			g = g.Where(rows.column+" <= ?", until)
		}
		return g
	}
	err = r.spans(ctx, narrowed, func(within scope) error {
		var n int64
		err := r.db.InTx(ctx, func(ctx context.Context) error {
			return r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
				result := within(g.Table(rows.table)).Where(condition).UpdateColumns(set)
				n = result.RowsAffected
				return result.Error
			})
		})
		if err == nil {
			total += n
		}
		return err
	})
	return total, err
}

// spans calls fn with consecutive parts of the rows, oldest first. Rows of one
// instant are in one part, so none is missed between two.
func (r Privacy) spans(ctx context.Context, rows rowsOf, fn func(within scope) error) error {
	var after *time.Time
	for {
		var end []time.Time
		start := after
		later := func(g *gorm.DB) *gorm.DB {
			if g = rows.scan(g); start != nil {
				g = g.Where(rows.column+" > ?", *start)
			}
			return g
		}
		err := r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
			return later(g.Table(rows.table)).Order(rows.column).Offset(privacyRows-1).Limit(1).Pluck(rows.column, &end).Error
		})
		if err != nil {
			return err
		}
		err = fn(func(g *gorm.DB) *gorm.DB {
			if g = rows.match(later(g)); len(end) > 0 {
				g = g.Where(rows.column+" <= ?", end[0])
			}
			return g
		})
		if err != nil || len(end) == 0 {
			return err
		}
		after = &end[0]
	}
}

// personalMembers are what objects in the audit log hold of a person.
var personalMembers = []string{"name", "email", "metadata", "suspend_reason"}

// member is a member of a JSON object, as text.
func (db *DB) member(column, name string) string {
	if db.engine == SQLite {
		return "json_extract(" + column + ", '$." + name + "')"
	}
	return column + "->>'" + name + "'"
}

// personal is the condition that a row of the audit log holds anything personal.
func (r Privacy) personal() string {
	conditions := []string{"ip <> ''"}
	for _, column := range []string{"before_state", "after_state"} {
		for _, name := range personalMembers {
			conditions = append(conditions, r.db.member(column, name)+" IS NOT NULL")
		}
	}
	return strings.Join(conditions, " OR ")
}

// without is a JSON object less its personal members.
func (r Privacy) without(column string) clause.Expr {
	if r.db.engine == SQLite {
		return gorm.Expr("json_remove(" + column + ", '$." + strings.Join(personalMembers, "', '$.") + "')")
	}
	return gorm.Expr("CASE WHEN jsonb_typeof(" + column + ") = 'object' THEN " + column +
		" - ARRAY['" + strings.Join(personalMembers, "', '") + "'] ELSE " + column + " END")
}

// eraseRejects empties records that the database refused: they are kept as they
// were journalled. What cannot be read as a record belongs to nobody.
func (r Privacy) eraseRejects(ctx context.Context, s models.DataSubject, until time.Time) error {
	var last models.IngestReject
	for {
		var rows []models.IngestReject
		err := r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
			if last.StreamID != "" {
				g = g.Where("(stream_id, seq) > (?, ?)", last.StreamID, last.Seq)
			}
			return g.Order("stream_id, seq").Limit(privacyRows).Find(&rows).Error
		})
		if err != nil {
			return err
		}
		for i := range rows {
			record, err := models.DecodeRecord(rows[i].Payload)
			if err != nil || !s.Owns(&record) || !until.IsZero() && record.At.After(until) {
				continue
			}
			record.Anonymize()
			err = r.db.do(ctx, privacyNoun, func(g *gorm.DB) error {
				return g.Model(&models.IngestReject{}).Where("stream_id = ? AND seq = ?", rows[i].StreamID, rows[i].Seq).
					UpdateColumn("payload", record.Append(nil)).Error
			})
			if err != nil {
				return err
			}
		}
		if len(rows) < privacyRows {
			return nil
		}
		last = rows[len(rows)-1]
	}
}

// EraseAgain repeats the erasures of since and later, for what was on its way
// into the database while they were made.
func (r Privacy) EraseAgain(ctx context.Context, since time.Time) error {
	list, err := r.Erasures(ctx, since)
	if err != nil {
		return err
	}
	for i := range list {
		if _, err := r.Erase(ctx, list[i].Subject(), list[i].ErasedAt); err != nil {
			return err
		}
	}
	return nil
}
