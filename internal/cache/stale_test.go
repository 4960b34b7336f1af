package cache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestValueIsReadAgainAfterItsTTL(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.db.put(key, 2)
		r.db.set(func(d *database) { d.stale = nil }) // by a hand in the database
		r.pass(options.TTL-1, true)
		r.wantVersion(1)
		r.pass(1, true)
		r.wantVersion(2)
		r.wantLoads(2)
	})
}

func TestSilentFeedMakesValuesDoubtful(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.db.put(key, 2)
		r.pass(believe-1, false)
		r.wantVersion(1)
		r.pass(1, false)
		r.wantVersion(2)
		r.wantVersion(2)
		r.wantLoads(2)
	})
}

func TestDoubtfulValueIsReadOnceASecond(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.down(true)
		for second := range 5 {
			r.pass(time.Second, false)
			for range 10 {
				r.wantVersion(1)
			}
			r.wantLoads(2 + second)
		}
		r.down(false)
		r.db.put(key, 2)
		r.pass(time.Second, false)
		r.wantVersion(2)
	})
}

func TestDoubtfulValueIsServedWhereTheDatabaseHangs(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.pass(time.Second, false)
		r.db.put(key, 2)
		release := r.block()
		began := time.Now()
		r.wantVersion(1)
		require.Equal(r, checkWait, time.Since(began))
		r.wantVersion(1)
		require.Equal(r, checkWait, time.Since(began), "the rest of the second nobody waits")
		release()
		synctest.Wait()
		r.wantVersion(2)
		r.wantLoads(2)
	})
}

func TestDoubtfulValuesGatherNoReads(t *testing.T) {
	inBubble(t, func(r *rig) {
		const keys = 3 * maxReads
		for i := range keys {
			r.db.put(hashOf(i), 1)
			_, err := r.cache.get(r.Context(), hashOf(i), time.Now())
			require.NoError(r, err)
		}
		r.pass(time.Second, false)
		defer r.block()()
		for i := range keys {
			_, err := r.cache.get(r.Context(), hashOf(i), time.Now())
			require.NoError(r, err)
		}
		r.wantLoads(keys + maxReads)
	})
}

// The feed polls until the database goes; from then on, MaxStale counts.
func TestValueOutlivesTheDatabaseByMaxStale(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.pass(options.TTL-time.Second, true)
		r.down(true)
		r.pass(options.MaxStale-1, false)
		r.wantVersion(1)
		r.pass(1, false)
		r.wantError(apierror.CodeStoreUnavailable)
		r.down(false)
		r.wantVersion(1)
	})
}

func TestPollsProveNothingBeyondTheTTL(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.down(true)
		r.pass(options.TTL+options.MaxStale-1, true)
		r.wantVersion(1)
		r.pass(1, true)
		r.wantError(apierror.CodeStoreUnavailable)
	})
}

func TestValueKnownToBeStaleIsNeverServed(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.down(true)
		r.publish(r.db.put(key, 2))
		r.wantError(apierror.CodeStoreUnavailable)
	})
}

func TestUncachedKeyNeedsTheDatabase(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.down(true)
		r.wantError(apierror.CodeStoreUnavailable)
		r.down(false)
		r.wantVersion(1)
	})
}

func TestKeyErasedWhileTheFeedIsSilent(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.db.erase(key)
		r.pass(time.Second, false)
		r.wantError(apierror.CodeNotFound)
		r.wantError(apierror.CodeNotFound)
		r.wantLoads(2)
	})
}
