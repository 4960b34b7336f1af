package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// metering is what counts checks and what is built on the counts. Its zero value
// counts nothing.
type metering struct {
	recorder validation.Recorder
	quotas   *validation.Quotas
	receipts validation.Receipts
	settler  *validation.Settler
}

// meter opens the journal and keeps an ingester running that brings it into the
// database, if metering is on.
func meter(cfg *config.Config, e *engines, l *lifecycle, m *instruments, log *zap.Logger) (metering, error) {
	if !cfg.Journal.Enabled {
		return metering{}, nil
	}
	log = log.Named("journal")
	j, err := openJournal(cfg, log)
	if err != nil {
		return metering{}, err
	}
	l.opened("journal", j.Close)
	ingester := newIngester(cfg, e.db, journalSource{j}, rememberErasures(e.db, l), metrics.NewIngest(m.Set), func(message string, err error) {
		if err == nil {
			log.Info(message)
			return
		}
		log.Error(message, zap.Error(err))
	})
	runIngester(l, ingester, log)
	m.metering(j, ingester)
	metered := metering{recorder: recorder{journal: j}, quotas: rebuildQuotas(e, l, log)}
	if e.redis == nil {
		metered.receipts = cache.NewLocalReceipts(cfg.Checks.SettleWithin, time.Now)
	} else {
		metered.receipts = cache.NewReceipts(e.redis, cfg.Redis.Namespace, cfg.Checks.SettleWithin, cfg.RateLimit.StoreTimeout)
	}
	metered.settler = validation.NewSettler(metered.receipts, e.limits, metered.recorder)
	return metered, nil
}

// newIngester makes what brings a journal into the database.
func newIngester(cfg *config.Config, db *repositories.DB, source usage.Journal, forgotten *privacy.Forgotten,
	observer usage.Observer, report func(message string, err error),
) *usage.Ingester {
	return usage.NewIngester(source, repositories.NewStreams(db), repositories.NewIngest(db),
		usage.NewActivity(repositories.NewActivity(db)), usage.IngesterOptions{
			Node: nodeName(), RawRowsPerSecond: cfg.Usage.RawRowsPerSecond, EndpointsPerKey: cfg.Usage.EndpointsPerKey,
			Now: clock, Report: report, Forget: forgotten.Blank,
			Jobs: repositories.NewJobs(db), Observer: observer,
		})
}

// maxJournals is how many processes may share the name of a folder.
const maxJournals = 64

// openJournal opens the journal in the folder that the configuration names or,
// where other processes have it, in the next free one beside it.
func openJournal(cfg *config.Config, log *zap.Logger) (*journal.Journal, error) {
	options := journalOptions(cfg, log)
	base := options.Dir
	for n := 2; ; n++ {
		j, err := journal.Open(options)
		if err == nil && n > 2 {
			log.Info("another process has the journal's folder: this one is beside it", zap.String("folder", options.Dir))
		}
		if !errors.Is(err, journal.ErrLocked) || n > maxJournals {
			return j, err
		}
		options.Dir = fmt.Sprintf("%s-%d", base, n)
	}
}

// rebuildQuotas makes quotas outlast the limit store.
func rebuildQuotas(e *engines, l *lifecycle, log *zap.Logger) *validation.Quotas {
	log = log.Named("quotas")
	quotas := validation.NewQuotas(struct {
		repositories.Quotas
		repositories.Streams
	}{repositories.NewQuotas(e.db), repositories.NewStreams(e.db)}, e.limits, time.Now, func(ctx context.Context, message string, err error) {
		log.Warn(message, zap.Error(err), logging.In(ctx))
	})
	l.loop("quotas", quotas.Run)
	return quotas
}

// resetting forgets what was counted in the limit store, and of quotas in the
// database as well.
type resetting struct {
	limits limits
	quotas repositories.Quotas
}

// Reset forgets counters.
func (r resetting) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	for i := range rules {
		if rules[i].Calendar == nil {
			continue
		}
		if err := r.quotas.Forgive(ctx, rules[i].Scope+":"+rules[i].ID, clock()); err != nil {
			return err
		}
	}
	return r.limits.Reset(ctx, group, rules)
}

func journalOptions(cfg *config.Config, log *zap.Logger) journal.Options {
	return journal.Options{
		Dir: JournalDir(cfg), Fsync: journal.Fsync(cfg.Journal.Fsync), Interval: cfg.Journal.FsyncInterval, SegmentBytes: cfg.Journal.SegmentBytes,
		Keep: orNone(cfg.Journal.Keep), KeepBytes: orNone(cfg.Journal.KeepBytes), Memory: cfg.Journal.MaxMemory,
		Refuse: cfg.Journal.OnFull == "refuse", Now: time.Now, Log: log,
	}
}

// orNone says "none" as the journal does, to which 0 is its default.
func orNone[T time.Duration | int64](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

// catchUpWithin bounds what a start waits for the journal.
const catchUpWithin = 10 * time.Second

// runIngester runs the ingester as a part of the process. At the end it brings
// in the rest: nothing is answered any more by then.
func runIngester(l *lifecycle, ingester *usage.Ingester, log *zap.Logger) {
	var (
		cancel context.CancelFunc
		done   sync.WaitGroup
	)
	l.add("ingester", func(ctx context.Context) error {
		soon, stop := context.WithTimeout(ctx, catchUpWithin)
		if err := ingester.CatchUp(soon); err != nil {
			log.Warn("what earlier processes left in the journal is brought in later", zap.Error(err))
		}
		stop()
		ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		done.Go(func() {
			if err := ingester.Run(ctx); err != nil {
				l.fail("ingester", err)
			}
		})
		return nil
	}, func(ctx context.Context) error {
		cancel()
		if err := await(ctx, &done); err != nil {
			return err
		}
		return ingester.Drain(ctx)
	})
}

func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// recorder puts records into the journal.
type recorder struct{ journal *journal.Journal }

// records holds the memory that records are encoded in.
var records = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// Record appends a record; when it returns nil, the record survives the process.
func (r recorder) Record(s *models.Snapshot, record *models.Record) error {
	buffer := records.Get().(*[]byte)
	defer records.Put(buffer)
	*buffer = encode((*buffer)[:0], s, record)
	return journalled(r.journal.Append(*buffer))
}

func encode(b []byte, s *models.Snapshot, r *models.Record) []byte {
	if s == nil {
		return r.Append(b)
	}
	return s.AppendRecord(b, r)
}

// journalled says of an error of the journal what a caller can do.
func journalled(err error) error {
	if errors.Is(err, journal.ErrFull) {
		return apierror.New(apierror.CodeStoreUnavailable, "The journal has no room: the check cannot be metered").Wrap(err)
	}
	return err
}

// Batch gives a recorder that appends all its records at once.
func (r recorder) Batch() validation.BatchRecorder {
	b := batches.Get().(*batch)
	b.journal = r.journal
	return b
}

// batch gathers records.
type batch struct {
	journal  *journal.Journal
	text     []byte // one after the other
	ends     []int
	payloads [][]byte
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// maxBatchText bounds the memory that is kept between batches.
const maxBatchText = 1 << 20

// Record gathers a record.
func (b *batch) Record(s *models.Snapshot, record *models.Record) error {
	b.text = encode(b.text, s, record)
	b.ends = append(b.ends, len(b.text))
	return nil
}

// End appends what was gathered; the batch is not used again.
func (b *batch) End() error {
	begin := 0
	for _, end := range b.ends {
		b.payloads = append(b.payloads, b.text[begin:end])
		begin = end
	}
	err := journalled(b.journal.AppendAll(b.payloads))
	clear(b.payloads)
	b.text, b.ends, b.payloads, b.journal = b.text[:0], b.ends[:0], b.payloads[:0], nil
	if cap(b.text) <= maxBatchText {
		batches.Put(b)
	}
	return err
}

// journalSource is the journal as the ingester sees it.
type journalSource struct{ journal *journal.Journal }

// Streams gives what is not wholly in the database.
func (s journalSource) Streams() []usage.Stream { return streamsOf(s.journal.Streams()) }

// Read gives the records that follow.
func (s journalSource) Read(stream models.StreamID, after int64, most int) ([]usage.Entry, error) {
	entries, err := s.journal.Read(stream, after, most)
	return entriesOf(entries), err
}

// Done frees what is in the database.
func (s journalSource) Done(stream models.StreamID, seq int64) { s.journal.Done(stream, seq) }

func streamsOf(streams []journal.Stream) []usage.Stream {
	list := make([]usage.Stream, len(streams))
	for i, stream := range streams {
		list[i] = usage.Stream{ID: stream.ID, Own: stream.Own, Last: stream.Last}
	}
	return list
}

func entriesOf(entries []journal.Entry) []usage.Entry {
	list := make([]usage.Entry, len(entries))
	for i, e := range entries {
		list[i] = usage.Entry{Seq: e.Seq, At: e.At, Payload: e.Payload}
	}
	return list
}
