package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// A Journal is one stream being written, and those that earlier runs have left
// in its folder. It is safe for concurrent use.
type Journal struct {
	o     Options
	lock  *os.File
	shelf shelf
	own   *stream
	seed  uint32

	mu      sync.Mutex
	filling *group   // gathers while another is written
	free    []*group // to be used again
	closed  bool
	over    bool // closed, and the pen is not given any more
	writing bool // somebody has the pen
	wanting int  // who want it without a group; they go first
	pen     sync.Cond

	// Whoever has the pen owns these.
	seq     int64     // the last number given
	active  *segment  // where the next group goes; nil before the first
	ordinal int64     // of the last segment begun
	unsafe  bool      // a sync failed, and what it was about has not been saved
	cause   error     // why the disk takes nothing; nil when it does
	tried   time.Time // when that was last seen

	syncing   sync.Mutex   // one syncs at a time
	synced    atomic.Int64 // highest number that survives a loss of power
	heldBytes atomic.Int64
	blocked   atomic.Bool // cause is not nil

	next    atomic.Pointer[spare]
	names   atomic.Int64 // how many files were made ahead
	prepare chan struct{}

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// Open takes a folder and begins a new stream in it. It fails with ErrLocked
// where the folder is taken.
func Open(o Options) (*Journal, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	j := &Journal{
		o: o, lock: lock, seed: seedOf(id), stop: stop,
		own:     &stream{id: id, own: true, started: o.Now().UTC(), done: untold},
		prepare: make(chan struct{}, 1),
	}
	j.pen.L = &j.mu
	j.filling = j.newGroup()
	if err := j.shelf.load(o.Dir, true, o.Log); err != nil {
		stop()
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", o.Dir, err), lock.Close())
	}
	j.shelf.streams = append(j.shelf.streams, j.own)
	// Its name is what a process leaves that dies before its first record.
	j.makeSpare()
	j.tasks.Go(func() { j.makeAhead(ctx) })
	j.tasks.Go(func() { j.tend(ctx) })
	return j, nil
}

// Stream names what this opening writes.
func (j *Journal) Stream() models.StreamID { return streamOf(j.own.id) }

// Streams lists the streams of which something is not Done, oldest first, and
// this opening's last.
func (j *Journal) Streams() []Stream { return j.shelf.list() }

// Read returns records with numbers above after, in order, as many as can be
// read now, and at most so many. A record that was lost shows as a jump in the
// numbers. What it returns beside an error is good. Payloads share memory that
// is never used again.
func (j *Journal) Read(stream models.StreamID, after int64, most int) ([]Entry, error) {
	return j.shelf.read(stream, after, most)
}

// Done says that the database has a stream up to seq. Segments that are done
// are deleted after a time (Options). A lower number than before takes that
// back, as far as records are still there.
func (j *Journal) Done(stream models.StreamID, seq int64) {
	j.shelf.markDone(stream, seq)
	j.sweep()
}

func (j *Journal) sweep() {
	if err := j.shelf.sweep(j.o.Now(), keeping{j.o.Keep, j.o.KeepBytes}); err != nil {
		j.o.Log.Warn("segments of the journal cannot be deleted", zap.Error(err))
	}
}

// Usage is what a journal takes up.
type Usage struct {
	Segments int   // files of all streams
	Bytes    int64 // their room on the disk
	Held     int64 // bytes of records in memory that the disk has not taken
	Appended int64 // highest number of this opening's stream
	Synced   int64 // highest that survives a loss of power
	Missing  int64 // records of all streams that are not Done
	Blocked  bool  // the disk takes nothing
}

// Usage tells what the journal takes up.
func (j *Journal) Usage() Usage {
	u := Usage{Held: j.heldBytes.Load(), Appended: j.own.last.Load(), Synced: j.synced.Load(), Blocked: j.blocked.Load()}
	j.shelf.mu.RLock()
	defer j.shelf.mu.RUnlock()
	for _, st := range j.shelf.streams {
		u.Missing += max(0, st.last.Load()-max(0, st.done))
		u.Segments += len(st.segments)
		for _, seg := range st.segments {
			u.Bytes += seg.size
		}
	}
	return u
}

// Close writes and syncs what has been appended, and gives the folder back. It
// fails where something could not be kept.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true // what is in the group by now will be written
	j.mu.Unlock()
	j.stop()
	j.tasks.Wait()

	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.takePen() // and keep it
	j.mu.Lock()
	j.over = true
	j.mu.Unlock()
	j.writeFilling()
	err := j.finish()
	if held := j.heldBytes.Load(); held > 0 {
		err = errors.Join(err, fmt.Errorf("%d bytes of records that the disk did not take are lost", held))
	}
	err = errors.Join(err, j.dropSpare())
	j.shelf.close()
	if err = errors.Join(err, j.lock.Close()); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
