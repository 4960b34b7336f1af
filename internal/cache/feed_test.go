package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestPollTellsOfChangesOfOtherProcesses(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		r.db.put(key, 2)
		r.wantVersion(1)
		r.poll()
		r.wantVersion(2)
	})
}

// A transaction takes its id, a later one commits and is polled, and only then
// the first commits.
func TestPollFindsWhatCommitsOutOfOrder(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		var id int64
		r.db.set(func(d *database) { id = d.nextID() })
		r.publish(r.db.changePlan())
		r.poll()
		r.wantVersion(1)
		r.db.set(func(d *database) {
			d.rows[key] = row{ID: key.String(), Version: 2}
			d.commit(id, models.Subject("key:"+key.String()), 2)
		})
		r.pass(time.Second, true)
		r.wantVersion(2)
	})
}

func TestPollAfterAnOutageFindsWhatCommittedOutOfOrderBeforeIt(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		var id int64
		var began time.Time
		r.db.set(func(d *database) { id, began = d.nextID(), time.Now() })
		r.publish(r.db.changePlan())
		r.pass(time.Second, true)
		r.wantVersion(1)
		r.db.set(func(d *database) {
			d.rows[key] = row{ID: key.String(), Version: 2}
			d.commit(id, models.Subject("key:"+key.String()), 2)
			d.stale[len(d.stale)-1].CreatedAt = began
		})
		r.pass(2*overlap, true)
		r.wantVersion(2)
	})
}

func TestFirstPollTellsOfChangesSinceTheStart(t *testing.T) {
	beforeFirstPoll(t, func(r *rig) {
		r.wantVersion(1)
		r.db.put(key, 2)
		r.pass(2*overlap, true)
		r.wantVersion(2)
	})
}

func TestRowsOfTheOverlapAreAppliedOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.db.erase(key)
		r.db.set(func(d *database) { d.append(models.HashSubject(key), 1) })
		r.poll()
		r.wantError(apierror.CodeNotFound)
		r.pass(time.Second, true)
		r.wantError(apierror.CodeNotFound)
		r.wantLoads(1)
	})
}

func TestFeedIsHealthyForASecondAfterAPoll(t *testing.T) {
	inBubble(t, func(r *rig) {
		require.True(r, r.feed.Healthy(time.Now()))
		require.True(r, r.feed.Healthy(time.Now().Add(believe-1)))
		require.False(r, r.feed.Healthy(time.Now().Add(believe)))
		r.db.set(func(d *database) { d.tableDown = true })
		time.Sleep(believe)
		_, err := r.feed.poll(r.Context())
		require.ErrorIs(r, err, apierror.CodeStoreUnavailable)
		require.False(r, r.feed.Healthy(time.Now()))
	})
}

func TestHeartbeatCountsOnlyWithoutAGap(t *testing.T) {
	inBubble(t, func(r *rig) {
		time.Sleep(believe)
		hear := func() { r.feed.heard.Store(int64(r.feed.clock())) }
		r.feed.subscribed.Store(int64(r.feed.clock()))
		hear()
		require.False(r, r.feed.Healthy(time.Now()), "what was published before the subscription is unknown")
		time.Sleep(time.Nanosecond)
		r.poll()
		time.Sleep(believe)
		require.False(r, r.feed.Healthy(time.Now()), "neither poll nor heartbeat")
		hear()
		require.True(r, r.feed.Healthy(time.Now()))
		r.feed.subscribed.Store(int64(r.feed.clock()))
		require.False(r, r.feed.Healthy(time.Now()), "subscribed anew")
	})
}

func TestRunPollsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		core, logged := observer.New(zap.InfoLevel)
		o := db.options()
		o.Log = zap.New(core)
		feed := NewFeed(o)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { require.NoError(t, feed.Run(ctx)) })
		for range 100 {
			time.Sleep(99 * time.Millisecond)
			require.True(t, feed.Healthy(time.Now()))
		}
		db.set(func(d *database) { d.tableDown = true })
		time.Sleep(10 * time.Second)
		require.False(t, feed.Healthy(time.Now()))
		db.set(func(d *database) { d.tableDown = false })
		time.Sleep(time.Second)
		require.True(t, feed.Healthy(time.Now()))
		cancel()
		running.Wait()
		require.Len(t, logged.All(), 2, "each turn is logged once")
	})
}

func TestFirstPollWaitsForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		db.tableDown = true
		feed := db.feed()
		require.False(t, feed.Healthy(time.Now()))
		_, err := feed.poll(t.Context())
		require.ErrorIs(t, err, apierror.CodeStoreUnavailable)
		db.tableDown = false
		_, err = feed.poll(t.Context())
		require.NoError(t, err)
		require.True(t, feed.Healthy(time.Now()))
	})
}

func TestMessageThatMakesNoSenseIsPassedOver(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.wantVersion(1)
		for _, payload := range []string{"", "{", `{"stale":[{"Subject":7}]}`, `{"from":"x"}`} {
			r.feed.hear(payload)
		}
		r.wantVersion(1)
		r.wantLoads(1)
		r.feed.hear(`{"from":"x","stale":[{"Subject":"plan:p","Version":2}]}`)
		r.wantVersion(1)
		r.wantLoads(2)
	})
}

func TestFailedReadsAreNotTakenForUnknownKeys(t *testing.T) {
	inBubble(t, func(r *rig) {
		broken := errors.New("a column is missing")
		load := r.cache.kind.load
		r.cache.kind.load = func(context.Context, apikey.Hash) (*row, error) { return nil, broken }
		_, err := r.get()
		require.ErrorIs(r, err, broken)
		r.cache.kind.load = load
		r.wantVersion(1)
	})
}
