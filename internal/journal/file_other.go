//go:build !linux

package journal

import "os"

// allocate does nothing: where there is no fallocate, files grow.
func allocate(*os.File, int64) error { return nil }

// mapFile maps nothing: without allocated room, a full disk would end the process.
func mapFile(*os.File, int64) []byte { return nil }

func unmap([]byte) {}

func syncData(f *os.File) error { return f.Sync() }
