package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestLookupsAndLoadsAreCounted(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.wantVersion(1)
		missing := hashOf(2)
		for range 3 {
			_, err := r.cache.get(r.Context(), missing, time.Now())
			require.ErrorIs(r, err, apierror.CodeNotFound)
		}
		r.db.set(func(d *database) { d.down = true })
		_, err := r.cache.get(r.Context(), hashOf(3), time.Now())
		require.Error(r, err)
		require.Equal(r, Stats{
			Entries: 1, Unknown: 1, Hits: 1, UnknownHits: 2, Misses: 3, FromSource: Loads{Found: 1, Unknown: 1, Failed: 1},
		}, r.cache.stats())
	})
}

func TestOnlyWhatCannotBeRefreshedIsStale(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.pass(options.TTL+time.Second, true)
		r.wantVersion(1)
		require.Zero(r, r.cache.stats().Stale, "it was refreshed")
		r.db.set(func(d *database) { d.down = true })
		r.pass(options.TTL+time.Second, true)
		r.wantVersion(1)
		require.EqualValues(r, 1, r.cache.stats().Stale, "the refresh failed")
		r.pass(checkWait/2, false)
		r.wantVersion(1)
		require.EqualValues(r, 1, r.cache.stats().Stale, "a refresh could still be under way")
		r.pass(checkWait, false)
		r.wantVersion(1)
		require.EqualValues(r, 2, r.cache.stats().Stale)
	})
}

func TestTheFeedTellsSinceWhenItHeardNothing(t *testing.T) {
	beforeFirstPoll(t, func(r *rig) {
		r.pass(3*time.Second, false)
		require.Equal(r, 3*time.Second, r.feed.HeardAge(time.Now()), "since it was made")
		r.poll()
		require.Zero(r, r.feed.HeardAge(time.Now()))
		r.pass(time.Minute, false)
		require.Equal(r, time.Minute, r.feed.HeardAge(time.Now()))
		r.feed.heard.Store(int64(r.feed.clock()))
		r.pass(time.Second, false)
		require.Equal(r, time.Second, r.feed.HeardAge(time.Now()), "the channel counts too")
	})
}
