package usage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

// anything makes records of all kinds about a few keys, some of them again.
func anything(random *rand.Rand, keys []key, n int) []models.Record {
	list := make([]models.Record, 0, n)
	for i := range n {
		k := keys[random.IntN(len(keys))]
		r := k.check(fmt.Sprint("r-", i), noon.Add(-time.Duration(random.Int64N(int64(36*time.Hour)))))
		r.Endpoint, r.Method = fmt.Sprint("/v1/", random.IntN(5)), []string{"GET", "POST"}[random.IntN(2)]
		r.Cost = random.Int64N(10)
		r.Units = r.Cost
		switch random.IntN(10) {
		case 0, 1:
			denied("per-minute")(&r)
		case 2:
			r.Kind, r.Code, r.Meter, r.Units, r.Status = models.RecordReport, "", "tokens", random.Int64N(1000), 200
			r.LatencyMS, r.HasTiming = random.Int64N(5000), true
			r.Once = models.EventIDOf("event", string(k.id), fmt.Sprint(random.IntN(n)))
		case 3:
			r.Kind, r.Units = models.RecordAdjustment, random.Int64N(20)-10
		case 4:
			r.Once = models.EventIDOf("check", string(k.id), fmt.Sprint(random.IntN(n)))
		}
		list = append(list, r)
	}
	return list
}

func TestRollupsAreTheSumsOfWhatHappened(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		random := rand.New(rand.NewPCG(4, 2))
		keys := []key{newKey(), newKey(), newKey()}
		keys[2].segment = keys[1].segment // of one owner
		for range 3 {
			w.journal.put(w.journal.stream(false), anything(random, keys, 700)...)
		}
		w.drain()
		w.addsUp()
		require.Zero(t, w.number("SELECT COUNT(*) FROM ingest_rejects"))
		require.Zero(t, w.number("SELECT COUNT(*) FROM ingest_cursors WHERE drained_at IS NULL"))
		require.EqualValues(t, 2, w.number("SELECT COUNT(*) FROM usage_segments"))
		require.EqualValues(t, 3, w.number("SELECT COUNT(*) FROM key_activity"))
		require.Empty(t, w.journal.Streams(), "what is in the database is not listed any more")
		require.Equal(t, w.number("SELECT SUM(count) FROM usage_latencies"), w.number("SELECT SUM(reports) FROM usage_rollups"))
		require.Equal(t, w.number("SELECT SUM(denials) FROM rate_limit_violations"), w.number("SELECT SUM(denied_limit) FROM usage_rollups"))
	})
}

func TestACommitThatWasNotHeardOfCountsOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, failures := newKey(), 3
		store := &faulty{Ingest: w.ingest, after: func() error {
			if failures--; failures >= 0 {
				return errors.New("the connection is gone")
			}
			return nil
		}}
		stream := w.journal.stream(true)
		w.journal.put(stream, k.check("a", noon), k.check("b", noon))
		ingester := w.ingester(store, nil)
		require.Error(t, ingester.Drain(t.Context()))
		w.journal.put(stream, k.check("c", noon))
		for ingester.Drain(t.Context()) != nil {
		}
		require.EqualValues(t, 3, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.EqualValues(t, 3, w.number("SELECT COUNT(*) FROM usage_logs"))
		w.addsUp()
		w.drain()
		require.EqualValues(t, 3, w.number("SELECT SUM(requests) FROM usage_rollups"), "and not by another process either")
	})
}

func TestADatabaseThatWentBackIsBroughtForwardAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		ingester := w.ingester(nil, nil)
		w.journal.put(stream, k.check("a", noon), k.check("b", noon), k.check("c", noon))
		require.NoError(t, ingester.Drain(t.Context()))
		// It fell back to a copy of itself that had only the first.
		for _, statement := range []string{
			"DELETE FROM usage_logs WHERE request_id <> 'a'", "UPDATE usage_rollups SET requests = 1, allowed = 1, units = 1, billable_units = 1",
			"UPDATE usage_totals SET requests = 1, allowed = 1, units = 1, billable_units = 1",
			"UPDATE usage_sums SET requests = 1, allowed = 1, units = 1, billable_units = 1", "UPDATE ingest_cursors SET last_seq = 1",
		} {
			_, err := w.sql.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		w.journal.put(stream, k.check("d", noon))
		require.NoError(t, ingester.Drain(t.Context()))
		require.EqualValues(t, 4, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.Zero(t, w.number("SELECT COUNT(*) FROM ingest_gaps"))
		w.addsUp()
		require.Len(t, w.reported, 1)
		require.Contains(t, w.reported[0], "gone back")
	})
}

func TestADatabaseThatWentBackWhileNothingCame(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, old, own := newKey(), w.journal.stream(false), w.journal.stream(true)
		w.journal.put(old, k.check("a", noon), k.check("b", noon))
		w.journal.put(own, k.check("c", noon))
		ingester := w.ingester(nil, nil)
		drain := func() {
			w.now = w.now.Add(2 * time.Second)
			require.NoError(t, ingester.Drain(t.Context()))
		}
		drain() // the first record of the own stream tells how far it is
		drain()
		require.Equal(t, []string{"a", "b", "c"}, w.ids())
		// It fell back to before there was anything.
		for _, table := range []string{"usage_logs", "usage_rollups", "usage_totals", "usage_sums", "usage_segments", "ingest_cursors"} {
			_, err := w.sql.ExecContext(t.Context(), "DELETE FROM "+table)
			require.NoError(t, err)
		}
		drain()
		drain()
		require.Equal(t, []string{"a", "b", "c"}, w.ids(), "of the stream that was ended, too")
		w.addsUp()
		require.Len(t, w.reported, 2)
		drain()
		require.Len(t, w.reported, 2, "and is forward again")
	})
}

func TestAStreamThatCannotBeReadStopsNoOther(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, broken, own := newKey(), w.journal.stream(false), w.journal.stream(true)
		w.journal.put(broken, k.check("a", noon))
		w.journal.put(own, k.check("b", noon))
		w.journal.broken = broken
		require.ErrorContains(t, w.ingester(nil, nil).Drain(t.Context()), "input/output error")
		require.Equal(t, []string{"b"}, w.ids())
	})
}

func TestWhatEarlierProcessesLeftIsBroughtInFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, own := newKey(), w.journal.stream(true)
		w.journal.put(own, k.check("own", noon))
		for range 2 {
			w.journal.put(w.journal.stream(false), k.check("a", noon), k.check("b", noon))
		}
		require.NoError(t, w.ingester(nil, nil).CatchUp(t.Context()))
		require.EqualValues(t, 4, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.Len(t, w.journal.Streams(), 1)
		require.NoError(t, w.ingester(nil, nil).CatchUp(t.Context()), "there is nothing left to do")
		broken := &faulty{Ingest: w.ingest, before: func(*models.UsageBatch) error { return errors.New("away") }}
		w.journal.put(w.journal.stream(false), k.check("c", noon))
		require.Error(t, w.ingester(broken, nil).CatchUp(t.Context()))
	})
}

func TestStreamsThatBroughtNothingAreEnded(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		heardOf := w.journal.stream(false) // its process was killed once it had told how far it was
		require.NoError(t, w.streams.Watermark(t.Context(), heardOf, "dead", noon))
		w.journal.stream(false) // that of another before it told anything

		require.NoError(t, w.ingester(nil, nil).CatchUp(t.Context()))
		require.Empty(t, w.journal.Streams())
		_, ok, err := w.streams.CompleteUntil(t.Context())
		require.NoError(t, err)
		require.False(t, ok, "nothing waits for them")
	})
}

func TestLostRecordsAreStoredAsAGap(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(false)
		w.journal.put(stream, k.check("a", noon), k.check("b", noon), k.check("c", noon), k.check("d", noon))
		w.journal.entries[stream] = append(w.journal.entries[stream][:1], w.journal.entries[stream][3])
		w.drain()
		require.EqualValues(t, 2, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM ingest_gaps WHERE from_seq = 2 AND to_seq = 3"))
		require.EqualValues(t, 2, w.number("SELECT gaps FROM ingest_cursors"))
		require.Len(t, w.reported, 1)
	})
}

func TestOneBadRecordDoesNotStopMetering(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(false)
		var list []models.Record
		for i := range 100 {
			list = append(list, k.check(fmt.Sprint("r-", i), noon))
		}
		w.journal.put(stream, list...)
		w.journal.entries[stream][40].Payload = []byte("no record")
		refuse := func(b *models.UsageBatch) error {
			for i := range b.Logs {
				if b.Logs[i].RequestID == "r-17" || b.Logs[i].RequestID == "r-18" {
					return fmt.Errorf("row %d: %w", i, errRefused)
				}
			}
			return nil
		}
		require.NoError(t, w.ingester(&faulty{Ingest: w.ingest, before: refuse}, nil).Drain(t.Context()))
		require.EqualValues(t, 99, w.number("SELECT SUM(requests) FROM usage_rollups"), "those refused are counted, and what is none is not")
		require.EqualValues(t, 97, w.number("SELECT COUNT(*) FROM usage_logs"))
		require.EqualValues(t, 3, w.number("SELECT COUNT(*) FROM ingest_rejects"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM ingest_rejects WHERE seq = 18 AND reason LIKE '%refused'"))
		require.EqualValues(t, 100, w.number("SELECT last_seq FROM ingest_cursors"))
	})
}

func TestTextThatPostgresRefuses(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(false)
		w.journal.put(stream,
			k.check("before", noon), k.check("agent", noon, func(r *models.Record) { r.UserAgent = "a\x00b" }),
			k.check("endpoint", noon, func(r *models.Record) { r.Endpoint = "a\x00b" }), k.check("after", noon))
		w.drain()
		require.Subset(t, w.ids(), []string{"before", "after"})
		require.EqualValues(t, 4, w.number("SELECT last_seq FROM ingest_cursors"))
		if w.engine == "postgres" {
			require.EqualValues(t, 3, w.number("SELECT SUM(requests) FROM usage_rollups"), "what has no endpoint that could be stored is set aside")
			require.EqualValues(t, 2, w.number("SELECT COUNT(*) FROM ingest_rejects"))
		}
	})
}

// ids gives the request ids of the raw rows.
func (w *world) ids() (ids []string) {
	w.t.Helper()
	rows, err := w.sql.QueryContext(w.t.Context(), "SELECT request_id FROM usage_logs ORDER BY request_id")
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(w.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(w.t, rows.Err())
	return ids
}

func TestOneDecisionCountsOnceWhoeverGotIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k := newKey()
		once := func(r *models.Record) { r.Once = models.EventIDOf("check", "decision", "1") }
		replayed := func(r *models.Record) { r.Replayed = true }
		w.journal.put(w.journal.stream(false), k.check("first", noon, once), k.check("again", noon, once, replayed))
		w.journal.put(w.journal.stream(false), k.check("elsewhere", noon, once, replayed))
		orphan := func(r *models.Record) { r.Once = models.EventIDOf("check", "decision", "2") }
		w.journal.put(w.journal.stream(false), k.check("orphan", noon, orphan, replayed)) // the first died unrecorded
		w.drain()
		require.EqualValues(t, 2, w.number("SELECT SUM(requests) FROM usage_rollups"))
		require.EqualValues(t, 2, w.number("SELECT SUM(units) FROM usage_rollups"))
		require.EqualValues(t, 4, w.number("SELECT COUNT(*) FROM usage_logs"), "each answer can be explained")
		w.addsUp()
	})
}

func TestEndpointsOfAKeyAreBounded(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, another := newKey(), newKey()
		endpoint := func(name string) func(r *models.Record) { return func(r *models.Record) { r.Endpoint = name } }
		var list []models.Record
		for i := range 10 {
			list = append(list, k.check("r", noon, endpoint(fmt.Sprint("/", i))), another.check("r", noon, endpoint("/9")))
		}
		list = append(list, k.check("r", noon, endpoint("")), k.check("r", noon, endpoint("/"+string(make([]byte, 300)))))
		few := func(o *usage.IngesterOptions) { o.EndpointsPerKey = 3 }
		w.journal.put(w.journal.stream(false), list[:10]...)
		require.NoError(t, w.ingester(nil, few).Drain(t.Context()))
		w.journal.put(w.journal.stream(false), list[10:21]...)
		require.NoError(t, w.ingester(nil, few).Drain(t.Context()))
		of := fmt.Sprintf(" FROM usage_rollups WHERE api_key_id = '%s'", k.id)
		require.EqualValues(t, 5, w.number("SELECT COUNT(DISTINCT endpoint)"+of), "three, none and other")
		require.EqualValues(t, 7, w.number("SELECT SUM(requests)"+of+" AND endpoint = 'other'"))
		require.EqualValues(t, 11, w.number("SELECT SUM(requests)"+of))
		require.Zero(t, w.number("SELECT COUNT(*) FROM usage_rollups WHERE endpoint = 'other' AND api_key_id = '"+string(another.id)+"'"))
	})
}

func TestOfManyChecksASampleIsKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k := newKey()
		var list []models.Record
		for i := range 2_000 {
			r := k.check(fmt.Sprint("r-", i), noon.Add(time.Duration(i)*time.Millisecond/2))
			switch {
			case i%10 == 0:
				denied([]string{"one", "two"}[i%20/10])(&r)
			case i == 77:
				r.Settle = true
			}
			list = append(list, r)
		}
		w.now = noon.Add(time.Minute)
		w.journal.put(w.journal.stream(false), list...)
		require.NoError(t, w.ingester(nil, func(o *usage.IngesterOptions) { o.RawRowsPerSecond = 200 }).Drain(t.Context()))
		kept := w.number("SELECT COUNT(*) FROM usage_logs")
		require.Greater(t, kept, int64(130))
		require.Less(t, kept, int64(270))
		require.EqualValues(t, 3, w.number("SELECT COUNT(*) FROM usage_logs WHERE sample_rate = 1"), "the first denial by each rule, and what may be settled")
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM usage_logs WHERE request_id = 'r-77'"))
		require.EqualValues(t, 2_000, w.number("SELECT SUM(requests) FROM usage_rollups"), "sums are exact")
		var estimate float64
		require.NoError(t, w.sql.QueryRowContext(t.Context(), "SELECT SUM(1 / sample_rate) FROM usage_logs").Scan(&estimate))
		require.InDelta(t, 2_000, estimate, 400, "what is kept stands for the rest")
	})
}

func TestWatermarksFollowTheJournal(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		k, stream := newKey(), w.journal.stream(true)
		w.journal.put(stream, k.check("a", noon))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		ingester := w.ingester(nil, nil)
		go func() { done <- ingester.Run(ctx) }()
		require.Eventually(t, func() bool {
			until, ok, err := w.streams.CompleteUntil(t.Context())
			return err == nil && ok && until.Equal(noon.Add(-2*time.Second))
		}, 10*time.Second, 10*time.Millisecond, "complete but for what may be under way")
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, ingester.Drain(t.Context()))
		_, ok, err := w.streams.CompleteUntil(t.Context())
		require.NoError(t, err)
		require.False(t, ok, "a process that has ended holds nobody up")
	})
}
