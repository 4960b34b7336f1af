//go:build journeys

package tests

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

func TestPostgresLostUnderLoad(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		server := testenv.PostgresServer(t)
		losesPostgres(t, server.URL(), server.Kill, server.Start)
	})
	t.Run("silent", func(t *testing.T) {
		proxy := testenv.StartProxy(t, testenv.Postgres(t))
		losesPostgres(t, proxy.URL(), proxy.Blackhole, proxy.Restore)
	})
}

func losesPostgres(t *testing.T, database string, lose, find func()) {
	const queryTimeout, txTimeout = time.Second, 5 * time.Second
	s := shared(t, database, testenv.Redis(t)).with(settings{
		"VIVA_LOG_LEVEL": "debug", "VIVA_DATABASE_QUERY_TIMEOUT": queryTimeout.String(),
	})
	p := start(t, s, "api")
	node, other := p.client(), start(t, s, "api").client()
	node.plan("unlimited")
	known := node.create(object{"name": "known", "plan": "unlimited"})
	unseen := node.create(object{"name": "unseen", "plan": "unlimited"})
	l := loading(t, node, known.Secret, 3)
	l.degraded(false)
	made := creating(t, node, other)
	made.more(20)

	lose()
	lost := time.Now()
	keys := made.stop()
	<-time.After(time.Until(lost.Add(2500 * time.Millisecond))) // by now nobody can tell whether keys have changed
	served := p.served(lost, time.Now())
	during := l.between(lost, time.Now())
	unavailable := func(within time.Duration, method, path string, body any) {
		t.Helper()
		asked := time.Now()
		got := node.call(http.StatusServiceUnavailable, method, path, body)
		require.Less(t, time.Since(asked), within+time.Second)
		require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
		require.Equal(t, "store_unavailable", into[problem](t, got).Code)
	}
	unavailable(queryTimeout, "POST", "/api/v1/validate", object{"api_key": unseen.Secret})
	unavailable(queryTimeout, "GET", "/api/v1/keys", nil)
	unavailable(txTimeout, "POST", "/api/v1/keys", object{"name": "impossible"})
	require.NoError(t, node.says("key_malformed", "viva_live_garbage"))
	got := node.call(http.StatusServiceUnavailable, "GET", "/health/ready", nil)
	require.Contains(t, string(got.body), `"name":"database","status":"unavailable"`)
	node.call(http.StatusOK, "GET", "/health/live", nil)

	find()
	for _, c := range []*client{node, other} {
		eventually(t, patience, func() error { return c.answers(http.StatusOK, "GET", "/health/ready") })
		eventually(t, patience, func() error { return c.says("ok", unseen.Secret) })
	}
	l.more(50)
	l.stop()
	var slowest time.Duration
	for _, a := range during {
		require.True(t, a.decision.Allowed, "%+v", a)
		require.False(t, a.decision.Degraded)
		slowest = max(slowest, a.took)
	}
	longest := waits(t, served, 3*storeTimeout) // the token, the keyspaces and the key are each read anew
	t.Logf("a check of a known key took the process at most %s, its client %s; of %d", longest, slowest, len(during))
	require.Greater(t, len(during), 500)

	require.NotEmpty(t, keys)
	for _, k := range keys {
		require.NoError(t, other.says("ok", k.Secret), "what was answered is there")
	}
	node.call(http.StatusOK, "POST", "/api/v1/keys/"+known.ID+"/revoke", nil)
	other.refuses("key_revoked", known.Secret, time.Now())
}

// A creation makes keys until it is stopped, and remembers those it was promised.
type creation struct {
	t       *testing.T
	done    chan struct{}
	clients sync.WaitGroup

	mu   sync.Mutex
	keys []key
}

// creating begins to make keys through the nodes. Calls that fail are no concern of it.
func creating(t *testing.T, nodes ...*client) *creation {
	c := &creation{t: t, done: make(chan struct{})}
	c.clients.Go(func() {
		parallel(2*len(nodes), func(worker int) {
			for {
				select {
				case <-c.done:
					return
				default:
				}
				got, err := nodes[worker%len(nodes)].send("POST", "/api/v1/keys", object{"name": "one of many"})
				if err != nil || got.status != http.StatusCreated {
					continue
				}
				c.mu.Lock()
				c.keys = append(c.keys, into[key](t, got))
				c.mu.Unlock()
			}
		})
	})
	t.Cleanup(func() { c.stop() })
	return c
}

// more waits for so many keys more.
func (c *creation) more(keys int) {
	c.t.Helper()
	c.mu.Lock()
	want := len(c.keys) + keys
	c.mu.Unlock()
	eventually(c.t, patience, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		return shortOf(len(c.keys), want)
	})
}

// stop ends it and gives the keys that were answered.
func (c *creation) stop() []key {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
	c.clients.Wait()
	return c.keys
}
