package cache

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func newRemote(t *testing.T) *remote {
	t.Helper()
	return &remote{client: openURL(t, testenv.Redis(t)), namespace: t.Name(), timeout: time.Second}
}

func TestRemoteKeepsTheNewestValue(t *testing.T) {
	r := newRemote(t)
	data, _, err := r.fetch(t.Context(), key)
	require.NoError(t, err)
	require.Nil(t, data)
	for _, step := range []struct {
		version int64
		store   string
		want    string
	}{
		{9, "nine", "nine"},
		{8, "eight", "nine"},
		{9, "nine again", "nine again"},
		{10, "ten", "ten"},
		{1 << 52, "large", "large"},
		{1<<52 - 1, "less", "large"},
	} {
		require.NoError(t, r.store(t.Context(), key, step.version, []byte(step.store)))
		data, age, err := r.fetch(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, step.want, string(data))
		require.Less(t, age, time.Minute)
	}
}

func TestRemoteTellsTheAgeOfAValue(t *testing.T) {
	r := newRemote(t)
	require.NoError(t, r.store(t.Context(), key, 1, []byte("value")))
	require.NoError(t, r.client.PExpire(t.Context(), r.valueKey(key), remoteTTL-3*time.Minute).Err())
	_, age, err := r.fetch(t.Context(), key)
	require.NoError(t, err)
	require.InDelta(t, 3*time.Minute, age, float64(time.Minute))
}

func TestRemoteVersionsNeverSink(t *testing.T) {
	r := newRemote(t)
	made := []models.Dependency{{Subject: "key:a"}, {Subject: "plan:b"}, {Subject: "owner:c"}}
	versions, err := r.versions(t.Context(), made)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 0, 0}, versions)

	require.NoError(t, r.raise(t.Context(), []models.Dependency{{Subject: "key:a", Version: 1 << 52}, {Subject: "plan:b", Version: 2}}))
	require.NoError(t, r.raise(t.Context(), []models.Dependency{{Subject: "key:a", Version: 10}, {Subject: "plan:b", Version: 10}}))
	versions, err = r.versions(t.Context(), made)
	require.NoError(t, err)
	require.Equal(t, []int64{1 << 52, 10, 0}, versions)

	left, err := r.client.PTTL(t.Context(), r.versionKey("key:a")).Result()
	require.NoError(t, err)
	require.Greater(t, left, remoteTTL+readTimeout, "no older value may outlive it")
}

func TestRemoteRaisesManyAndNoAnchors(t *testing.T) {
	r := newRemote(t)
	var stale []models.Dependency
	for i := range 2*remoteBatch + 1 {
		stale = append(stale, models.Dependency{Subject: models.SubjectOf("key", models.KeyID(hashOf(i).String())), Version: 3})
		stale = append(stale, models.Dependency{Subject: models.HashSubject(hashOf(i)), Version: 1})
	}
	require.NoError(t, r.raise(t.Context(), stale))
	require.NoError(t, r.raise(t.Context(), stale[1:2]))
	size, err := r.client.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.EqualValues(t, 2*remoteBatch+1, size)
}

func newSharing(t *testing.T) (*database, redis.UniversalClient) {
	t.Helper()
	db := newDatabase()
	db.put(key, 1)
	return db, openURL(t, testenv.Redis(t))
}

func TestSecondProcessReadsFromRedis(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	first, second := startProcess(t, db, client, t.Name()), startProcess(t, db, client, t.Name())
	require.EqualValues(t, 1, first.version())
	require.Eventually(t, func() bool {
		data, _, err := second.feed.remote.fetch(t.Context(), key)
		return err == nil && data != nil
	}, time.Second, time.Millisecond)
	require.EqualValues(t, 1, second.version())
	require.Equal(t, 1, db.loaded())

	db.set(func(d *database) { d.down = true })
	third := startProcess(t, db, client, t.Name())
	require.EqualValues(t, 1, third.version(), "while the feed is healthy")
}

func TestValueStoredInRedisAfterItsChangeIsNotUsed(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	first, second := startProcess(t, db, client, t.Name()), startProcess(t, db, client, t.Name())
	require.NoError(t, first.feed.Publish(t.Context(), db.put(key, 2)))
	// A third process read version 1 before the change, and is slow.
	late, err := second.cache.kind.encode(&row{ID: key.String(), Version: 1, Plan: 1})
	require.NoError(t, err)
	require.NoError(t, second.feed.remote.store(t.Context(), key, 1, late))
	require.EqualValues(t, 2, first.version())
	require.EqualValues(t, 2, second.version())
}

// leave puts version 1 in Redis, as a process would that is gone by now.
func leave(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	data, err := json.Marshal(row{ID: key.String(), Version: 1, Plan: 1})
	require.NoError(t, err)
	gone := &remote{client: client, namespace: t.Name(), timeout: time.Second}
	require.NoError(t, gone.store(t.Context(), key, 1, data))
}

// age makes all changes older than what a poll looks for, yet not than a value
// in Redis may be.
func age(db *database) {
	db.set(func(d *database) {
		for i := range d.stale {
			d.stale[i].CreatedAt = time.Now().Add(-remoteTTL)
		}
	})
}

func TestChangeWhoseProcessDiedBeforePublishingIsKnownAtStart(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	leave(t, client)
	db.put(key, 2)
	age(db)
	require.EqualValues(t, 2, startProcess(t, db, client, t.Name()).version())
}

func TestRedisIsNotReadBeforeItIsSynced(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	leave(t, client)
	db.put(key, 2)
	age(db)
	o := db.options()
	o.Redis, o.Namespace, o.Timeout = client, t.Name(), time.Second
	feed := NewFeed(o)
	_, err := feed.poll(t.Context())
	require.NoError(t, err)
	feed.heard.Store(int64(feed.clock()))
	c := newVersioned(feed, options, sharedKind(db))
	defer c.stop()
	value, err := c.get(t.Context(), key, time.Now())
	require.NoError(t, err)
	require.EqualValues(t, 2, value.Version)
}

func TestValueOfAnotherFormatIsReadAgain(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	p := startProcess(t, db, client, t.Name())
	require.NoError(t, p.feed.remote.store(t.Context(), key, 1, []byte("not JSON")))
	require.EqualValues(t, 1, p.version())
}

func TestSilentRedisHoldsUpNoCheck(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	proxy := testenv.StartProxy(t, server)
	db := newDatabase()
	p := startProcess(t, db, openURL(t, proxy.URL()), t.Name())
	proxy.Blackhole()
	read := func(i int) time.Duration {
		db.put(hashOf(i), 1)
		began := time.Now()
		_, err := p.cache.get(t.Context(), hashOf(i), time.Now())
		require.NoError(t, err)
		return time.Since(began)
	}
	require.Less(t, read(1), 4*p.feed.remote.timeout)
	require.Eventually(t, func() bool { return !p.feed.sharing(p.feed.clock()) }, 3*time.Second, time.Millisecond)
	require.Less(t, read(2), p.feed.remote.timeout, "it is left alone by then")
}

func TestKeyThatRedisKnowsToBeStaleIsNotServed(t *testing.T) {
	t.Parallel()
	db, client := newSharing(t)
	o := db.options()
	o.Redis, o.Namespace, o.Timeout = client, t.Name(), time.Second
	feed := NewFeed(o) // not running: nothing proves what it caches
	c := newVersioned(feed, options, db.kind())
	defer c.stop()
	now := time.Now()
	_, err := c.get(t.Context(), key, now)
	require.NoError(t, err)

	db.set(func(d *database) { d.down = true })
	value, err := c.get(t.Context(), key, now.Add(2*checkEvery))
	require.NoError(t, err)
	require.EqualValues(t, 1, value.Version)

	require.NoError(t, feed.remote.raise(t.Context(), dependency("plan:p", 2)))
	_, err = c.get(t.Context(), key, now.Add(4*checkEvery))
	require.ErrorIs(t, err, apierror.CodeStoreUnavailable)
}
