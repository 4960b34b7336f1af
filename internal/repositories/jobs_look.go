package repositories

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// List gives a page of the jobs in a state, of one kind unless it is empty. Those
// given up come latest first, those that wait by when they are due.
func (r Jobs) List(ctx context.Context, filter models.JobFilter, page models.Page) (jobs []models.Job, err error) {
	column, direction, beyond, state := "due_at", "", ">", "failed_at IS NULL"
	if filter.State == models.JobFailed {
		column, direction, beyond, state = "failed_at", " DESC", "<", "failed_at IS NOT NULL"
	}
	if page.Limit == 0 {
		page.Limit = models.DefaultPageLimit
	}
	var after []any
	if page.After != nil {
		at, err := time.Parse(time.RFC3339Nano, page.After.Value)
		if err != nil {
			return nil, badPosition(err)
		}
		kind, subject, _ := strings.Cut(page.After.ID, " ")
		after = []any{at, kind, subject}
	}
	err = r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
		g = g.Where(state)
		if filter.Kind != "" {
			g = g.Where("kind = ?", filter.Kind)
		}
		if after != nil {
			g = g.Where("("+column+", kind, subject) "+beyond+" (?, ?, ?)", after...)
		}
		return g.Order(column + direction).Order("kind" + direction).Order("subject" + direction).Limit(page.Limit).Find(&jobs).Error
	})
	return jobs, err
}

// Stats tells of each kind that has jobs how many there are.
func (r Jobs) Stats(ctx context.Context) (stats []models.JobStats, err error) {
	late := map[string]string{
		Postgres: "CAST(EXTRACT(EPOCH FROM statement_timestamp() - due_at) * 1000000 AS bigint)",
		SQLite:   "CAST(unixepoch('subsec') * 1000000 AS INTEGER) - due_at",
	}[r.db.engine]
	var rows []struct {
		Kind                 models.JobKind
		Waiting, Due, Failed int64
		Late                 int64
	}
	err = r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
		return g.Raw("SELECT kind, SUM(waiting) AS waiting, SUM(CASE WHEN waiting = 1 AND late >= 0 THEN 1 ELSE 0 END) AS due," +
			" SUM(1 - waiting) AS failed, COALESCE(MAX(CASE WHEN waiting = 1 AND late > 0 THEN late END), 0) AS late FROM" +
			" (SELECT kind, CASE WHEN failed_at IS NULL THEN 1 ELSE 0 END AS waiting, " + late + " AS late FROM jobs) AS every" +
			" GROUP BY kind ORDER BY kind").Scan(&rows).Error
	})
	for _, row := range rows {
		stats = append(stats, models.JobStats{
			Kind: row.Kind, Waiting: row.Waiting, Due: row.Due, Failed: row.Failed, OldestDue: time.Duration(row.Late) * time.Microsecond,
		})
	}
	return stats, err
}

// failedJobs selects the jobs of a kind that were given up: all of them, or one.
func failedJobs(g *gorm.DB, kind models.JobKind, subject *string) *gorm.DB {
	g = g.Where("failed_at IS NOT NULL AND kind = ?", kind)
	if subject != nil {
		if !storable(*subject) {
			return nothing(g)
		}
		g = g.Where("subject = ?", *subject)
	}
	return g
}

// Retry makes failed jobs due again, as they were when they were first asked for:
// all of the kind, or the one with the subject. It tells how many.
func (r Jobs) Retry(ctx context.Context, kind models.JobKind, subject *string) (retried int64, err error) {
	err = r.change(ctx, func(g *gorm.DB) error {
		result := failedJobs(g.Model(&models.Job{}), kind, subject).UpdateColumns(map[string]any{
			"generation": gorm.Expr("generation + 1"), "due_at": gorm.Expr(r.db.ago, 0),
			"sent_at": nil, "failures": 0, "last_error": "", "failed_at": nil,
		})
		retried = result.RowsAffected
		return result.Error
	})
	return retried, err
}

// Delete forgets failed jobs: all of the kind, or the one with the subject. It
// tells how many.
func (r Jobs) Delete(ctx context.Context, kind models.JobKind, subject *string) (deleted int64, err error) {
	err = r.change(ctx, func(g *gorm.DB) error {
		result := failedJobs(g, kind, subject).Delete(&models.Job{})
		deleted = result.RowsAffected
		return result.Error
	})
	return deleted, err
}

// sentQuery is one statement for any number of jobs.
func (r Jobs) sentQuery(jobs []models.Job) (query string, args []any) {
	if r.db.engine == SQLite {
		rows := make([][3]any, len(jobs))
		for i := range jobs {
			rows[i] = [3]any{jobs[i].Kind, jobs[i].Subject, jobs[i].Generation}
		}
		list, _ := json.Marshal(rows) // text and numbers always can be
		return "UPDATE jobs SET sent_at = " + r.db.ago + " WHERE (kind, subject, generation) IN" +
			" (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?))", []any{0, string(list)}
	}
	kinds, subjects, generations := make([]string, len(jobs)), make([]string, len(jobs)), make([]int64, len(jobs))
	for i := range jobs {
		kinds[i], subjects[i], generations[i] = string(jobs[i].Kind), jobs[i].Subject, jobs[i].Generation
	}
	return "UPDATE jobs SET sent_at = statement_timestamp() FROM unnest($1::text[], $2::text[], $3::bigint[]) AS r (kind, subject, generation)" +
		" WHERE jobs.kind = r.kind AND jobs.subject = r.subject AND jobs.generation = r.generation", []any{kinds, subjects, generations}
}
