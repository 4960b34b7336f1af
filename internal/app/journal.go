package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// JournalDir is the folder of the journal that the configuration names.
func JournalDir(cfg *config.Config) string {
	if cfg.Journal.Dir != "" {
		return cfg.Journal.Dir
	}
	return filepath.Join(cfg.Data.Dir, "journal")
}

// JournalSegment describes one file of a journal.
type JournalSegment = journal.SegmentInfo

// InspectJournal describes the segments of a folder, beside whatever writes it.
func InspectJournal(dir string, each func(JournalSegment) error) error {
	return journal.Inspect(dir, each)
}

// JournalRecords gives the records of a folder, and nil in place of one that
// cannot be read.
func JournalRecords(dir string, each func(stream models.StreamID, seq int64, at time.Time, r *models.Record) error) error {
	return journal.Records(dir, func(stream models.StreamID, e journal.Entry) error {
		record, err := models.DecodeRecord(e.Payload)
		if err != nil {
			return each(stream, e.Seq, e.At, nil)
		}
		return each(stream, e.Seq, e.At, &record)
	})
}

// HasDatabase tells whether there is a database to open: opening a SQLite file
// makes it.
func HasDatabase(cfg *config.Config) bool {
	if cfg.Database.URL != "" {
		return true
	}
	_, err := os.Stat(databaseFile(cfg))
	return err == nil
}

// Cursor tells how far a stream is in the database; nil where it is unknown.
func (d *Database) Cursor(ctx context.Context, stream models.StreamID) (*models.IngestCursor, error) {
	cursor, err := repositories.NewStreams(d.db).Cursor(ctx, stream)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		return nil, nil //nolint:nilnil // that it is unknown is an answer
	case err != nil:
		return nil, err
	}
	return &cursor, nil
}

// OpenStreams lists the streams that more may come from: neither wholly in the
// database nor declared lost, oldest first.
func (d *Database) OpenStreams(ctx context.Context) ([]models.IngestCursor, error) {
	if err := migrated(ctx, d.db); err != nil {
		return nil, err
	}
	return repositories.NewStreams(d.db).List(ctx)
}

// DeclareLost gives up what has not come of a stream, so that nothing waits for
// it any more. Should it come after all, it counts.
func (d *Database) DeclareLost(ctx context.Context, stream models.StreamID) (lost models.IngestCursor, err error) {
	if err := migrated(ctx, d.db); err != nil {
		return lost, err
	}
	streams := repositories.NewStreams(d.db)
	changes := d.changes()
	err = changes.InTx(ctx, func(ctx context.Context) error {
		before, err := streams.Cursor(ctx, stream)
		if err != nil {
			return err
		}
		switch {
		case before.DrainedAt != nil:
			return apierror.New(apierror.CodeConflict, "The stream is wholly in the database: nothing of it is lost")
		case before.LostAt != nil:
			return apierror.New(apierror.CodeConflict, "The stream was declared lost before")
		}
		if err := streams.Lost(ctx, stream, clock()); err != nil {
			return err
		}
		if lost, err = streams.Cursor(ctx, stream); err != nil {
			return err
		}
		return changes.Record(ctx, models.Change{
			Action: "stream.lost", ObjectKind: "stream", ObjectID: string(stream), Before: streamState(&before), After: streamState(&lost),
		})
	})
	return lost, err
}

// streamState is a stream as the record of changes has it.
func streamState(c *models.IngestCursor) any {
	return struct {
		Node      string     `json:"node"`
		LastSeq   int64      `json:"last_seq"`
		Watermark time.Time  `json:"complete_until"`
		LostAt    *time.Time `json:"lost_at,omitempty"`
	}{c.Node, c.LastSeq, c.Watermark.UTC(), c.LostAt}
}

// Replayed is what was brought in of one stream.
type Replayed struct {
	Stream  models.StreamID
	Brought int64 // records that the database did not have
	Gaps    int64 // records that are missing in the folder
	Last    int64
}

// Replay brings the journal folder of a process that is gone into the database
// and ends its streams. Bringing the same in again changes nothing. It refuses a
// folder that a process has. Progress is told how far each stream has come.
func (d *Database) Replay(ctx context.Context, cfg *config.Config, dir string, progress func(stream models.StreamID, seq, last int64), report func(message string, err error)) (done []Replayed, err error) {
	if err := migrated(ctx, d.db); err != nil {
		return nil, err
	}
	reader, err := journal.OpenReader(dir)
	if errors.Is(err, journal.ErrLocked) {
		err = fmt.Errorf("%w: stop the process that has it, which brings it in by itself", err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	forgotten := privacy.NewForgotten(repositories.NewPrivacy(d.db))
	if err := forgotten.Refresh(ctx); err != nil {
		return nil, err
	}
	streams := reader.Streams()
	before := make([]models.IngestCursor, len(streams))
	for i, s := range streams {
		cursor, err := d.Cursor(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		if cursor != nil {
			before[i] = *cursor
		}
	}
	source := readerSource{reader, progress, map[models.StreamID]int64{}}
	for _, s := range streams {
		source.last[s.ID] = s.Last
	}
	drained := newIngester(cfg, d.db, source, forgotten, nil, report).Drain(ctx)
	for i, s := range streams {
		cursor, err := d.Cursor(ctx, s.ID)
		if err != nil {
			return done, errors.Join(drained, err)
		}
		if cursor == nil {
			cursor = &models.IngestCursor{}
		}
		gaps := cursor.Gaps - before[i].Gaps
		done = append(done, Replayed{Stream: s.ID, Brought: cursor.LastSeq - before[i].LastSeq - gaps, Gaps: gaps, Last: s.Last})
	}
	return done, drained
}

// readerSource is a folder of a process that is gone, as the ingester sees it.
type readerSource struct {
	reader   *journal.Reader
	progress func(stream models.StreamID, seq, last int64)
	last     map[models.StreamID]int64
}

// Streams gives all there is: the ingester knows how far each is.
func (s readerSource) Streams() []usage.Stream { return streamsOf(s.reader.Streams()) }

// Read gives the records that follow.
func (s readerSource) Read(stream models.StreamID, after int64, most int) ([]usage.Entry, error) {
	entries, err := s.reader.Read(stream, after, most)
	return entriesOf(entries), err
}

// Done frees nothing: the folder is left as it is.
func (s readerSource) Done(stream models.StreamID, seq int64) {
	s.progress(stream, seq, s.last[stream])
}
