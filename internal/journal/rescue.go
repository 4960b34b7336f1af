package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"go.uber.org/zap"
)

// rescue reads back what could not be synced and writes it into a new segment
// under the same numbers. The new one supersedes the old ones from its header
// on, which is written last: until then, a process that dies leaves the old.
// It needs Journal.syncing and the pen.
func (j *Journal) rescue() error {
	j.shelf.mu.RLock()
	lost := slices.DeleteFunc(slices.Clone(j.own.segments), func(seg *segment) bool {
		return seg.file == nil || seg.sealed && seg.synced.Load() == seg.end.Load()
	})
	j.shelf.mu.RUnlock()
	first, last, need := j.synced.Load()+1, j.synced.Load(), int64(headerSize)
	for _, seg := range lost {
		need += seg.end.Load() - seg.synced.Load()
		last = max(last, seg.last.Load())
	}
	if need == headerSize {
		return nil
	}
	sp, err := j.newSpare(max(j.o.SegmentBytes, need))
	if err != nil {
		return err
	}
	seg := j.begin(sp, first)
	count, err := j.copyInto(seg, lost)
	if err == nil {
		err = seg.supersede(sp)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rescue records from %d on: %w", first, err), sp.drop())
	}
	if want := last - first + 1; count < want {
		j.o.Log.Error("records of the journal that could not be synced are lost", zap.Int64("records", want-count), zap.Int64("from", first), zap.Int64("to", last))
	}
	j.replace(lost, seg)
	j.synced.Store(last)
	if len(j.own.held) == 0 {
		j.own.last.Store(seg.last.Load()) // nobody should wait for what is lost
	}
	return nil
}

// copyInto copies the records of segments that are not synced, as far as their
// checksums are right, and returns how many.
func (j *Journal) copyInto(seg *segment, lost []*segment) (count int64, err error) {
	var out []byte
	flush := func() error {
		if _, err := seg.file.WriteAt(out, seg.end.Load()); err != nil {
			return fmt.Errorf("write segment: %w", err)
		}
		seg.end.Add(int64(len(out)))
		out = out[:0]
		return nil
	}
	for _, old := range lost {
		f, err := os.Open(old.path)
		if err != nil {
			return count, fmt.Errorf("open segment: %w", err)
		}
		defer f.Close()
		scan := newScanner(f, j.seed, seg.first, old.last.Load(), old.end.Load())
		scan.off, scan.reuse = old.synced.Load(), true
		for {
			r, ok, err := scan.next()
			if err != nil {
				return count, err
			}
			if !ok {
				break
			}
			out = append(out, r.raw...)
			seg.last.Store(r.seq)
			count++
			if len(out) >= chunk {
				if err := flush(); err != nil {
					return count, err
				}
			}
		}
	}
	return count, flush()
}

// supersede syncs the records, then the header, which makes them count.
func (seg *segment) supersede(sp *spare) error {
	if err := sp.file.Sync(); err != nil {
		return fmt.Errorf("sync segment: %w", err)
	}
	if _, err := sp.file.WriteAt(seg.encode(), 0); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	if err := sp.file.Sync(); err != nil {
		return fmt.Errorf("sync segment: %w", err)
	}
	seg.synced.Store(seg.end.Load())
	return seg.rename(sp)
}

// replace puts a segment in the place of those it supersedes.
func (j *Journal) replace(lost []*segment, seg *segment) {
	var files []file
	var gone []*segment
	j.shelf.mu.Lock()
	for _, old := range lost {
		files = append(files, old.file)
		old.file, old.sealed = nil, true
		old.most = min(old.last.Load(), seg.first-1)
		if old.most < old.first {
			gone = append(gone, old)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(j.own.segments), func(s *segment) bool { return slices.Contains(gone, s) })
	j.own.segments = append(kept, seg)
	j.active = seg
	j.shelf.mu.Unlock()
	for _, f := range files {
		if err := f.Close(); err != nil {
			j.o.Log.Warn("a segment that was given up did not close in good order", zap.Error(err))
		}
	}
	for _, old := range gone {
		if old.path != seg.path {
			j.remove(old)
		}
	}
}
