package repositories

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// UsageLogs keeps checks and reports one by one, as far as they are kept.
type UsageLogs struct{ db *DB }

// NewUsageLogs makes the repository.
func NewUsageLogs(db *DB) UsageLogs { return UsageLogs{db} }

const logNoun = "usage log"

// List gives a page of the rows that match, newest first. Two rows that are
// alike in time, request, kind and meter may be missed between two pages.
func (r UsageLogs) List(ctx context.Context, f models.UsageLogFilter, page models.Page) ([]models.UsageLog, error) {
	if page.Limit == 0 {
		page.Limit = models.DefaultPageLimit
	}
	var after *models.UsageLog
	if page.After != nil {
		last, err := models.ParseUsageLogPosition(page.After)
		if err == nil && !storable(last.RequestID+last.Meter) {
			err = apierror.CodeValidationFailed
		}
		if err != nil {
			return nil, badPosition(err)
		}
		after = &last
	}
	var rows []models.UsageLog
	err := r.db.do(ctx, logNoun, func(g *gorm.DB) error {
		g = during(ofKeyOrOwner(g, f.KeyID, f.OwnerID), "at", f.From, f.To)
		if f.Code != "" {
			g = g.Where("code = ?", f.Code)
		}
		if after != nil {
			// The first of these lets PostgreSQL leave out partitions.
			g = g.Where("at <= ? AND (at, request_id, kind, meter) < (?, ?, ?, ?)",
				after.At, after.At, after.RequestID, after.Kind, after.Meter)
		}
		return g.Order("at DESC, request_id DESC, kind DESC, meter DESC").Limit(page.Limit).Find(&rows).Error
	})
	return rows, err
}

// Bounds of a search for the rows of one request.
const (
	nearby    = 24 * time.Hour // of the request, before and after
	foundMost = 1000
)

// Find gives the rows of one request, oldest first: its check, and what was
// reported and corrected later. It looks a day around the time given or, where
// that is zero, the time that the id itself tells, and everywhere if nothing is
// found there: to PostgreSQL, everywhere is every partition.
func (r UsageLogs) Find(ctx context.Context, requestID string, around time.Time) ([]models.UsageLog, error) {
	if !storable(requestID) {
		return nil, nil
	}
	if around.IsZero() {
		around = timeOfID(requestID)
	}
	if !around.IsZero() {
		rows, err := r.find(ctx, requestID, around.Add(-nearby), around.Add(nearby))
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return r.find(ctx, requestID, time.Time{}, time.Time{})
}

func (r UsageLogs) find(ctx context.Context, requestID string, from, to time.Time) (rows []models.UsageLog, err error) {
	err = r.db.do(ctx, logNoun, func(g *gorm.DB) error {
		g = during(g, "at", from, to).Where("request_id = ?", requestID)
		return g.Order("at, kind, meter").Limit(foundMost).Find(&rows).Error
	})
	return rows, err
}

// timeOfID gives the time that a UUIDv7 was made at (RFC 9562, section 5.7),
// also that of a batch, which a check's number in it follows; of other text,
// zero.
func timeOfID(text string) time.Time {
	const length = 36
	if len(text) > length && text[length] == '-' {
		text = text[:length]
	}
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 7 {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// Violations keeps refusals by a rule, added up by the minute.
type Violations struct{ db *DB }

// NewViolations makes the repository.
func NewViolations(db *DB) Violations { return Violations{db} }

// List gives a page of the violations that match, newest first.
func (r Violations) List(ctx context.Context, f models.ViolationFilter, page models.Page) ([]models.RateLimitViolation, error) {
	return list[models.RateLimitViolation](ctx, r.db, "violation", page, ViolationSorts, func(g *gorm.DB) *gorm.DB {
		g = during(ofKeyOrOwner(g, f.KeyID, f.OwnerID), "minute", f.From, f.To)
		if f.Rule != "" {
			g = g.Where("rule = ?", f.Rule)
		}
		if page.After != nil {
			// list refuses what is no time; this lets PostgreSQL leave out partitions.
			if last, err := time.Parse(time.RFC3339Nano, page.After.Value); err == nil {
				g = g.Where("minute <= ?", last)
			}
		}
		return g
	})
}

func ofKeyOrOwner(g *gorm.DB, key models.KeyID, owner models.OwnerID) *gorm.DB {
	if key != "" {
		g = g.Where("api_key_id = ?", key)
	}
	if owner != "" {
		g = g.Where("owner_id = ?", owner)
	}
	return g
}

// during selects [from, to); a zero time does not bound it.
func during(g *gorm.DB, column string, from, to time.Time) *gorm.DB {
	if !from.IsZero() {
		g = g.Where(column+" >= ?", from)
	}
	if !to.IsZero() {
		g = g.Where(column+" < ?", to)
	}
	return g
}
