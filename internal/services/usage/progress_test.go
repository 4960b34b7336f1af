package usage_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

// watcher adds up what it is told.
type watcher struct {
	done, failed            int
	records, lost, rejected int64
}

func (w *watcher) Batch(_ time.Duration, err error) {
	if err != nil {
		w.failed++
	} else {
		w.done++
	}
}

func (w *watcher) Brought(records, lost, rejected int64) {
	w.records, w.lost, w.rejected = w.records+records, w.lost+lost, w.rejected+rejected
}

func TestWhatIsBroughtInIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(false)
		w.journal.put(stream, k.check("a", noon), k.check("b", noon), k.check("c", noon), k.check("d", noon), k.check("e", noon))
		w.journal.entries[stream] = append(w.journal.entries[stream][:1], w.journal.entries[stream][3:]...)
		w.journal.entries[stream][1].Payload = []byte("no record")
		away := true
		store := &faulty{Ingest: w.ingest, before: func(*models.UsageBatch) error {
			if away {
				return errors.New("away")
			}
			return nil
		}}
		told := new(watcher)
		ingester := w.ingester(store, func(o *usage.IngesterOptions) { o.Observer = told })
		require.Error(t, ingester.Once(t.Context()))
		require.Equal(t, watcher{failed: 1}, *told, "of what is not in the database, nothing is")
		away = false
		require.NoError(t, ingester.Drain(t.Context()))
		require.Equal(t, watcher{done: 1, failed: 1, records: 2, lost: 2, rejected: 1}, *told)
	})
}

func TestItIsToldUpToWhenAllIsInTheDatabase(t *testing.T) {
	w := &world{t: t, now: noon, journal: newShelf()}
	away := false
	store := &fake{add: func(*models.UsageBatch) error {
		if away {
			return errors.New("away")
		}
		return nil
	}}
	ingester := usage.NewIngester(w.journal, store, store, usage.NewActivity(store), usage.IngesterOptions{
		Node: "test", Now: w.clock, Report: func(string, error) {},
	})
	require.Equal(t, noon, ingester.CompleteUntil(), "nothing is known of what was before")
	k, stream := newKey(), w.journal.stream(true)
	w.now = noon.Add(10 * time.Second)
	w.journal.put(stream, k.check("a", noon.Add(7*time.Second)))
	require.NoError(t, ingester.Once(t.Context()))
	require.Equal(t, w.now, ingester.CompleteUntil(), "all that there was is in it")

	away = true
	w.now = noon.Add(time.Minute)
	w.journal.put(stream, k.check("b", noon.Add(55*time.Second)))
	for range 3 {
		require.Error(t, ingester.Once(t.Context()))
		w.now = w.now.Add(time.Minute)
	}
	require.Equal(t, noon.Add(55*time.Second), ingester.CompleteUntil(), "the oldest that waits")
	away = false
	require.NoError(t, ingester.Once(t.Context()))
	require.Equal(t, w.now, ingester.CompleteUntil())
}
