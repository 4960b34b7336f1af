package journal

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Fsync says when records are made to survive a loss of power.
type Fsync string

// The ways to sync.
const (
	FsyncAlways   Fsync = "always"   // before the answer leaves
	FsyncInterval Fsync = "interval" // soon after
)

var (
	// ErrFull says that the disk takes nothing, and memory nothing more.
	ErrFull = errors.New("the journal is full")
	// ErrClosed says that the journal has been closed.
	ErrClosed = errors.New("the journal is closed")
)

// Options open a journal. While the disk is full, nothing is kept that is done:
// records that the database lacks weigh more.
type Options struct {
	Dir          string        // made where absent, and locked
	Fsync        Fsync         // FsyncInterval where empty
	Interval     time.Duration // of FsyncInterval; 200 ms where 0
	SegmentBytes int64         // 64 MiB where 0; a larger group gets a larger segment
	Keep         time.Duration // how long segments stay that are done; 10 min where 0, negative for not at all
	KeepBytes    int64         // and at most so many bytes of them; 1 GiB where 0, negative for none
	Memory       int64         // bytes of records held while the disk takes none; 64 MiB where 0
	Refuse       bool          // instead of holding records in memory, refuse them
	Now          func() time.Time
	Log          *zap.Logger

	create func(path string) (file, error) // the disk's where nil
}

func (o Options) withDefaults() (Options, error) {
	switch o.Fsync {
	case "":
		o.Fsync = FsyncInterval
	case FsyncAlways, FsyncInterval:
	default:
		return o, fmt.Errorf("fsync is %q, not %q or %q", o.Fsync, FsyncAlways, FsyncInterval)
	}
	if o.Interval <= 0 {
		o.Interval = 200 * time.Millisecond
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.Keep == 0 {
		o.Keep = 10 * time.Minute
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = 1 << 30
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.create == nil {
		o.create = createFile
	}
	return o, nil
}
