package usage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Stream is one opening of a journal that is not yet wholly in the database.
type Stream struct {
	ID   models.StreamID
	Own  bool  // of this process, which still appends to it
	Last int64 // sequence number of the last record there is now
}

// Entry is one record of a stream, as it was journalled.
type Entry struct {
	Seq     int64
	At      time.Time // journalled at
	Payload []byte
}

// Journal is what answered checks are read back from.
type Journal interface {
	Streams() []Stream
	// Read gives what follows after, in order; nothing where there is no more now.
	Read(stream models.StreamID, after int64, most int) ([]Entry, error)
	// Done tells that everything up to seq is in the database.
	Done(stream models.StreamID, seq int64)
}

// Cursors keeps how far each stream is in the database.
type Cursors interface {
	// Cursor gives one without a lock; apierror.CodeNotFound where there is none.
	Cursor(ctx context.Context, stream models.StreamID) (models.IngestCursor, error)
	LockCursor(ctx context.Context, stream models.StreamID, node string) (models.IngestCursor, error)
	SaveCursor(ctx context.Context, cursor *models.IngestCursor) error
	Watermark(ctx context.Context, stream models.StreamID, node string, at time.Time) error
	Drained(ctx context.Context, stream models.StreamID, at time.Time) error
}

// Store keeps what records add up to. What it refuses is told by Refused;
// every other error means that it may take the same another time.
type Store interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	// ClaimIDs gives those that were not claimed before.
	ClaimIDs(ctx context.Context, ids []models.EventID, at time.Time) (fresh map[models.EventID]bool, err error)
	// ClaimEndpoints gives all that are counted apart now, at most so many a key.
	ClaimEndpoints(ctx context.Context, want map[models.KeyID][]string, most int) (map[models.KeyID][]string, error)
	Add(ctx context.Context, batch *models.UsageBatch) error
	Refused(err error) bool
}

// Jobs asks for jobs.
type Jobs interface {
	Touch(ctx context.Context, kind models.JobKind, subject string, after time.Duration) error
}

// Observer is told of what an Ingester does.
type Observer interface {
	// Batch is told how long an attempt to bring in a batch took, and how it ended.
	Batch(took time.Duration, err error)
	// Brought is told of what a transaction brought in: records, how many before
	// them were missing, and how many of them are set aside.
	Brought(records, lost, rejected int64)
}

// IngesterOptions tunes an Ingester; all of it but Forget, Jobs and Observer is
// needed.
type IngesterOptions struct {
	Node             string // this process, for people
	RawRowsPerSecond int
	EndpointsPerKey  int
	Now              func() time.Time
	// Report is told what an operator has to know: records lost or refused, and
	// that the database is away. Nil means that it is back.
	Report func(message string, err error)
	// Forget takes personal data from a record that has to be stored without it,
	// and tells whether it did. Nil takes none.
	Forget func(r *models.Record) bool
	// Jobs is asked for what looks at quotas, after some have moved. Nil asks
	// nobody: whoever looks does so from time to time anyway.
	Jobs Jobs
	// Observer is told of everything; nil tells nobody.
	Observer Observer
}

// Ingester brings records from the journal into the database, each once: the
// cursor of a stream moves in the transaction that adds its records. One
// goroutine runs it.
type Ingester struct {
	journal Journal
	cursors Cursors
	store   Store
	options IngesterOptions

	endpoints endpoints
	segments  map[models.SegmentID]bool // those that are in the database, as far as this process knows
	sampler   *sampler
	activity  *Activity
	items     []item                    // of the batch under way
	positions map[models.StreamID]int64 // brought in, as far as this process knows
	published time.Time                 // watermark of the own stream, in whole microseconds
	moved     bool                      // quotas did, since it was last asked to look at them
	asked     time.Time                 // when that was
	progress  *progress
	most      int // records of the next transaction
}

// NewIngester makes an ingester. The activity is told which keys were used.
func NewIngester(journal Journal, cursors Cursors, store Store, activity *Activity, o IngesterOptions) *Ingester {
	return &Ingester{
		journal: journal, cursors: cursors, store: store, options: o,
		endpoints: endpoints{most: o.EndpointsPerKey}, sampler: newSampler(o.RawRowsPerSecond),
		activity: activity, segments: map[models.SegmentID]bool{}, positions: map[models.StreamID]int64{}, progress: newProgress(o.Now()), most: mostEntries,
	}
}

const (
	// fewestEntries and mostEntries bound the records of one transaction.
	fewestEntries, mostEntries = 250, 60_000
	// batchTakes is how long a transaction shall take: the rows of as many keys as
	// there are records take a hundred times as long as those of one key, others
	// wait for them, and the database gives up what takes longer than its limit.
	batchTakes = time.Second
	// batchEvery is how long records gather at least before they are brought in:
	// it bounds the transactions of an idle service.
	batchEvery = 200 * time.Millisecond
	// gatherFor is how long they gather at most, which bounds how old usage is.
	// In between it is gatherShare times as long as the latest transactions took:
	// the more records of a key come together, the fewer rows they become.
	gatherFor, gatherShare = 2 * time.Second, 10
	// watermarkEvery is how often it is told how far the own stream is complete.
	watermarkEvery = time.Second
	// inFlight is longer than a check takes from its decision to the journal.
	inFlight = 2 * time.Second
	// askEvery is how often it is asked at most to look at quotas that moved, and
	// how long that waits for more of them.
	askEvery = 2 * time.Second
	// outreachAfter is how long what tells owners waits: it reads the quotas of all
	// of them.
	outreachAfter = 10 * time.Second
	// longestPause bounds the wait between attempts while the database is away.
	longestPause = 5 * time.Second
)

// Run brings in what comes until ctx ends.
func (i *Ingester) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failures := 0; ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		began := i.options.Now()
		more, err := i.once(ctx)
		took := i.options.Now().Sub(began)
		wait := min(max(batchEvery, gatherShare*took), gatherFor) - took
		switch {
		case err != nil && ctx.Err() == nil:
			if failures++; failures == 1 {
				i.options.Report("usage waits in the journal: the database does not take it", err)
			}
			wait = min(longestPause, batchEvery<<min(failures, 8))
		case err == nil && failures > 0:
			failures = 0
			i.options.Report("the database takes usage again", nil)
		}
		if more && err == nil {
			wait = 0
		}
		timer.Reset(max(wait, 0))
	}
}

// CatchUp brings in what earlier processes left in the journal. A process does
// so before it answers, so that quotas are rebuilt from all that it knows.
func (i *Ingester) CatchUp(ctx context.Context) error {
	for {
		behind := false
		for _, s := range i.journal.Streams() {
			if s.Own {
				continue
			}
			behind = true
			if _, err := i.stream(ctx, s); err != nil {
				return fmt.Errorf("catch up with the journal: %w", err)
			}
		}
		if !behind {
			return nil
		}
	}
}

// Drain brings in all there is, and ends the own stream, to which nobody
// appends any more.
func (i *Ingester) Drain(ctx context.Context) error {
	for {
		more, err := i.once(ctx)
		if err != nil {
			return fmt.Errorf("drain the journal: %w", err)
		}
		if more {
			continue
		}
		for _, s := range i.journal.Streams() {
			if s.Own {
				err = i.end(ctx, s.ID)
			}
		}
		i.ask(ctx, 0)
		if lost := i.activity.Flush(ctx, i.options.Now()); lost != nil {
			i.options.Report("when keys were last used is not written", lost)
		}
		return err
	}
}

// once brings in one batch of each stream; more tells that there was a full one.
// One that fails, such as for a file that cannot be read, does not stop others.
func (i *Ingester) once(ctx context.Context) (more bool, err error) {
	var failures []error
	for _, s := range i.journal.Streams() {
		full, err := i.stream(ctx, s)
		failures = append(failures, err)
		more = more || full
	}
	i.progress.tell(i.journal.Streams())
	// It may be lost with the process, and holds nothing up.
	if err := i.activity.flush(ctx, i.options.Now()); err != nil && ctx.Err() == nil {
		i.options.Report("when keys were last used is not written yet", err)
	}
	i.ask(ctx, askEvery)
	return more, errors.Join(failures...)
}

// ask asks to look at quotas that moved, unless it did within a time. It does so
// outside of what brings records in, and may fail: there is looked from time to
// time anyway.
func (i *Ingester) ask(ctx context.Context, within time.Duration) {
	now := i.options.Now()
	if i.options.Jobs == nil || !i.moved || now.Sub(i.asked) < within {
		return
	}
	i.moved, i.asked = false, now
	err := errors.Join(i.options.Jobs.Touch(ctx, models.JobAlertCheck, "", askEvery),
		i.options.Jobs.Touch(ctx, models.JobCustomerOutreach, "", outreachAfter))
	if err != nil && ctx.Err() == nil {
		i.options.Report("it is not asked to look at quotas that moved; they are looked at later", err)
	}
}

// stream brings in the next batch of a stream; more tells that it was a full one.
func (i *Ingester) stream(ctx context.Context, s Stream) (more bool, err error) {
	read := i.options.Now()
	position, err := i.position(ctx, s.ID)
	if err != nil {
		return false, err
	}
	entries, err := i.journal.Read(s.ID, position, i.most)
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", s.ID, err)
	}
	if len(entries) == 0 {
		i.progress.complete(s.ID, read)
		if !s.Own {
			return false, i.end(ctx, s.ID)
		}
		return i.back(ctx, false, i.publish(ctx, s.ID, read))
	}
	i.progress.complete(s.ID, entries[0].At)
	err = i.bring(ctx, s.ID, i.decode(entries, read))
	took, full := i.options.Now().Sub(read), len(entries) == i.most
	if i.options.Observer != nil {
		i.options.Observer.Batch(took, err)
	}
	i.size(len(entries), took, err)
	if err != nil {
		return i.back(ctx, false, err)
	}
	last := entries[len(entries)-1]
	i.positions[s.ID] = last.Seq
	i.progress.complete(s.ID, last.At)
	if !full {
		i.progress.complete(s.ID, read)
	}
	if !s.Own && last.Seq >= s.Last {
		return full, i.end(ctx, s.ID)
	}
	i.journal.Done(s.ID, last.Seq)
	if s.Own {
		err = i.publish(ctx, s.ID, last.At)
	}
	return i.back(ctx, full, err)
}

// size sets how many records the next transaction takes, after one took so long
// for n: half as many after one that failed, as that may be because it was given
// up half way, and no more than twice as many otherwise.
func (i *Ingester) size(n int, took time.Duration, err error) {
	next := 2 * i.most
	switch {
	case err != nil:
		next = n / 2
	case took > batchTakes/2:
		next = int(float64(n) * batchTakes.Seconds() / took.Seconds())
	}
	i.most = min(max(next, fewestEntries), mostEntries)
}

// back gives what stream returns: where the database has gone back, there is
// more to bring in.
func (i *Ingester) back(ctx context.Context, more bool, err error) (bool, error) {
	if errors.Is(err, errRewound) {
		return true, i.rewind(ctx)
	}
	return more, err
}

// position gives how far a stream is brought in: of one that an earlier process
// began, as far as the database knows it.
func (i *Ingester) position(ctx context.Context, stream models.StreamID) (int64, error) {
	if position, ok := i.positions[stream]; ok {
		return position, nil
	}
	cursor, err := i.cursor(ctx, stream)
	if err != nil {
		return 0, err
	}
	i.positions[stream] = cursor.LastSeq
	return cursor.LastSeq, nil
}

// cursor gives the cursor of a stream: a new one where there is none.
func (i *Ingester) cursor(ctx context.Context, stream models.StreamID) (models.IngestCursor, error) {
	cursor, err := i.cursors.Cursor(ctx, stream)
	if err != nil && !errors.Is(err, apierror.CodeNotFound) {
		return models.IngestCursor{}, fmt.Errorf("cursor of stream %s: %w", stream, err)
	}
	return cursor, nil
}

// publish tells that the own stream is complete up to what was decided before
// an instant, less the time in which a decision reaches the journal.
func (i *Ingester) publish(ctx context.Context, stream models.StreamID, until time.Time) error {
	until = until.Add(-inFlight).Truncate(time.Microsecond)
	if until.Sub(i.published) < watermarkEvery {
		return nil
	}
	// What is told to be complete has to be there, also where nothing comes.
	cursor, err := i.cursor(ctx, stream)
	if err != nil {
		return err
	}
	if cursor.LastSeq < i.positions[stream] || cursor.Watermark.Before(i.published) {
		return errRewound
	}
	if err := i.cursors.Watermark(ctx, stream, i.options.Node, until); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	i.published = until
	return nil
}

// end marks a stream as wholly in the database, which need not have heard of one
// that brought nothing.
func (i *Ingester) end(ctx context.Context, stream models.StreamID) error {
	err := i.cursors.Drained(ctx, stream, i.options.Now())
	if err != nil && (i.positions[stream] > 0 || !errors.Is(err, apierror.CodeNotFound)) {
		return fmt.Errorf("end stream %s: %w", stream, err)
	}
	i.journal.Done(stream, i.positions[stream])
	return nil
}

// bring brings items in. Of a batch that the database refuses, each half is
// tried apart, down to the one record that it refuses.
func (i *Ingester) bring(ctx context.Context, stream models.StreamID, items []item) error {
	err := i.transact(ctx, stream, items, whole)
	if err == nil || !i.store.Refused(err) {
		return err
	}
	if half := len(items) / 2; half > 0 {
		if err := i.bring(ctx, stream, items[:half]); err != nil {
			return err
		}
		return i.bring(ctx, stream, items[half:])
	}
	i.options.Report("the database refuses a record: it is counted and set aside", err)
	if again := i.transact(ctx, stream, items, countsOnly(err)); again == nil || !i.store.Refused(again) {
		return again
	}
	return i.transact(ctx, stream, items, setAside(err))
}

// errRewound says that the database knows less of a stream than it did.
var errRewound = errors.New("the database has gone back")

// rewind goes back, in every stream that this process has brought in, to where
// the database is: one that fell back to an earlier state, as a replica that
// lagged behind, gets from the journal what it lost, of ended streams too.
func (i *Ingester) rewind(ctx context.Context) error {
	i.published = time.Time{}
	clear(i.segments)
	for stream, position := range i.positions {
		cursor, err := i.cursor(ctx, stream)
		if err != nil {
			return err
		}
		if cursor.LastSeq >= position {
			continue
		}
		i.options.Report("usage is brought in again from the journal",
			fmt.Errorf("%w: to %d of stream %s, from %d", errRewound, cursor.LastSeq, stream, position))
		i.positions[stream] = cursor.LastSeq
		i.journal.Done(stream, cursor.LastSeq)
	}
	return nil
}
