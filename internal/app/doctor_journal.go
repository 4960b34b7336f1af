package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

const (
	// signOfLife is how long a stream of a process that runs is silent, at most:
	// it tells each second how complete it is.
	signOfLife = time.Minute
	// lately is how long a loss is news.
	lately = 7 * 24 * time.Hour
	// incompleteFailed is when usage lags so far that quotas and alerts are blind.
	incompleteFailed = 10 * time.Minute
)

// journalFolders are the folders of all processes with this configuration that
// are there.
func (d *Doctor) journalFolders() (folders []string) {
	base := JournalDir(d.cfg)
	for n := 1; n <= maxJournals; n++ {
		folder := base
		if n > 1 {
			folder = fmt.Sprintf("%s-%d", base, n)
		}
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			folders = append(folders, folder)
		}
	}
	return folders
}

// journals looks into the folders of this machine.
func (d *Doctor) journals(ctx context.Context, r *report) error {
	if !d.cfg.Journal.Enabled {
		r.say("not in use: journal.enabled is false")
		return nil
	}
	folders := d.journalFolders()
	if len(folders) == 0 {
		r.say("%s does not exist yet: a process makes it when it starts", JournalDir(d.cfg))
		return nil
	}
	told := make([]string, len(folders))
	for i, folder := range folders {
		text, err := d.journal(ctx, r, folder)
		if err != nil {
			return err
		}
		told[i] = text
	}
	r.say("%s", strings.Join(told, "; "))
	return nil
}

func (d *Doctor) journal(ctx context.Context, r *report, folder string) (told string, err error) {
	info, err := os.Stat(folder)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		r.warn("chmod 700 "+folder, "others can look into %s (mode %04o)", folder, mode)
	}
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		r.fail("chown the folder to the user of the service: chown -R USER "+folder, "%s cannot be written to by this user", folder)
	}
	running, err := locked(filepath.Join(folder, journal.LockFile))
	if err != nil {
		return "", err
	}
	last, files, size, cut := map[models.StreamID]int64{}, 0, int64(0), false
	err = journal.Inspect(folder, func(s journal.SegmentInfo) error {
		files++
		size += s.Bytes
		last[s.Stream] = max(last[s.Stream], s.Last)
		if s.Corrupt > 0 {
			r.fail("restore the file from a copy of the disk and replay it; what was lost is listed when the rest comes into the database",
				"%s is damaged at %d places: the records there are lost", filepath.Join(folder, s.File), s.Corrupt)
		}
		if cut = ctx.Err() != nil; cut {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return "", err
	}
	told = fmt.Sprintf("%s has %d files of %d streams, %s, and ", folder, files, len(last), bytesText(uint64(size)))
	if cut {
		r.warn("viva doctor --only journal --timeout 5m", "%s has more files than could be read within %s: %d are well", folder, d.timeout, files)
		return told, nil
	}
	if running {
		return told + "a process writes it", nil
	}
	return told + "no process has it", d.leftover(ctx, r, folder, last)
}

// leftover looks for records of a folder that nobody has, and that the database
// lacks.
func (d *Doctor) leftover(ctx context.Context, r *report, folder string, last map[models.StreamID]int64) error {
	if !d.schema {
		return nil
	}
	streams, records := 0, int64(0)
	for stream, seq := range last {
		cursor, err := (&Database{db: d.db}).Cursor(ctx, stream)
		if err != nil {
			return err
		}
		done := int64(0)
		if cursor != nil {
			done = cursor.LastSeq
		}
		if done < seq {
			streams++
			records += seq - done
		}
	}
	if streams > 0 {
		r.warn("start the service that has the folder, or bring them in: viva journal replay --dir "+folder,
			"%s holds %d records of %d streams that the database lacks, and no process has it", folder, records, streams)
	}
	return nil
}

// ingestion looks how complete usage is.
func (d *Doctor) ingestion(ctx context.Context, r *report) error {
	streams, err := repositories.NewStreams(d.db).List(ctx)
	if err != nil {
		return err
	}
	now, live, oldest := d.now(), 0, time.Duration(0)
	for i := range streams {
		s := &streams[i]
		silent := now.Sub(s.UpdatedAt)
		if silent < signOfLife {
			live++
			if s.Watermark.Year() > 1 && s.Watermark.Unix() > 0 {
				oldest = max(oldest, now.Sub(s.Watermark))
			}
			continue
		}
		r.warn(fmt.Sprintf("start the node with its journal, or viva journal replay --dir FOLDER; if the folder is gone for ever: viva journal lost %s", s.StreamID),
			"stream %s of %s is not wholly in the database: last sign of life %s ago, %d records are in; usage is not complete until it ends",
			s.StreamID, s.Node, ago(silent), s.LastSeq)
	}
	const advice = "see the log of the process for \"ingest\", and how busy the database is"
	switch {
	case oldest > incompleteFailed:
		r.fail(advice, "usage is complete only up to %s ago: quotas and alerts do not see what came since", ago(oldest))
	case oldest > signOfLife:
		r.warn(advice, "usage is complete only up to %s ago", ago(oldest))
	}
	lost, err := repositories.NewDoctor(d.db).Losses(ctx, now.Add(-lately))
	if err != nil {
		return err
	}
	if lost.MissingNew > 0 {
		r.warn("SELECT * FROM ingest_gaps ORDER BY found_at DESC", "%d records were found missing in the last 7 days: a journal was damaged or lost", lost.MissingNew)
	}
	if lost.RefusedNew > 0 {
		r.warn("SELECT stream_id, seq, reason, rejected_at FROM ingest_rejects ORDER BY rejected_at DESC",
			"the database refused %d records in the last 7 days, the last because: %s", lost.RefusedNew, lost.Reason)
	}
	if live > 0 {
		r.say("%d streams, complete up to %s ago; %d records missing and %d refused, all long ago", live, ago(oldest), lost.Missing, lost.Refused)
	} else {
		r.say("no process meters, and all there was is in; %d records missing and %d refused, all long ago", lost.Missing, lost.Refused)
	}
	return nil
}
