package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// A spare is a file that is ready to be a segment.
type spare struct {
	file file
	path string
	size int64
}

func (j *Journal) newSpare(size int64) (*spare, error) {
	path := filepath.Join(j.o.Dir, aheadName(j.own.id, j.names.Add(1)))
	f, err := createRoom(j.o.create, path, size)
	if err != nil {
		return nil, err
	}
	return &spare{f, path, size}, nil
}

func (s *spare) drop() error {
	if err := errors.Join(s.file.Close(), os.Remove(s.path)); err != nil {
		return fmt.Errorf("delete segment: %w", err)
	}
	return nil
}

// makeAhead sees to it that there is a spare, since making one can take long
// where the disk is busy.
func (j *Journal) makeAhead(ctx context.Context) {
	for {
		select {
		case <-j.prepare:
			j.makeSpare()
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) makeSpare() {
	if j.next.Load() != nil {
		return
	}
	sp, err := j.newSpare(j.o.SegmentBytes)
	if err != nil {
		j.o.Log.Warn("the journal's next segment cannot be made ahead", zap.Error(err))
		return
	}
	j.next.Store(sp)
}

// dropSpare deletes what was made ahead, but for the name of a stream without a
// record that was not said to be over.
func (j *Journal) dropSpare() error {
	sp := j.next.Swap(nil)
	if sp == nil {
		return nil
	}
	j.shelf.mu.RLock()
	over := j.own.last.Load() > 0 || j.own.done != untold
	j.shelf.mu.RUnlock()
	if over {
		return sp.drop()
	}
	if err := errors.Join(sp.file.Truncate(0), sp.file.Close()); err != nil {
		return fmt.Errorf("empty segment: %w", err)
	}
	return nil
}
