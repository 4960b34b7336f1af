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
		if j.next.Load() == nil {
			sp, err := j.newSpare(j.o.SegmentBytes)
			if err != nil {
				j.o.Log.Warn("the journal's next segment cannot be made ahead", zap.Error(err))
			} else {
				j.next.Store(sp)
			}
		}
		select {
		case <-j.prepare:
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) dropSpare() error {
	if sp := j.next.Swap(nil); sp != nil {
		return sp.drop()
	}
	return nil
}
