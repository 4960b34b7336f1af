package repositories

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// DenialsOfKey adds up the refusals of a key in minutes that began at from or
// later.
func (r Violations) DenialsOfKey(ctx context.Context, key models.KeyID, from time.Time) (int64, error) {
	return r.denials(ctx, from, "api_key_id = ?", string(key))
}

// DenialsOfOwner adds up those of all keys of an owner.
func (r Violations) DenialsOfOwner(ctx context.Context, owner models.OwnerID, from time.Time) (int64, error) {
	return r.denials(ctx, from, "owner_id = ?", string(owner))
}

// DenialsOfIP adds up those of all violations that name an address: a violation
// that names several is counted whole for each.
func (r Violations) DenialsOfIP(ctx context.Context, ip string, from time.Time) (int64, error) {
	return r.denials(ctx, from, r.named(), ip)
}

// named is the condition that the addresses of a violation hold ?.
func (r Violations) named() string { return strings.Replace(r.db.tagged, "tags", "ips", 1) }

func (r Violations) denials(ctx context.Context, from time.Time, whose, subject string) (n int64, err error) {
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
		return g.Model(&models.RateLimitViolation{}).Select("CAST(COALESCE(SUM(denials), 0) AS BIGINT)").
			Where(whose, subject).Where("minute >= ?", from).Scan(&n).Error
	})
	return n, err
}

// IPsOf gives the addresses that the violations of a key name since an instant,
// those of the most refusals first, at most so many.
func (r Violations) IPsOf(ctx context.Context, key models.KeyID, from time.Time, most int) (ips []string, err error) {
	elements := "jsonb_array_elements_text(ips) AS a (value)"
	if r.db.engine == SQLite {
		elements = "json_each(ips) AS a"
	}
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
		return g.Raw("SELECT a.value FROM rate_limit_violations, "+elements+
			" WHERE api_key_id = ? AND minute >= ? AND ips IS NOT NULL GROUP BY a.value ORDER BY SUM(denials) DESC, a.value LIMIT ?",
			key, from, most).Scan(&ips).Error
	})
	return ips, err
}

// KeysOfIP gives keys whose violations name an address since an instant, in the
// order of their ids, from beyond one on, at most so many.
func (r Violations) KeysOfIP(ctx context.Context, ip string, from time.Time, beyond models.KeyID, most int) (keys []models.KeyID, err error) {
	err = r.db.do(ctx, violationNoun, func(g *gorm.DB) error {
		g = g.Model(&models.RateLimitViolation{}).Distinct("api_key_id").Where(r.named(), ip).Where("minute >= ?", from)
		if beyond != "" {
			g = g.Where("api_key_id > ?", beyond)
		}
		return g.Order("api_key_id").Limit(most).Pluck("api_key_id", &keys).Error
	})
	return keys, err
}

// Episodes keeps who was found to be refused too often.
type Episodes struct{ db *DB }

// NewEpisodes makes the repository.
func NewEpisodes(db *DB) Episodes { return Episodes{db} }

const episodeNoun = "episode"

// Find gives the last episode of a subject.
func (r Episodes) Find(ctx context.Context, subject string) (*models.AbuseEpisode, error) {
	return find[models.AbuseEpisode](ctx, r.db, episodeNoun, func(g *gorm.DB) *gorm.DB { return g.Where("subject = ?", subject) })
}

// Lock gives it and keeps it from changing until the transaction ends.
func (r Episodes) Lock(ctx context.Context, subject string) (*models.AbuseEpisode, error) {
	return find[models.AbuseEpisode](ctx, r.db, episodeNoun, locked(func(g *gorm.DB) *gorm.DB { return g.Where("subject = ?", subject) }))
}

// Open begins an episode unless one goes on: one with a suspension does until
// that ends, and another while it was last seen after quiet. Of transactions
// that open one at once, one does.
func (r Episodes) Open(ctx context.Context, e *models.AbuseEpisode, quiet time.Time) (opened bool, err error) {
	err = r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, episodeNoun, func(g *gorm.DB) error {
			result := g.Exec(`INSERT INTO abuse_episodes (subject, started_at, seen_at, denials, suspended_until, pending, progress)
				VALUES (?, ?, ?, ?, ?, ?, '')
				ON CONFLICT (subject) DO UPDATE SET started_at = excluded.started_at, seen_at = excluded.seen_at,
					denials = excluded.denials, suspended_until = excluded.suspended_until, pending = excluded.pending, progress = ''
				WHERE CASE WHEN abuse_episodes.suspended_until IS NULL THEN abuse_episodes.seen_at <= ?
					ELSE abuse_episodes.suspended_until <= excluded.started_at END`,
				e.Subject, e.StartedAt, e.SeenAt, e.Denials, e.SuspendedUntil, e.Pending, quiet)
			opened = result.RowsAffected == 1
			return result.Error
		})
	})
	return opened && err == nil, err
}

// Seen tells that there is still too much of it.
func (r Episodes) Seen(ctx context.Context, subject string, at time.Time) error {
	return r.db.do(ctx, episodeNoun, func(g *gorm.DB) error {
		return g.Model(&models.AbuseEpisode{}).Where("subject = ? AND seen_at < ?", subject, at).UpdateColumn("seen_at", at).Error
	})
}

// Advance stores how far the keys of a locked episode are suspended.
func (r Episodes) Advance(ctx context.Context, e *models.AbuseEpisode) error {
	return r.db.do(ctx, episodeNoun, func(g *gorm.DB) error {
		return g.Model(&models.AbuseEpisode{}).Where("subject = ?", e.Subject).
			UpdateColumns(map[string]any{"pending": e.Pending, "progress": e.Progress}).Error
	})
}
