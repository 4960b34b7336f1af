//go:build journeys

package tests

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// promised is how soon a revocation holds everywhere.
const promised = time.Second

func TestARevokedKeyIsRefusedEverywhereWithinASecond(t *testing.T) {
	// The second node has ways of its own to the database and to Redis, so that each can fail for it alone.
	s := both(t)
	database, redis := testenv.StartProxy(t, s["VIVA_DATABASE_URL"]), testenv.StartProxy(t, s["VIVA_REDIS_URL"])
	here := start(t, s, "api").client()
	there := start(t, s.with(settings{"VIVA_DATABASE_URL": database.URL(), "VIVA_REDIS_URL": redis.URL()}), "api").client()

	for _, fault := range []struct {
		name    string
		begin   func()
		refusal string // what the other node says
	}{
		{"in good order", func() {}, "key_revoked"},
		{"while the other node has lost Redis", redis.Cut, "key_revoked"},
		{"while Redis swallows what the other node says", redis.Blackhole, "key_revoked"},
		{"while the other node's way to the database is slow", func() { database.Delay(150 * time.Millisecond) }, "key_revoked"},
		// It hears that the key has changed, and cannot find out how.
		{"while the other node has lost the database", database.Cut, "store_unavailable"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			here, there := here.in(t), there.in(t)
			keys := make([]key, 8)
			for i := range keys {
				keys[i] = here.create(object{"name": "to be revoked"})
				eventually(t, patience, func() error { return there.says("ok", keys[i].Secret) }) // it is in the cache there
			}
			fault.begin()
			t.Cleanup(func() { redis.Restore(); database.Restore() })
			var slowest time.Duration
			for _, k := range keys {
				here.call(http.StatusOK, "POST", "/api/v1/keys/"+k.ID+"/revoke", nil)
				slowest = max(slowest, there.refuses(fault.refusal, k.Secret, time.Now()))
			}
			t.Logf("calls asked %s after a revocation were refused by the other node", slowest)
			for _, k := range keys {
				d, got, err := there.ask(object{"api_key": k.Secret, "cost": 0})
				require.NoError(t, err)
				require.False(t, d.Allowed, "it stays so: %s", got.body)
			}
		})
	}
}

// refuses asks until a key is refused, and tells how long after its revocation that call was asked.
func (c *client) refuses(code, secret string, revoked time.Time) time.Duration {
	c.t.Helper()
	for {
		asked := time.Since(revoked)
		d, got, err := c.ask(object{"api_key": secret, "cost": 0})
		require.NoError(c.t, err)
		if !d.Allowed {
			require.Equal(c.t, code, into[problem](c.t, got).Code, "%s", got.body)
			require.Less(c.t, asked, promised)
			return asked
		}
		require.Less(c.t, asked, promised, "%s", got.body)
	}
}

// A node reads a key while it is being revoked, and may have read it before the revocation and keep it after: at every
// moment of a slow load another key is revoked.
func TestARevocationInTheMiddleOfALoadHolds(t *testing.T) {
	s := both(t)
	database := testenv.StartProxy(t, s["VIVA_DATABASE_URL"])
	here, there := start(t, s, "api").client(), start(t, s.with(settings{"VIVA_DATABASE_URL": database.URL()}), "api").client()
	here.plan("unlimited")
	keys := make([]key, 12)
	for i := range keys {
		keys[i] = here.create(object{"name": "never seen there", "plan": "unlimited"})
	}
	require.NoError(t, there.says("key_malformed", "viva_live_x")) // what loads need beside keys is there
	database.Delay(50 * time.Millisecond)
	parallel(len(keys), func(i int) {
		var load sync.WaitGroup
		load.Go(func() {
			if _, _, err := there.ask(object{"api_key": keys[i].Secret, "cost": 0}); err != nil {
				t.Errorf("check: %v", err)
			}
		})
		<-time.After(time.Duration(i) * 25 * time.Millisecond)
		if err := here.answers(http.StatusOK, "POST", "/api/v1/keys/"+keys[i].ID+"/revoke"); err != nil {
			t.Error(err)
		}
		load.Wait()
	})
	revoked := time.Now()
	for _, k := range keys {
		there.refuses("key_revoked", k.Secret, revoked)
	}
	<-time.After(time.Until(revoked.Add(promised)))
	for _, k := range keys {
		require.NoError(t, there.says("key_revoked", k.Secret), "it stays so")
	}
}

func TestARevocationHoldsUnderLoad(t *testing.T) {
	s := both(t).with(settings{"VIVA_LOG_LEVEL": "warn"})
	here, there := start(t, s, "api").client(), start(t, s, "api").client()
	here.plan("unlimited")
	k := here.create(object{"name": "in use", "plan": "unlimited"})
	eventually(t, patience, func() error { return there.says("ok", k.Secret) })

	type asked struct {
		at      time.Time
		allowed bool
	}
	var (
		mu      sync.Mutex
		answers []asked
		done    = make(chan struct{})
		loading sync.WaitGroup
	)
	loading.Go(func() {
		parallel(16, func(worker int) {
			node := []*client{here, there}[worker%2]
			for {
				select {
				case <-done:
					return
				default:
				}
				a := asked{at: time.Now()}
				d, got, err := node.ask(object{"api_key": k.Secret})
				if err != nil || got.status != http.StatusOK {
					t.Errorf("check: %v %d %s", err, got.status, got.body)
					return
				}
				a.allowed = d.Allowed
				mu.Lock()
				answers = append(answers, a)
				mu.Unlock()
			}
		})
	})
	enough := func(more int) {
		mu.Lock()
		want := len(answers) + more
		mu.Unlock()
		eventually(t, patience, func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(answers) < want {
				return fmt.Errorf("%d of %d answers", len(answers), want)
			}
			return nil
		})
	}
	enough(500)
	here.call(http.StatusOK, "POST", "/api/v1/keys/"+k.ID+"/revoke", nil)
	revoked := time.Now()
	<-time.After(promised) // what is asked from now on must be refused
	enough(500)
	close(done)
	loading.Wait()

	var last time.Duration // from the revocation to the last call that was admitted
	before, after := 0, 0
	for _, a := range answers {
		switch since := a.at.Sub(revoked); {
		case a.allowed:
			before++
			last = max(last, since)
		case since > 0:
			after++
		}
	}
	require.Greater(t, before, 500)
	require.Greater(t, after, 500)
	require.Less(t, last, promised)
	t.Logf("the last call admitted was asked %s after the revocation; %d were refused", last, after)
}

func TestWhatTheCommandLineRevokesIsRefusedWithinASecond(t *testing.T) {
	stacks := map[string]func(t *testing.T) (s settings, served, told *process){
		"sqlite": func(t *testing.T) (settings, *process, *process) {
			s := alone(t)
			p := start(t, s, "viva", "serve")
			return s, p, p
		},
		"postgres and redis": func(t *testing.T) (settings, *process, *process) {
			s := both(t)
			return s, start(t, s, "api"), start(t, s, "api")
		},
	}
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			s, p, told := stack(t)
			admin := p.client()
			made := into[struct{ ID, Token string }](t, admin.call(http.StatusCreated, "POST", "/api/v1/admin/tokens",
				object{"name": "operator", "role": "operator"}))
			operator := admin.as(made.Token)
			operator.call(http.StatusOK, "GET", "/api/v1/whoami", nil)
			k := admin.create(object{"name": "to be revoked"})
			require.NoError(t, admin.says("ok", k.Secret))

			code, said := run(t, s, "viva", "tokens", "revoke", made.ID) // through the database
			revoked := time.Now()
			require.Equal(t, 0, code, said)
			require.Contains(t, said, "operator")
			eventually(t, promised, func() error { return operator.answers(http.StatusUnauthorized, "GET", "/api/v1/whoami") })
			t.Logf("a token was refused %s after the command", time.Since(revoked))

			code, said = run(t, settings{"VIVA_SERVER": told.url, "VIVA_TOKEN_FILE": written(t, admin.token)}, "viva", "keys", "revoke", k.ID)
			revoked = time.Now()
			require.Equal(t, 0, code, said)
			require.Contains(t, said, "to be revoked")
			t.Logf("a key was refused %s after the command", admin.refuses("key_revoked", k.Secret, revoked))
		})
	}
}
