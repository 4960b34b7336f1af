package repositories

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Streams keeps how far the streams of journals are in the database.
type Streams struct{ db *DB }

// NewStreams makes the repository.
func NewStreams(db *DB) Streams { return Streams{db} }

const streamNoun = "stream"

// byStream selects by the id of a stream, which may come from an operator.
func byStream(id models.StreamID) scope {
	return func(g *gorm.DB) *gorm.DB {
		parsed, err := models.ParseID[string](string(id))
		if err != nil {
			return nothing(g)
		}
		return g.Where("stream_id = ?", parsed)
	}
}

// unfinished are the streams that more may come from.
func unfinished(g *gorm.DB) *gorm.DB { return g.Where("drained_at IS NULL AND lost_at IS NULL") }

// LockCursor gives the cursor of a stream, a new one where there is none, and
// keeps others from moving it until the transaction ends. A new one is not
// complete up to any instant: its watermark is zero.
func (r Streams) LockCursor(ctx context.Context, stream models.StreamID, node string) (models.IngestCursor, error) {
	if r.db.transaction(ctx) == nil {
		return models.IngestCursor{}, errors.New("lock of a cursor outside a transaction")
	}
	cursor, err := find[models.IngestCursor](ctx, r.db, streamNoun, locked(byStream(stream)))
	if errors.Is(err, apierror.CodeNotFound) {
		// Another may insert it first: then this waits for that, and finds it.
		if err = r.insert(ctx, &models.IngestCursor{StreamID: stream, Node: node}, clause.OnConflict{DoNothing: true}); err == nil {
			cursor, err = find[models.IngestCursor](ctx, r.db, streamNoun, locked(byStream(stream)))
		}
	}
	if err != nil {
		return models.IngestCursor{}, err
	}
	return *cursor, nil
}

func (r Streams) insert(ctx context.Context, cursor *models.IngestCursor, conflict clause.OnConflict) error {
	return r.db.do(ctx, streamNoun, func(g *gorm.DB) error { return g.Clauses(conflict).Create(cursor).Error })
}

// SaveCursor stores how far the stream is in the database. A cursor may go
// back, to where a database that fell back has it; a watermark does not.
func (r Streams) SaveCursor(ctx context.Context, c *models.IngestCursor) error {
	now := r.db.now()
	err := r.change(ctx, c.StreamID, map[string]any{
		"last_seq": c.LastSeq, "gaps": c.Gaps, "updated_at": now,
		"watermark": gorm.Expr("CASE WHEN watermark < ? THEN ? ELSE watermark END", c.Watermark, c.Watermark),
	})
	if err == nil {
		c.UpdatedAt = now
	}
	return err
}

// change sets columns of a stream that has to be there.
func (r Streams) change(ctx context.Context, stream models.StreamID, columns map[string]any) error {
	return r.db.do(ctx, streamNoun, func(g *gorm.DB) error {
		result := byStream(stream)(g.Model(&models.IngestCursor{})).UpdateColumns(columns)
		if result.Error == nil && result.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
}

// List gives the streams that more may come from, oldest first: neither drained
// nor declared lost.
func (r Streams) List(ctx context.Context) (cursors []models.IngestCursor, err error) {
	err = r.db.do(ctx, streamNoun, func(g *gorm.DB) error {
		return unfinished(g).Order("created_at").Order("stream_id").Find(&cursors).Error
	})
	return cursors, err
}

// Cursor gives the cursor of a stream.
func (r Streams) Cursor(ctx context.Context, stream models.StreamID) (models.IngestCursor, error) {
	cursor, err := find[models.IngestCursor](ctx, r.db, streamNoun, byStream(stream))
	if err != nil {
		return models.IngestCursor{}, err
	}
	return *cursor, nil
}

// Watermark tells that the stream is complete up to an instant. An earlier one
// than is known changes nothing.
func (r Streams) Watermark(ctx context.Context, stream models.StreamID, node string, at time.Time) error {
	return r.insert(ctx, &models.IngestCursor{StreamID: stream, Node: node, Watermark: at}, clause.OnConflict{
		Columns:   []clause.Column{{Name: "stream_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"watermark", "updated_at"}),
		Where: clause.Where{Exprs: []clause.Expression{
			clause.Expr{SQL: "ingest_cursors.watermark < excluded.watermark"},
		}},
	})
}

// Drained tells that everything of the stream is in the database.
func (r Streams) Drained(ctx context.Context, stream models.StreamID, at time.Time) error {
	return r.ended(ctx, stream, "drained_at", at)
}

// Lost tells that the rest of the stream will not come.
func (r Streams) Lost(ctx context.Context, stream models.StreamID, at time.Time) error {
	return r.ended(ctx, stream, "lost_at", at)
}

// ended keeps the first of several times.
func (r Streams) ended(ctx context.Context, stream models.StreamID, column string, at time.Time) error {
	return r.change(ctx, stream, map[string]any{
		column: gorm.Expr("COALESCE("+column+", ?)", at), "updated_at": r.db.now(),
	})
}

// CompleteUntil gives the instant that everything before is in the database:
// the lowest watermark of the streams that more may come from. It is not ok
// where there are none.
func (r Streams) CompleteUntil(ctx context.Context) (t time.Time, ok bool, err error) {
	cursor, err := find[models.IngestCursor](ctx, r.db, streamNoun,
		func(g *gorm.DB) *gorm.DB { return unfinished(g).Order("watermark") })
	if errors.Is(err, apierror.CodeNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	return cursor.Watermark, true, nil
}
