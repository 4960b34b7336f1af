package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// sweepEvery is how often it is looked for what need not be kept any more.
const sweepEvery = time.Second

// tend syncs, tries again, and deletes, in the background.
func (j *Journal) tend(ctx context.Context) {
	interval := time.NewTicker(j.o.Interval)
	defer interval.Stop()
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-interval.C:
			_ = j.sync(false) // which has noted why it failed
		case <-retry.C:
			if j.blocked.Load() {
				j.retry()
			}
		case <-sweep.C:
			j.sweep()
		case <-ctx.Done():
			return
		}
	}
}

// Sync returns when everything appended before survives a loss of power.
func (j *Journal) Sync() error { return j.sync(true) }

// sync leaves a disk that takes nothing alone unless retry is set.
func (j *Journal) sync(retry bool) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.ended() {
		return fmt.Errorf("sync journal: %w", ErrClosed)
	}
	var err error
	j.takePen()
	if retry && j.cause != nil {
		err = j.settle()
	}
	targets := j.targets()
	j.givePen()
	if failure := syncFiles(targets); failure != nil {
		j.takePen()
		err = errors.Join(err, j.saveFrom(failure))
		j.givePen()
	}
	j.retire(targets)
	if err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// ended tells whether Close has come so far that the pen is not to be had.
// It needs Journal.syncing.
func (j *Journal) ended() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.over
}

// finish is sync for Close, which has the pen: it closes all files.
func (j *Journal) finish() error {
	err := errors.Join(j.settle(), j.trim())
	targets := j.targets()
	if failure := syncFiles(targets); failure != nil {
		err = errors.Join(err, j.saveFrom(failure), j.trim())
	}
	j.retire(targets)
	j.unsafe = false // there is nobody left to be misled
	targets = j.targets()
	j.retire(targets)
	for _, t := range targets {
		if t.seg.synced.Load() != t.end {
			err = errors.Join(err, t.file.Close())
		}
	}
	return err
}

// A target is a file to sync, and how far it had been written.
type target struct {
	j         *Journal
	seg       *segment
	file      file
	end, last int64
	sealed    bool
}

// targets needs Journal.syncing and the pen: how far a file has been written
// and which record that is have to agree.
func (j *Journal) targets() []target {
	if j.unsafe {
		return nil // a sync that failed would succeed now, and mean nothing
	}
	j.shelf.mu.RLock()
	defer j.shelf.mu.RUnlock()
	var all []target
	for _, seg := range j.own.segments {
		if seg.file != nil {
			all = append(all, target{j, seg, seg.file, seg.end.Load(), seg.last.Load(), seg.sealed})
		}
	}
	return all
}

// syncFiles syncs what has been written. With FsyncAlways, everything readable
// is synced already.
func syncFiles(targets []target) error {
	for _, t := range targets {
		if t.seg.synced.Load() == t.end {
			continue
		}
		if err := t.file.Sync(); err != nil {
			return fmt.Errorf("sync segment: %w", err)
		}
		t.seg.synced.Store(t.end)
		t.j.synced.Store(t.last)
	}
	return nil
}

// retire closes files that are complete and synced, and gives back their room.
func (j *Journal) retire(targets []target) {
	for _, t := range targets {
		j.shelf.mu.RLock()
		over := t.sealed && t.seg.file != nil && t.seg.synced.Load() == t.end
		size := t.seg.size
		j.shelf.mu.RUnlock()
		if !over {
			continue
		}
		if t.file.Truncate(t.end) == nil {
			size = t.end
		}
		j.shelf.mu.Lock()
		t.seg.file, t.seg.size = nil, size
		j.shelf.mu.Unlock()
		if err := t.file.Close(); err != nil {
			j.o.Log.Warn("a segment did not close in good order", zap.Error(err))
		}
	}
}

// saveFrom gives up segments of which a sync failed, and syncs what it has
// written instead. It needs Journal.syncing and the pen.
func (j *Journal) saveFrom(failure error) error {
	j.o.Log.Error("records of the journal could not be synced, and are written anew", zap.Error(failure))
	j.unsafe = true
	if j.cause == nil {
		j.cause = failure
		j.blocked.Store(true)
	}
	if err := j.settle(); err != nil {
		return errors.Join(failure, err)
	}
	// Beside what was saved, and synced, there may be what was held meanwhile.
	if again := syncFiles(j.targets()); again != nil {
		j.unsafe = true
		j.failed(again, j.o.Now())
		return errors.Join(failure, again)
	}
	return nil
}

// trim gives back the room that was allocated and not used.
func (j *Journal) trim() error {
	seg := j.active
	if seg == nil {
		return nil
	}
	if seg.last.Load() >= seg.first {
		if err := seg.file.Truncate(seg.end.Load()); err != nil {
			return fmt.Errorf("cut segment: %w", err)
		}
	}
	j.seal()
	return nil
}

// remove deletes the file of a segment whose records are elsewhere.
func (j *Journal) remove(seg *segment) {
	if err := os.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		j.o.Log.Warn("a segment that was given up cannot be deleted", zap.Error(err))
	}
}
