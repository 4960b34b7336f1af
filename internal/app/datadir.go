package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dataLock is the file of a data folder that its process has locked.
const dataLock = "lock"

// lockDataDir makes the folder of one `viva serve` where needed, and locks it
// against another until the file is closed or the process ends, however it ends.
func lockDataDir(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, dataLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("in use by another viva serve")
		}
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", path, err), lock.Close())
	}
	return lock, nil
}
