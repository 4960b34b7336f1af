package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// diskMargin is what should be free beside what the journal may come to take.
	diskMargin = 256 << 20
	// fewFiles and tooFewFiles are inodes.
	fewFiles, tooFewFiles = 10_000, 100
)

// use is what a folder needs of its disk.
type use struct {
	folder       string
	wanted, need uint64 // bytes: to be safe, and to go on at all
}

// disk looks whether the journal has room for what it may keep, and the data
// folder some to grow.
func (d *Doctor) disk(_ context.Context, r *report) error {
	var uses []use
	if d.cfg.Journal.Enabled {
		taken, err := d.journalTakes()
		if err != nil {
			return err
		}
		segments := 2 * d.cfg.Journal.SegmentBytes
		wanted := max(0, d.cfg.Journal.KeepBytes-taken) + segments + diskMargin
		uses = append(uses, use{JournalDir(d.cfg), uint64(wanted), uint64(segments)})
	}
	if d.cfg.Database.URL == "" {
		uses = append(uses, use{d.cfg.Data.Dir, diskMargin, diskMargin / 8})
	}
	rooms := make([]room, len(uses))
	for i, u := range uses {
		have, err := d.space(u.folder)
		if err != nil {
			return err
		}
		rooms[i] = have
	}
	if len(uses) == 2 && rooms[0].device == rooms[1].device {
		uses[0].wanted, uses[0].need = uses[0].wanted+uses[1].wanted, uses[0].need+uses[1].need
		uses = uses[:1]
	}
	if len(uses) == 0 {
		r.say("nothing is kept on the disk")
		return nil
	}
	var told []string
	for i, u := range uses {
		told = append(told, judgeRoom(r, u, rooms[i]))
	}
	r.say("%s", strings.Join(told, "; "))
	return nil
}

func judgeRoom(r *report, u use, have room) (told string) {
	told = fmt.Sprintf("%s of %s are free where %s is, and %s may be needed", bytesText(have.free), bytesText(have.size), u.folder, bytesText(u.wanted))
	switch advice := "make room where " + u.folder + " is; or lower journal.keep_bytes"; {
	case have.free < u.need:
		r.fail(advice, "%s", told)
	case have.free < u.wanted:
		r.warn(advice, "%s", told)
	}
	files := fmt.Sprintf("%d of %d inodes are free where %s is", have.freeFiles, have.files, u.folder)
	switch advice := "delete files that are not needed: df -i " + u.folder; {
	case have.files == 0 || have.freeFiles >= fewFiles:
	case have.freeFiles < tooFewFiles:
		r.fail(advice, "%s", files)
	default:
		r.warn(advice, "%s", files)
	}
	return told
}

// journalTakes adds up the files of all journals.
func (d *Doctor) journalTakes() (taken int64, err error) {
	for _, folder := range d.journalFolders() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return 0, err
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) { // deleted since
				continue
			}
			if err != nil {
				return 0, err
			}
			taken += info.Size()
		}
	}
	return taken, nil
}

// room is what a file system has.
type room struct {
	free, size       uint64 // bytes
	freeFiles, files uint64 // inodes; files is 0 where they are made as needed
	device           string // tells file systems apart
}

// roomOf tells of the file system that a folder is in, or would be made in.
func roomOf(folder string) (room, error) {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(folder, &s)
		if parent := filepath.Dir(folder); errors.Is(err, unix.ENOENT) && parent != folder {
			folder = parent
			continue
		}
		if err != nil {
			return room{}, fmt.Errorf("ask for the room of %s: %w", folder, err)
		}
		block := uint64(s.Bsize)
		return room{free: s.Bavail * block, size: s.Blocks * block, freeFiles: s.Ffree, files: s.Files, device: fmt.Sprint(s.Fsid)}, nil
	}
}

// bytesText gives a number of bytes as people say it.
func bytesText(n uint64) string {
	const units = "KMGTP"
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for ; value >= 1<<10 && unit < len(units)-1; unit++ {
		value /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}
