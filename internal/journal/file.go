package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
)

// A file is a segment as its writer sees it. Tests have one that fails.
type file interface {
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	// Allocate reserves the room up to size, as zeros, as far as the file
	// system can.
	Allocate(size int64) error
	// Sync waits until what was written, and where it lies, survives a loss of
	// power. After an error nothing is known of what had not been synced.
	Sync() error
	Close() error
}

// diskFile writes through a mapping of the file where its room is allocated: the
// same pages of the kernel, and the same survival of the process, at a fraction
// of the cost of a system call. Its methods but Sync are for whoever has the pen.
type diskFile struct {
	*os.File
	mapped []byte // nil where it is written by system calls
}

func (f *diskFile) Allocate(size int64) error {
	err := allocate(f.File, size)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return nil // the file grows as it is written
	}
	if err != nil {
		return err
	}
	unmap(f.mapped)
	f.mapped = mapFile(f.File, size)
	return nil
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(f.mapped)) {
		return f.File.WriteAt(p, off)
	}
	if err := copyInto(f.mapped[off:], p); err != nil {
		return 0, fmt.Errorf("write mapped file: %w", err)
	}
	return len(p), nil
}

// copyInto copies into a mapping, from the beginning to the end as write(2)
// does: of a group that a killed process leaves unfinished, what was written are
// its first records. The copy of the standard library writes the first bytes
// last, so that the first record would seem lost. A page that the kernel cannot
// provide would otherwise end the process.
func copyInto(mapped, p []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = syscall.EIO
		}
	}()
	const word = 16 // one store of the processor
	for len(p) >= word {
		*(*[word]byte)(mapped) = [word]byte(p)
		mapped, p = mapped[word:], p[word:]
	}
	copy(mapped, p)
	return nil
}

// Truncate ends the mapping, as what is beyond the end of a file cannot be
// written to.
func (f *diskFile) Truncate(size int64) error {
	unmap(f.mapped)
	f.mapped = nil
	return f.File.Truncate(size)
}

func (f *diskFile) Close() error {
	unmap(f.mapped)
	f.mapped = nil
	return f.File.Close()
}

func (f *diskFile) Sync() error { return syncData(f.File) }

// createFile makes a new file on the disk.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f}, nil
}

// createRoom makes a new file of a size, such that it is there after a loss of
// power.
func createRoom(create func(string) (file, error), path string, size int64) (file, error) {
	f, err := create(path)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err = f.Allocate(size); err != nil {
		err = fmt.Errorf("allocate segment: %w", err)
	} else if err = f.Sync(); err != nil {
		err = fmt.Errorf("sync segment: %w", err)
	} else if err = syncDir(filepath.Dir(path)); err == nil {
		return f, nil
	}
	return nil, errors.Join(err, f.Close(), os.Remove(path))
}

// syncDir makes what was created and renamed in a folder survive.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // which says that there is nothing to it
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// outOfRoom tells whether it is space that the disk lacks: more may come.
func outOfRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ErrLocked says that a folder is in use, by this process or another.
var ErrLocked = errors.New("the journal is in use")

// LockFile is the file of a folder that whoever writes the journal has locked.
const LockFile = "lock"

// lockDir locks a folder until the file is closed or the process ends, however
// it ends.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}
