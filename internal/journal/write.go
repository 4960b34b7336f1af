package journal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// All of this file is for whoever has the pen.

// write brings a group into the journal: onto the disk, or, while it takes
// none, into memory.
func (j *Journal) write(buf []byte) error {
	now := j.o.Now()
	first := j.seq + 1
	last := stamp(buf, j.seed, first, now.UnixMicro())
	if !j.mayTry(now) {
		return j.hold(buf, last)
	}
	err := j.flush()
	if err == nil {
		var seg *segment
		if seg, err = j.place(buf, first); err == nil {
			j.extend(seg, len(buf), last)
			j.advance(last)
			j.recovered()
			return nil
		}
	}
	j.failed(err, now)
	return j.hold(buf, last)
}

// place writes records into the stream's files, and syncs them where that is
// asked for. It tries twice, the second time in a fresh segment, unless it is
// only room that lacks. Nobody can read them yet.
func (j *Journal) place(buf []byte, first int64) (*segment, error) {
	var failures error
	for range 2 {
		seg, err := j.room(first, int64(len(buf)))
		if err == nil {
			if err = j.put(seg, buf); err == nil {
				return seg, nil
			}
		}
		failures = errors.Join(failures, err)
		if outOfRoom(err) {
			break
		}
		j.seal()
	}
	return nil, failures
}

// put writes at the end of a segment. Where that fails, what came of it is cut
// off again, or the segment is given up: nothing may follow half a record.
func (j *Journal) put(seg *segment, buf []byte) error {
	end := seg.end.Load()
	if _, err := seg.file.WriteAt(buf, end); err != nil {
		if cut := seg.file.Truncate(end); cut != nil {
			j.seal()
			return errors.Join(fmt.Errorf("write segment: %w", err), fmt.Errorf("cut segment: %w", cut))
		}
		_ = seg.file.Allocate(seg.size) // without, the file grows
		return fmt.Errorf("write segment: %w", err)
	}
	if j.o.Fsync != FsyncAlways {
		return nil
	}
	if err := seg.file.Sync(); err != nil {
		// The kernel may have dropped what it could not write, and would say
		// that all is well next time. The group is still with us.
		j.seal()
		return fmt.Errorf("sync segment: %w", err)
	}
	return nil
}

// extend makes readable what has been placed.
func (j *Journal) extend(seg *segment, size int, last int64) {
	seg.last.Store(last)
	end := seg.end.Add(int64(size))
	if j.o.Fsync == FsyncAlways {
		seg.synced.Store(end)
		j.synced.Store(last)
	}
}

// advance tells of new records.
func (j *Journal) advance(last int64) {
	j.seq = last
	j.own.last.Store(last)
}

// room returns a segment that has room for so many bytes.
func (j *Journal) room(first, size int64) (*segment, error) {
	if j.active != nil && j.active.end.Load()+size <= j.active.size {
		return j.active, nil
	}
	if j.active != nil && j.active.last.Load() < j.active.first {
		j.seal() // now, for the new one will have its name
	}
	var sp *spare
	if headerSize+size <= j.o.SegmentBytes {
		sp = j.next.Swap(nil)
	}
	if sp == nil { // a rare large group, or the disk is too slow
		var err error
		if sp, err = j.newSpare(max(j.o.SegmentBytes, headerSize+size)); err != nil {
			return nil, err
		}
	}
	seg := j.begin(sp, first)
	if _, err := sp.file.WriteAt(seg.encode(), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("write header: %w", err), sp.drop())
	}
	if err := seg.rename(sp); err != nil {
		return nil, errors.Join(err, sp.drop())
	}
	j.seal()
	j.shelf.mu.Lock()
	j.own.segments = append(j.own.segments, seg)
	j.shelf.mu.Unlock()
	j.active = seg
	select {
	case j.prepare <- struct{}{}:
	default:
	}
	return seg, nil
}

// begin describes a new segment.
func (j *Journal) begin(sp *spare, first int64) *segment {
	j.ordinal++
	seg := &segment{
		header: header{
			stream: j.own.id, ordinal: j.ordinal, first: first,
			started: j.own.started, created: j.o.Now(),
		},
		path: filepath.Join(j.o.Dir, segmentName(j.own.id, first)),
		size: sp.size, file: sp.file, most: math.MaxInt64,
	}
	seg.end.Store(headerSize)
	seg.synced.Store(headerSize)
	seg.last.Store(first - 1)
	return seg
}

// rename gives a file made ahead the name of a segment in use. If that is lost
// with the machine, the file is found under its old name.
func (seg *segment) rename(sp *spare) error {
	if err := os.Rename(sp.path, seg.path); err != nil {
		return fmt.Errorf("name segment: %w", err)
	}
	sp.path = seg.path
	return nil
}

// seal ends the active segment, if there is one. An empty one is deleted.
func (j *Journal) seal() {
	seg := j.active
	if seg == nil {
		return
	}
	j.active = nil
	j.shelf.mu.Lock()
	seg.sealed = true
	seg.most = seg.last.Load()
	empty := seg.most < seg.first
	if empty {
		j.own.segments = without(j.own.segments, seg)
	}
	j.shelf.mu.Unlock()
	if empty {
		if err := errors.Join(seg.file.Close(), os.Remove(seg.path)); err != nil {
			j.o.Log.Warn("an empty segment cannot be deleted", zap.Error(err))
		}
	}
}

// without returns a new slice, since others may be looking at the old one.
func without(segments []*segment, gone *segment) []*segment {
	kept := make([]*segment, 0, len(segments))
	for _, seg := range segments {
		if seg != gone {
			kept = append(kept, seg)
		}
	}
	return kept
}
