package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func allocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// mapFile maps a file whose room is allocated, or gives nil where that cannot
// be: it is written by system calls then.
func mapFile(f *os.File, size int64) []byte {
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	return mapped
}

func unmap(mapped []byte) {
	if mapped != nil {
		_ = unix.Munmap(mapped) // fails for what is no mapping only
	}
}

// syncData leaves out the times of the file, which would cost a second write.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
