package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// SegmentInfo describes one file.
type SegmentInfo struct {
	File        string
	Stream      models.StreamID
	First, Last int64 // sequence numbers found; 0 where it has no record
	Records     int64
	Bytes       int64     // of the file
	Corrupt     int       // places that had to be skipped
	Torn        bool      // it ends in something that is no record
	Created     time.Time // zero where the header is damaged
}

// Inspect describes the segments of a folder by stream, in their order. It
// changes nothing, takes no lock, and so may see a group that another process
// is writing as a torn end.
func Inspect(dir string, each func(SegmentInfo) error) error {
	streams, _, err := list(dir)
	if err != nil {
		return fmt.Errorf("inspect journal: %w", err)
	}
	order := slices.SortedFunc(maps.Values(streams), func(a, b []*segment) int {
		return cmp.Or(a[0].started.Compare(b[0].started), cmp.Compare(a[0].path, b[0].path))
	})
	for _, segments := range order {
		for _, seg := range segments {
			info, err := seg.inspect()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since
			}
			if err == nil {
				err = each(info)
			}
			if err != nil {
				return fmt.Errorf("inspect journal: %w", err)
			}
		}
	}
	return nil
}

func (seg *segment) inspect() (SegmentInfo, error) {
	info := SegmentInfo{
		File: filepath.Base(seg.path), Stream: streamOf(seg.stream), Bytes: seg.size, Created: seg.created,
	}
	scan, err := seg.search(func(r record) {
		if info.Records++; info.First == 0 {
			info.First = r.seq
		}
		info.Last = r.seq
	})
	if err != nil {
		return info, err
	}
	info.Corrupt, info.Torn = scan.corrupt, scan.torn
	return info, nil
}

// A Reader reads the folder of a process that is gone. It is safe for
// concurrent use.
type Reader struct {
	lock  *os.File
	shelf shelf
}

// OpenReader takes a folder to read it. It changes no segment. It fails with
// ErrLocked where the folder is taken.
func OpenReader(dir string) (*Reader, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	r := &Reader{lock: lock}
	if err := r.shelf.load(dir, false, zap.NewNop()); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", dir, err), lock.Close())
	}
	return r, nil
}

// Streams lists the streams of the folder, oldest first.
func (r *Reader) Streams() []Stream { return r.shelf.list() }

// Read is as Journal.Read.
func (r *Reader) Read(stream models.StreamID, after int64, most int) ([]Entry, error) {
	return r.shelf.read(stream, after, most)
}

// Close gives the folder back.
func (r *Reader) Close() error {
	r.shelf.close()
	if err := r.lock.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
