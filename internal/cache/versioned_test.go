package cache

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

var options = Options{
	MaxEntries: 1000, TTL: 5 * time.Minute, MaxStale: 10 * time.Minute,
	NegativeMaxEntries: 1000, NegativeTTL: 10 * time.Second,
}

// A rig is a cache in memory over a database, in a bubble whose clock moves
// only when all wait.
type rig struct {
	*testing.T
	db    *database
	feed  *Feed
	cache *versioned[*row]
}

var key = hashOf(1)

func inBubble(t *testing.T, test func(r *rig)) {
	beforeFirstPoll(t, func(r *rig) {
		r.poll()
		test(r)
	})
}

func beforeFirstPoll(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, db: newDatabase()}
		r.feed = r.db.feed()
		r.cache = newVersioned(r.feed, options, r.db.kind())
		defer r.cache.stop()
		r.db.put(key, 1)
		test(r)
	})
}

func (r *rig) poll() {
	_, err := r.feed.poll(r.Context())
	require.NoError(r, err)
}

func (r *rig) publish(stale []models.Invalidation) {
	require.NoError(r, r.feed.Publish(r.Context(), stale))
}

// pass lets time go by, and says whether the feed has polled since.
func (r *rig) pass(d time.Duration, polled bool) {
	time.Sleep(d)
	if polled {
		r.poll()
	}
}

func (r *rig) get() (*row, error) { return r.cache.get(r.Context(), key, time.Now()) }

func (r *rig) wantVersion(version int64) {
	r.Helper()
	value, err := r.get()
	require.NoError(r, err)
	require.Equal(r, version, value.Version)
}

func (r *rig) wantError(code apierror.Code) {
	r.Helper()
	value, err := r.get()
	require.ErrorIs(r, err, code)
	require.Nil(r, value)
}

func (r *rig) wantLoads(n int) {
	r.Helper()
	require.Equal(r, n, r.db.loaded())
}

// block makes reads wait, after they have read the row, until the function it
// returns is called.
func (r *rig) block() (release func()) {
	gate := make(chan struct{})
	r.db.set(func(d *database) {
		d.reading = func(ctx context.Context) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
	})
	return sync.OnceFunc(func() {
		r.db.set(func(d *database) { d.reading = nil })
		close(gate)
	})
}

func (r *rig) down(down bool) { r.db.set(func(d *database) { d.down = down }) }

func TestValueIsReadOnceAndServedFromMemory(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.wantVersion(1)
		r.wantLoads(1)
	})
}

func TestChangeReplacesValue(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.publish(r.db.put(key, 2))
		r.wantVersion(2)
		r.publish(r.db.changePlan())
		value, err := r.get()
		require.NoError(r, err)
		require.EqualValues(r, 2, value.Plan)
		r.wantLoads(3)
	})
}

func TestErasedValueIsUnknown(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.publish(r.db.erase(key))
		r.wantError(apierror.CodeNotFound)
		r.wantError(apierror.CodeNotFound)
		r.wantLoads(2)
		require.Nil(r, r.cache.known.find(&key))
	})
}

func TestUnknownIsRememberedBriefly(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.db.erase(key)
		r.wantError(apierror.CodeNotFound)
		r.pass(options.NegativeTTL-1, true)
		r.wantError(apierror.CodeNotFound)
		r.wantLoads(1)
		r.pass(1, true)
		r.wantError(apierror.CodeNotFound)
		r.wantLoads(2)
	})
}

func TestCreationEndsUnknownEachTime(t *testing.T) {
	inBubble(t, func(r *rig) {
		for round := range 3 {
			r.publish(r.db.erase(key))
			r.wantError(apierror.CodeNotFound)
			r.publish(r.db.put(key, int64(10*round+10)))
			r.wantVersion(int64(10*round + 10))
		}
	})
}

func TestUnknownReadBeforeCreationIsNotRemembered(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.db.erase(key)
		release := r.block()
		var late, early error
		var callers sync.WaitGroup
		callers.Go(func() { _, early = r.get() })
		synctest.Wait()
		r.publish(r.db.put(key, 1))
		callers.Go(func() { _, late = r.get() })
		synctest.Wait()
		release()
		callers.Wait()
		require.ErrorIs(r, early, apierror.CodeNotFound)
		require.NoError(r, late, "it asked after the creation")
		r.wantVersion(1)
		r.wantLoads(2)
	})
}

func TestChangeDuringReadIsNotLost(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := r.block()
		var late *row
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = r.get() })
		synctest.Wait()
		r.publish(r.db.put(key, 2))
		callers.Go(func() { late, _ = r.get() })
		synctest.Wait()
		release()
		callers.Wait()
		require.EqualValues(r, 2, late.Version, "it asked after the change")
		r.wantVersion(2)
		r.wantLoads(2)
	})
}

func TestChangeHeardLongBeforeTheReadEnds(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := r.block()
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = r.get() })
		synctest.Wait()
		r.publish(r.db.changePlan())
		r.pass(readTimeout-1, true)
		for i := range 100 { // other news make no one forget
			r.publish(r.db.put(hashOf(100+i), 1))
		}
		release()
		reader.Wait()
		require.Nil(r, r.cache.known.find(&key))
	})
}

func TestManyWaitForOneRead(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := r.block()
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { r.wantVersion(1) })
		}
		synctest.Wait()
		release()
		callers.Wait()
		r.wantLoads(1)
	})
}

func TestCallerLeavesAndTheReadGoesOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := r.block()
		ctx, cancel := context.WithTimeout(r.Context(), time.Second/2)
		defer cancel()
		_, err := r.cache.get(ctx, key, time.Now())
		require.ErrorIs(r, err, context.DeadlineExceeded)
		release()
		synctest.Wait()
		r.wantVersion(1)
		r.wantLoads(1)
	})
}

func TestReadIsBounded(t *testing.T) {
	inBubble(t, func(r *rig) {
		defer r.block()()
		began := time.Now()
		r.wantError(apierror.CodeStoreUnavailable)
		require.Equal(r, readTimeout, time.Since(began))
	})
}

func TestValueThatComesTooLateIsNotKept(t *testing.T) {
	inBubble(t, func(r *rig) {
		load := r.cache.kind.load
		r.cache.kind.load = func(ctx context.Context, hash apikey.Hash) (*row, error) {
			time.Sleep(readTimeout + 1) // deaf to its context
			return load(context.WithoutCancel(ctx), hash)
		}
		r.wantError(apierror.CodeStoreUnavailable)
		require.Nil(r, r.cache.known.find(&key))
	})
}

func TestReadsAtOnceAreBounded(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := r.block()
		var callers sync.WaitGroup
		for i := range 3 * maxReads {
			callers.Go(func() { _, _ = r.cache.get(r.Context(), hashOf(i), time.Now()) })
		}
		synctest.Wait()
		r.wantLoads(maxReads)
		release()
		callers.Wait()
		r.wantLoads(3 * maxReads)
	})
}

func TestValueThatDependsOnNothingIsRefused(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.cache.kind.made = func(*row) []models.Dependency { return nil }
		_, err := r.get()
		require.ErrorContains(r, err, "never be invalidated")
		require.Nil(r, r.cache.known.find(&key))
	})
}

func TestCloseEndsReadsAndAwaitsThem(t *testing.T) {
	inBubble(t, func(r *rig) {
		defer r.block()()
		var caller sync.WaitGroup
		caller.Go(func() { r.wantError(apierror.CodeStoreUnavailable) })
		synctest.Wait()
		began := time.Now()
		r.cache.stop()
		require.Zero(r, time.Since(began))
		caller.Wait()
		r.wantError(apierror.CodeUnavailable)
	})
}
