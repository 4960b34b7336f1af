package cache

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// A process is a running feed and a cache on it, as in one API process.
type process struct {
	feed  *Feed
	cache *versioned[*row]
}

// startProcess runs a process over a Redis, or without one where client is nil.
func startProcess(t *testing.T, db *database, client redis.UniversalClient, namespace string) *process {
	t.Helper()
	o := db.options()
	o.Redis, o.Namespace, o.Timeout = client, namespace, 50*time.Millisecond
	p := &process{feed: NewFeed(o)}
	p.cache = newVersioned(p.feed, options, sharedKind(db))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.feed.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		p.cache.stop()
	})
	require.Eventually(t, func() bool {
		return p.feed.Healthy(time.Now()) && (client == nil || p.feed.synced.Load() && p.hears())
	}, 5*time.Second, time.Millisecond)
	return p
}

func sharedKind(db *database) kind[*row] {
	k := db.kind()
	k.encode = func(r *row) ([]byte, error) { return json.Marshal(r) }
	k.decode = func(data []byte) (*row, error) {
		r := new(row)
		return r, json.Unmarshal(data, r)
	}
	return k
}

// hears tells whether the subscription alone would keep the feed healthy.
func (p *process) hears() bool {
	return p.feed.hears(p.feed.clock()) && p.feed.polled.Load() > p.feed.subscribed.Load()
}

func (p *process) version() int64 {
	value, err := p.cache.get(context.Background(), key, time.Now())
	if err != nil {
		return 0
	}
	return value.Version
}

func openURL(t *testing.T, text string) redis.UniversalClient {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	db, err := strconv.Atoi(strings.Trim(u.Path, "/"))
	require.NoError(t, err)
	client, err := OpenRedis(RedisOptions{Addrs: []string{u.Host}, DB: db, DialTimeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// A pair is two processes over one database and one Redis; the second reaches
// Redis through a proxy.
type pair struct {
	*testing.T
	db         *database
	writer     *process
	reader     *process
	proxy      *testenv.Proxy
	client     redis.UniversalClient // straight to Redis
	readerLink redis.UniversalClient
}

func newPair(t *testing.T) *pair {
	t.Helper()
	server := testenv.Redis(t)
	proxy := testenv.StartProxy(t, server)
	p := &pair{T: t, db: newDatabase(), proxy: proxy, client: openURL(t, server), readerLink: openURL(t, proxy.URL())}
	p.db.put(key, 1)
	p.writer = startProcess(t, p.db, p.client, t.Name())
	p.reader = startProcess(t, p.db, p.readerLink, t.Name())
	require.EqualValues(t, 1, p.writer.version())
	require.EqualValues(t, 1, p.reader.version())
	return p
}

func (p *pair) wantWithinASecond(version int64) {
	p.Helper()
	require.Eventually(p, func() bool { return p.reader.version() == version }, time.Second, time.Millisecond)
}

func (p *pair) publish(stale []models.Invalidation) {
	p.Helper()
	require.NoError(p, p.writer.feed.Publish(p.Context(), stale))
}

func TestChangeReachesOthersWithinASecond(t *testing.T) {
	t.Run("by subscription and poll", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.publish(p.db.put(key, 2))
		p.wantWithinASecond(2)
	})
	t.Run("by poll, from a process without a feed", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.db.put(key, 2)
		p.wantWithinASecond(2)
	})
	t.Run("by poll, while the subscription is cut", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.proxy.Cut()
		p.publish(p.db.put(key, 2))
		p.wantWithinASecond(2)
	})
	t.Run("by poll, while Redis swallows everything", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.proxy.Blackhole()
		p.publish(p.db.put(key, 2))
		p.wantWithinASecond(2)
	})
	t.Run("by subscription, while the table is out of reach", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.db.set(func(d *database) { d.tableDown = true })
		polled := p.reader.feed.lastPoll()
		require.Eventually(t, func() bool { return p.reader.feed.clock()-polled > believe }, 3*time.Second, time.Millisecond)
		require.True(t, p.reader.feed.Healthy(time.Now()), "the heartbeat keeps it so")
		p.publish(p.db.put(key, 2))
		p.wantWithinASecond(2)
	})
	t.Run("by subscription, while the database is out of reach", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		p.db.set(func(d *database) { d.tableDown, d.down = true, true })
		p.publish(p.db.put(key, 2))
		require.Eventually(t, func() bool {
			_, err := p.reader.cache.get(t.Context(), key, time.Now())
			return apierror.CodeOf(err) == apierror.CodeStoreUnavailable
		}, time.Second, time.Millisecond)
	})
}

// The subscription breaks and a change is published before it is back, while
// the reader cannot ask the database: only Redis itself knows.
func TestChangeMissedByTheSubscriptionIsLearnedFromRedis(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.db.set(func(d *database) { d.tableDown, d.down = true, true })
	p.proxy.Cut()
	p.publish(p.db.put(key, 2))
	p.proxy.Restore()
	require.Eventually(t, func() bool {
		_, err := p.reader.cache.get(t.Context(), key, time.Now())
		return apierror.CodeOf(err) == apierror.CodeStoreUnavailable
	}, 3*time.Second, time.Millisecond)
	p.db.set(func(d *database) { d.tableDown, d.down = false, false })
	require.Eventually(t, func() bool { return p.reader.version() == 2 }, 3*time.Second, time.Millisecond)
}

func TestCacheWorksOnAfterRedisComesBack(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.proxy.Blackhole()
	p.db.put(key, 2)
	require.Eventually(t, func() bool { return !p.reader.feed.synced.Load() && !p.reader.hears() }, 5*time.Second, time.Millisecond)
	require.True(t, p.reader.feed.Healthy(time.Now()))
	require.EqualValues(t, 2, p.reader.version())
	p.proxy.Restore()
	require.Eventually(t, func() bool { return p.reader.feed.synced.Load() && p.reader.hears() }, 5*time.Second, time.Millisecond)
	p.publish(p.db.put(key, 3))
	p.wantWithinASecond(3)
}
