package journal_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// A disk fails when it is told to, and remembers what it has synced.
type disk struct {
	mu    sync.Mutex
	files []*diskFile

	create error // fails the making of files
	write  error // fails writes, after half of what was to be written
	spare  int   // but not the first few
	writes int   // so many of them; all where negative
	sync   error // fails syncs of files with records
	syncs  int
	cut    error // fails truncations
	flat   bool  // allocates nothing
}

func (d *disk) set(change func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *disk) Create(path string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.create != nil {
		return nil, d.create
	}
	f, err := journal.CreateFile(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	made := &diskFile{File: f, disk: d, made: path, info: info}
	d.files = append(d.files, made)
	return made, nil
}

type diskFile struct {
	journal.File
	disk    *disk
	made    string // its first name, which was synced with the folder
	info    os.FileInfo
	written int64 // how far
	synced  int64
}

// due tells whether a failure happens, and counts it.
func due(err error, times *int) error {
	if err == nil || *times == 0 {
		return nil
	}
	*times--
	return err
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.write != nil && f.disk.spare > 0 {
		f.disk.spare--
	} else if err := due(f.disk.write, &f.disk.writes); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	f.written = max(f.written, off+int64(len(p)))
	return f.File.WriteAt(p, off)
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.cut != nil {
		return f.disk.cut
	}
	f.written = min(f.written, size)
	return f.File.Truncate(size)
}

func (f *diskFile) Allocate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.flat {
		return nil
	}
	return f.File.Allocate(size)
}

func (f *diskFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.written > journal.HeaderSize {
		if err := due(f.disk.sync, &f.disk.syncs); err != nil {
			return err
		}
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.synced = f.written
	return nil
}

// lose copies what a loss of power would leave of a folder: of every file what
// was synced, under the name that was.
func (d *disk) lose(t *testing.T, dir string) (left string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	left = t.TempDir()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		in, err := os.Open(filepath.Join(dir, entry.Name()))
		if os.IsNotExist(err) {
			// Renamed since: it is in the list under its new name, or was in use
			// when the folder was read, and then a later copy has it.
			return ""
		}
		require.NoError(t, err)
		info, err := in.Stat()
		require.NoError(t, err)
		for _, f := range slices.Backward(d.files) {
			if !os.SameFile(info, f.info) {
				continue
			}
			content := make([]byte, f.synced)
			_, err = io.ReadFull(in, content)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(left, filepath.Base(f.made)), content, 0o600))
			break // an earlier file may have had the same inode
		}
		require.NoError(t, in.Close())
	}
	return left
}

// mountSmall mounts a file system of so many bytes, where the system lets us.
func mountSmall(t *testing.T, size string) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no file system can be mounted (%v: %s); a disk that pretends to be full takes its place", err, out)
		return dir, false
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
	return dir, true
}
