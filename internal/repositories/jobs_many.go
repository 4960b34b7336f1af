package repositories

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// TouchMany is [Jobs.Touch] for many subjects of a kind. It touches them in one
// order, so that transactions that touch many do not wait for each other in a
// circle.
func (r Jobs) TouchMany(ctx context.Context, kind models.JobKind, subjects []string, after time.Duration) error {
	if len(subjects) == 0 {
		return nil
	}
	sorted := slices.Clone(subjects)
	slices.Sort(sorted)
	from := "unnest($2::text[]) AS r (value) WHERE true"
	due, now := "statement_timestamp() + $3::bigint * interval '1 microsecond'", "statement_timestamp()"
	if r.db.engine == SQLite {
		from = "json_each($2) WHERE true" // without WHERE, the ON would be that of a join
		now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
		due = now + " + $3"
	}
	statement := "INSERT INTO jobs (kind, subject, generation, due_at, created_at) SELECT $1, value, 1, " + due + ", " + now +
		" FROM " + from + touchConflict
	return r.db.InTx(ctx, func(ctx context.Context) error {
		for part := range slices.Chunk(slices.Compact(sorted), bulkRows) {
			var list any = part
			if r.db.engine == SQLite {
				list = among(r.db, part)
			}
			err := r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
				return execute(g, statement, string(kind), list, after.Microseconds())
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// touchConflict is what asking does to a job that is there: see [Jobs.Touch].
const touchConflict = ` ON CONFLICT (kind, subject) DO UPDATE SET
	generation = jobs.generation + 1, failures = 0, failed_at = NULL, last_error = '',
	due_at = CASE WHEN jobs.sent_at IS NULL AND jobs.failed_at IS NULL AND jobs.due_at < excluded.due_at
		THEN jobs.due_at ELSE excluded.due_at END,
	sent_at = NULL`
