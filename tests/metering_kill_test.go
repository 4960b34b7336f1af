//go:build journeys

package tests

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// synced makes answers wait for the disk: more of them are in the journal and not yet on their way when a process dies.
var synced = settings{"VIVA_JOURNAL_FSYNC": "always"}

// fewEndpoints are counted apart, so that processes that die contend for the last of them.
var fewEndpoints = settings{"VIVA_USAGE_ENDPOINTS_PER_KEY": "6"}

func TestEveryAnswerIsCountedOnceThroughCrashes(t *testing.T) {
	t.Run("one process", func(t *testing.T) {
		s := alone(t).with(metered).with(fewEndpoints)
		seed := newSeed(t)
		random := rand.New(rand.NewPCG(seed, 0))
		out := outletOf(t, s, "viva", "serve")
		marks := assortment(t, out.node.Load())
		tr := drive(t, seed, marks, out)
		for n := range 10 {
			soon(random, 1200*time.Millisecond)
			out.kill()
			out.start(t, []settings{s.with(synced), s}[n%2], "viva", "serve")
		}
		tr.more(500)
		all := tr.stop()
		out.process.stop()
		accountFor(t, openBooks(t, s, ""), marks, all)
	})
	t.Run("two api processes, and their servers", func(t *testing.T) {
		postgres, redis := testenv.PostgresServer(t), testenv.RedisServer(t)
		s := shared(t, postgres.URL(), redis.URL()).with(metered).with(fewEndpoints)
		seed := newSeed(t)
		random := rand.New(rand.NewPCG(seed, 0))
		own := []settings{s, s.with(synced).with(settings{"VIVA_DATA_DIR": t.TempDir()})}
		outs := []*outlet{outletOf(t, own[0], "api"), outletOf(t, own[1], "api")}
		marks := assortment(t, outs[0].node.Load())
		tr := drive(t, seed, marks, outs...)
		servers := []*testenv.Server{nil, postgres, nil, redis, nil, postgres, redis, nil, postgres, redis}
		for _, server := range servers {
			soon(random, time.Second)
			if server != nil {
				server.Kill()
				soon(random, 500*time.Millisecond)
			}
			n := random.IntN(len(outs))
			outs[n].kill()
			if server != nil {
				soon(random, 200*time.Millisecond)
				server.Start()
			}
			outs[n].start(t, own[n], "api")
		}
		tr.more(500)
		all := tr.stop()
		outs[0].process.stop()
		outs[1].process.stop()
		accountFor(t, openBooks(t, s, postgres.URL()), marks, all)
	})
}

// soon waits for a moment that nobody has chosen.
func soon(random *rand.Rand, most time.Duration) {
	<-time.After(time.Duration(random.Int64N(int64(most))))
}

// accountFor requires, of all that was sent and what is in the books: what was answered was counted, once, as it was
// answered; nothing else was but what was sent; and all books agree.
func accountFor(t *testing.T, b *books, marks []*mark, all []*sent) {
	t.Helper()
	test := map[string]bool{marks[2].ID: true}
	rows := b.balance(test)
	b.drained(rows)

	byID := make(map[string]*sent, len(all))
	for _, s := range all {
		byID[s.id] = s
	}
	found := make(map[string]*row, len(rows))
	units, denials := map[string]int64{}, map[[2]string]int64{}
	once := map[string]int{} // rows that count, by check_id
	for i := range rows {
		r := &rows[i]
		s := byID[r.requestID]
		require.NotNil(t, s, "nobody has sent %+v", r)
		require.Nil(t, found[r.requestID], "two rows")
		found[r.requestID] = r
		require.Equal(t, []any{s.mark.ID, s.method, s.endpoint, s.cost, kindCheck}, []any{r.key, r.method, r.endpoint, r.cost, r.kind})
		if s.answered {
			require.Equal(t, []any{s.allowed, s.code}, []any{r.allowed, r.code}, "%+v", s)
		}
		require.Equal(t, r.allowed, r.code == "ok")
		if r.allowed {
			require.Equal(t, s.cost, r.units)
		} else {
			require.Zero(t, r.units)
		}
		if r.replayed {
			require.NotEmpty(t, s.checkID)
			continue
		}
		once[s.mark.ID+s.checkID]++
		units[r.key] += r.units
		switch r.code {
		case "rate_limited", "quota_exceeded", "cost_exceeds_limit":
			denials[[2]string{r.key, r.code}]++
		}
	}
	answered, repeats := 0, 0
	decisions, unheard := map[string]int{}, map[string]int{} // by check_id
	for _, s := range all {
		switch {
		case !s.answered:
			unheard[s.mark.ID+s.checkID]++
		case !s.replayed:
			decisions[s.mark.ID+s.checkID]++
			fallthrough
		default:
			answered++
			require.NotNil(t, found[s.id], "it was answered, and is lost: %+v", s)
		}
		if s.replayed {
			repeats++
		}
	}
	for _, s := range all {
		if id := s.mark.ID + s.checkID; s.checkID != "" && unheard[id] == 0 {
			require.Equal(t, decisions[id], once[id], "decisions under %s", s.checkID)
		}
	}
	require.Positive(t, repeats)
	quotas(t, b, marks, units)
	violations(t, b, denials)
	t.Logf("%d checks sent, %d answered (%d again), %d counted of those cut off", len(all), answered, repeats, len(rows)-answered)
	require.Greater(t, answered, 2000)
}

// quotas requires that what was spent from each quota are the units of its keys.
func quotas(t *testing.T, b *books, marks []*mark, units map[string]int64) {
	t.Helper()
	spent := b.spent()
	for quota, n := range spent {
		switch quota[1] {
		case "together":
			require.Equal(t, units[marks[3].ID]+units[marks[4].ID], n, "the owner's quota")
		case "monthly":
			require.Equal(t, units[quota[0][len("key:"):]], n, "quota of %s", quota[0])
		default:
			t.Errorf("no such quota: %s", quota)
		}
	}
	require.Len(t, spent, 3)
}

// violations requires that refusals by a rule are added up to what they were.
func violations(t *testing.T, b *books, denials map[[2]string]int64) {
	t.Helper()
	type line struct {
		of [2]string
		n  int64
	}
	got := map[[2]string]int64{}
	for _, l := range read(b, "SELECT "+b.id("api_key_id")+", code, denials FROM rate_limit_violations", func(l *line) []any {
		return []any{&l.of[0], &l.of[1], &l.n}
	}) {
		got[l.of] += l.n
	}
	require.Equal(t, denials, got)
	require.NotEmpty(t, got)
}
