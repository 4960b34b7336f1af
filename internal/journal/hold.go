package journal

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	// retryAfter is how long the disk is left alone after it took nothing.
	retryAfter = 100 * time.Millisecond
	// heldChunk is how much of what was held is written at a time.
	heldChunk = 256 << 10
)

// mayTry tells whether to bother the disk. It needs the pen, as all here.
func (j *Journal) mayTry(now time.Time) bool {
	switch {
	case j.unsafe:
		return false // first, what cannot be synced must be saved
	case j.cause == nil:
		return true
	case len(j.own.held) == 0 && !outOfRoom(j.cause):
		return true // else an error would be all that the appender gets
	}
	wait := now.Sub(j.tried)
	return wait >= retryAfter || wait < 0
}

// failed notes that the disk takes nothing.
func (j *Journal) failed(err error, now time.Time) {
	if j.cause == nil {
		j.o.Log.Error("the disk of the journal takes nothing", zap.String("folder", j.o.Dir), zap.Error(err))
	}
	j.cause, j.tried = err, now
	j.blocked.Store(true)
}

// recovered notes that it does again.
func (j *Journal) recovered() {
	if j.cause == nil {
		return
	}
	j.o.Log.Info("the disk of the journal takes records again", zap.String("folder", j.o.Dir))
	j.cause = nil
	j.blocked.Store(false)
}

// hold keeps a group in memory, or refuses it, and then uses no number.
func (j *Journal) hold(buf []byte, last int64) error {
	if j.o.Fsync == FsyncAlways && !outOfRoom(j.cause) {
		// Who asked for records that survive the machine has to know. A full
		// disk is another matter: the guarantee names it.
		return fmt.Errorf("append: %w", j.cause)
	}
	size := int64(len(buf))
	if j.o.Refuse || j.heldBytes.Load()+size > j.o.Memory {
		return fmt.Errorf("append: %w: %w", ErrFull, j.cause)
	}
	own := j.own
	j.shelf.mu.Lock()
	// What has been seen of a chunk does not change as it grows.
	if i := len(own.held) - 1; i >= 0 && int64(len(own.held[i].data))+size <= min(heldChunk, j.o.SegmentBytes-headerSize) {
		grown := own.held[i]
		grown.data, grown.last = append(grown.data, buf...), last
		own.held = append(own.held[:i:i], grown)
	} else {
		own.held = append(own.held[:i+1:i+1], held{append([]byte(nil), buf...), j.seq + 1, last})
	}
	j.heldBytes.Add(size)
	j.advance(last)
	j.shelf.mu.Unlock()
	return nil
}

// flush writes what is held, in order.
func (j *Journal) flush() error {
	own := j.own
	if outOfRoom(j.cause) {
		// Records that nobody has weigh more than those kept for a rewind.
		if err := j.shelf.sweep(j.o.Now(), keeping{}); err != nil {
			j.o.Log.Warn("segments of the journal cannot be deleted", zap.Error(err))
		}
	}
	for len(own.held) > 0 {
		h := own.held[0]
		seg, err := j.place(h.data, h.first)
		if err != nil {
			return err
		}
		j.shelf.mu.Lock()
		j.extend(seg, len(h.data), h.last)
		if own.held = own.held[1:]; len(own.held) == 0 {
			own.held = nil // so that its memory can be used for something else
		}
		j.heldBytes.Add(-int64(len(h.data)))
		j.shelf.mu.Unlock()
	}
	return nil
}

// settle saves what could not be synced, and flushes. It needs Journal.syncing
// as well.
func (j *Journal) settle() error {
	var err error
	if j.unsafe {
		err = j.rescue()
	}
	saved := err == nil && (j.unsafe || len(j.own.held) > 0)
	if err == nil {
		j.unsafe = false
		err = j.flush()
	}
	switch {
	case err != nil:
		j.failed(err, j.o.Now())
	case saved:
		j.recovered()
	}
	return err
}

// retry is what happens in the background while the disk takes nothing.
func (j *Journal) retry() {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.takePen()
	defer j.givePen()
	_ = j.settle() // which has noted why it failed
}
