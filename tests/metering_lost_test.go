//go:build journeys

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// batchLost is what a process says when it does not know whether a batch of usage is in the database.
var batchLost = regexp.MustCompile(`(?m)^.*usage waits in the journal.*"error":"[^a].*$`)

func TestACommitWhoseAnswerIsLostCountsOnce(t *testing.T) {
	for name, fault := range map[string]testenv.Fault{
		"committed": testenv.LoseReply, "not committed": testenv.LoseRequest,
	} {
		t.Run(name, func(t *testing.T) {
			database := testenv.Postgres(t)
			proxy := testenv.StartProxy(t, database)
			s := shared(t, proxy.URL(), testenv.Redis(t)).with(metered).with(fewEndpoints)
			out := outletOf(t, s, "api")
			marks := assortment(t, out.node.Load())
			tr := drive(t, newSeed(t), marks, out)
			proxy.StrikeAbout("commit", fault, 3)
			eventually(t, patience, func() error { return shortOf(proxy.Struck(), 6) })
			struck := proxy.Struck()
			proxy.Restore()
			tr.more(500)
			all := tr.stop()
			out.process.stop()
			batches := batchLost.FindAllString(out.process.output.String(), -1)
			t.Logf("of %d commits: %s; %d of them of batches", struck, fault, len(batches))
			require.Greater(t, len(batches), 2)
			accountFor(t, openBooks(t, s, database), marks, all)
		})
	}
}

func TestChecksAreCountedThatWereAnsweredWithoutTheDatabase(t *testing.T) {
	const segment = 1 << 20 // bytes, the least there is
	server := testenv.PostgresServer(t)
	s := shared(t, server.URL(), testenv.Redis(t)).with(metered).with(settings{
		"VIVA_JOURNAL_SEGMENT_BYTES": fmt.Sprint(segment), "VIVA_JOURNAL_KEEP": "1ms", "VIVA_DATABASE_QUERY_TIMEOUT": "1s",
	})
	p := start(t, s, "api")
	node := p.client()
	node.plan("unlimited")
	k := node.create(object{"name": "known", "plan": "unlimited", "rules": []object{
		{"name": "monthly", "limit": 1 << 40, "period": "month"},
	}})
	b := openBooks(t, s, server.URL())
	l := loading(t, node, k.Secret, 24)
	l.more(1000)

	server.Stop()
	lost := time.Now()
	l.more(10_000)
	<-time.After(time.Until(lost.Add(3 * time.Second)))
	back := time.Now()
	held := journalled(t, s)
	server.Start()
	l.more(500)
	l.stop()
	during := l.between(lost, back)
	require.GreaterOrEqual(t, len(during), 10_000)
	answered := len(l.soFar())
	for _, a := range l.soFar() {
		require.Equal(t, 200, a.status)
		require.True(t, a.decision.Allowed, "%+v", a)
	}
	b.becomes(int64(answered), "SELECT COALESCE(SUM(requests), 0) FROM usage_rollups")
	b.becomes(int64(answered), "SELECT COALESCE(SUM(units), 0) FROM quota_totals")
	require.Greater(t, held, 2, "segments that the database lacks")
	// One is written to, another is ready.
	eventually(t, patience, func() error {
		if n := journalled(t, s); n > 2 {
			return fmt.Errorf("%d segments are left of %d", n, held)
		}
		return nil
	})
	t.Logf("%d checks were answered in %s without the database; the journal held %d segments", len(during), back.Sub(lost), held)
	p.stop()
	b.drained(b.balance(nil))
}

// journalled gives how many segments the journal has.
func journalled(t *testing.T, s settings) (segments int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s["VIVA_DATA_DIR"], "journal"))
	require.NoError(t, err)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".seg") {
			segments++
		}
	}
	return segments
}
