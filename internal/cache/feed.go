package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// Source is the table of invalidations, read from the primary database.
type Source interface {
	// Last returns the highest id there is; 0 when there is none.
	Last(ctx context.Context) (int64, error)
	// Since returns the rows with an id above after, and those made within that
	// time by the database's clock, since ids commit out of order.
	Since(ctx context.Context, after int64, within time.Duration) ([]models.Invalidation, error)
}

const (
	// believe is how long the feed counts as healthy after a sign of life.
	believe = time.Second
	// overlap is how far back each poll looks beyond the one before it, for
	// rows of transactions that committed late.
	overlap = 10 * time.Second
	// localKeep is how long a raised tag is kept where there is no Redis: well
	// beyond the longest read.
	localKeep = time.Minute

	never = time.Duration(math.MinInt64 / 4)
)

// FeedOptions connect a feed.
type FeedOptions struct {
	Source       Source
	PollInterval time.Duration // under a second, or caches are seldom sure of what they hold
	Now          func() time.Time
	Log          *zap.Logger

	Redis     redis.UniversalClient // nil keeps everything in memory
	Namespace string                // begins every key and channel in Redis
	Timeout   time.Duration         // of each of the two questions that a miss asks Redis
}

// Feed learns which rows have changed, and tells the caches made on it. The
// database's table is the truth and is polled; Redis pub/sub is only faster.
// A feed is safe for concurrent use.
type Feed struct {
	source   Source
	interval time.Duration
	now      func() time.Time
	start    time.Time
	log      *zap.Logger
	tags     *tags
	remote   *remote // nil without Redis
	id       string  // tells our own heartbeats from others'

	// Instants since start, as time.Duration: of the last poll that succeeded,
	// of the last heartbeat heard, of the last subscription made.
	polled, heard, subscribed atomic.Int64
	// synced tells that Redis has every version that its values could lack.
	synced atomic.Bool

	// Only the poll touches these.
	last int64              // highest id seen; negative before the first poll
	seen map[int64]struct{} // ids of the last poll
	down bool
}

// NewFeed makes a feed. It hears nothing until Run.
func NewFeed(o FeedOptions) *Feed {
	f := &Feed{
		source: o.Source, interval: o.PollInterval, now: o.Now, start: o.Now(), log: o.Log,
		id: newFeedID(), last: -1,
	}
	keep := localKeep
	if o.Redis != nil {
		keep = versionTTL // what Redis may have forgotten in a failover, we remember ourselves
		f.remote = &remote{client: o.Redis, namespace: o.Namespace, timeout: o.Timeout}
	}
	f.tags = newTags(keep)
	for _, instant := range []*atomic.Int64{&f.polled, &f.heard, &f.subscribed} {
		instant.Store(int64(never))
	}
	return f
}

// Run polls and listens until ctx ends, which is no error. Call it once.
func (f *Feed) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	if f.remote != nil {
		tasks.Go(func() { f.listen(ctx) })
		tasks.Go(func() { f.beat(ctx) })
	}
	for tick := time.NewTicker(f.interval); ; {
		f.pollAndSync(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			tasks.Wait()
			return nil
		}
	}
}

// Healthy tells whether the feed is sure, as of now, to have heard of every
// change older than a second.
func (f *Feed) Healthy(now time.Time) bool { return f.healthy(f.since(now)) }

// since places an instant on the feed's own time line, which steps of the wall
// clock do not bend.
func (f *Feed) since(now time.Time) time.Duration { return now.Sub(f.start) }

func (f *Feed) clock() time.Duration { return f.since(f.now()) }

func (f *Feed) lastPoll() time.Duration { return time.Duration(f.polled.Load()) }

// healthy believes the subscription only after a poll that began under it: one
// before could not see what was published while nobody listened.
func (f *Feed) healthy(at time.Duration) bool {
	polled := f.lastPoll()
	return at-polled < believe || f.hears(at) && polled > time.Duration(f.subscribed.Load())
}

func (f *Feed) hears(at time.Duration) bool { return at-time.Duration(f.heard.Load()) < believe }

// sharing tells whether values in Redis may be used, and whether it answers.
func (f *Feed) sharing(at time.Duration) bool {
	return f.synced.Load() && f.hears(at) && f.healthy(at)
}

// Publish tells of changes that have been committed: this process at once, the
// others by way of Redis. Who is not reached, for which it returns an error,
// hears of them from the table.
func (f *Feed) Publish(ctx context.Context, changed []models.Invalidation) error {
	stale := dependencies(changed)
	f.raise(stale)
	if f.remote == nil || len(stale) == 0 {
		return nil
	}
	// Versions first: who hears of a change may at once read from Redis.
	return errors.Join(f.remote.raise(ctx, stale), f.announce(ctx, stale))
}

func dependencies(rows []models.Invalidation) []models.Dependency {
	stale := make([]models.Dependency, 0, len(rows))
	for i := range rows {
		stale = append(stale, rows[i].Stale()...)
	}
	return stale
}

func (f *Feed) raise(stale []models.Dependency) {
	at := f.clock()
	for _, d := range stale {
		f.tags.raise(at, d.Subject, d.Version)
	}
}

// learn asks Redis what it knows of subjects, and raises what is news.
func (f *Feed) learn(ctx context.Context, made []models.Dependency) error {
	if f.remote == nil || len(made) == 0 {
		return nil
	}
	versions, err := f.remote.versions(ctx, made)
	if err != nil {
		return err
	}
	at := f.clock()
	for i, d := range made {
		if versions[i] > d.Version {
			f.tags.raise(at, d.Subject, versions[i])
		}
	}
	return nil
}

func (f *Feed) pollAndSync(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	news, err := f.poll(ctx)
	if err != nil {
		if !f.down && !errors.Is(err, context.Canceled) {
			f.log.Warn("invalidations cannot be polled", zap.Error(err))
		}
		f.down = true
		return
	}
	if f.down {
		f.log.Info("invalidations are polled again")
	}
	f.down = false
	if f.remote == nil {
		return
	}
	if err := f.sync(ctx, news); err != nil && f.synced.Swap(false) && !errors.Is(err, context.Canceled) {
		f.log.Warn("values in Redis are not used", zap.Error(err))
	}
}

// poll raises what the table has to tell, and returns it.
func (f *Feed) poll(ctx context.Context) (news []models.Dependency, err error) {
	began := f.clock()
	// What committed late may be as old as the poll that missed it; before the
	// first one, values may have been cached since the start.
	within := overlap + began - max(0, f.lastPoll())
	last := f.last
	if last < 0 {
		if last, err = f.source.Last(ctx); err != nil {
			return nil, fmt.Errorf("read the last invalidation: %w", err)
		}
	}
	rows, err := f.source.Since(ctx, last, within)
	if err != nil {
		return nil, fmt.Errorf("read the invalidations since %d: %w", last, err)
	}
	seen := make(map[int64]struct{}, len(rows))
	for _, row := range rows {
		last = max(last, row.ID)
		seen[row.ID] = struct{}{}
		if _, old := f.seen[row.ID]; !old {
			news = append(news, row.Stale()...)
		}
	}
	f.raise(news)
	f.last, f.seen = last, seen
	f.polled.Store(int64(began))
	return news, nil
}

// sync brings Redis up to date with a poll, or, where it was lost, with all
// that values there could be older than: a process may have died between its
// commit and its Publish.
func (f *Feed) sync(ctx context.Context, news []models.Dependency) error {
	if f.synced.Load() {
		return f.remote.raise(ctx, news)
	}
	if err := f.remote.ping(ctx); err != nil {
		return err // rather than ask the database in vain
	}
	rows, err := f.source.Since(ctx, math.MaxInt64, versionTTL)
	if err != nil {
		return fmt.Errorf("read the invalidations of the last %s: %w", versionTTL, err)
	}
	if err := f.remote.raise(ctx, dependencies(rows)); err != nil {
		return err
	}
	f.synced.Store(true)
	f.log.Info("values in Redis are used")
	return nil
}
