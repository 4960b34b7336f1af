//go:build journeys

package tests

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exactly are settings under which no check gives up on Redis because this machine is busy: answers of a node on its
// own would be right, and not what is tested here.
var exactly = settings{"VIVA_RATELIMIT_STORE_TIMEOUT": "5s", "VIVA_LOG_LEVEL": "warn"}

// hourly is a window of an hour, or of some minutes more where that would turn within a minute: fixed windows begin at
// multiples of their length since 1970, and one that turns admits anew.
func hourly() string {
	window := time.Hour
	for window-time.Duration(time.Now().UnixNano())%window < time.Minute {
		window += time.Minute
	}
	return window.String()
}

func TestExactlyTheLimitIsAdmitted(t *testing.T) {
	t.Run("two api processes over one Redis", func(t *testing.T) {
		s := both(t).with(exactly)
		admitsExactly(t, start(t, s, "api").client(), start(t, s, "api").client())
	})
	t.Run("in memory", func(t *testing.T) {
		admitsExactly(t, start(t, alone(t).with(exactly), "viva", "serve").client())
	})
}

// admitsExactly hammers one key through all nodes.
func admitsExactly(t *testing.T, nodes ...*client) {
	const limit, clients, each = 1000, 64, 40
	nodes[0].plan("unlimited")
	k := nodes[0].create(object{"name": "hammered", "plan": "unlimited", "rules": []object{
		{"name": "hourly", "limit": limit, "window": hourly(), "algorithm": "fixed_window"},
	}})
	var admitted, refused atomic.Int64
	parallel(clients, func(worker int) {
		node := nodes[worker%len(nodes)]
		for range each {
			d, got, err := node.ask(object{"api_key": k.Secret})
			switch {
			case err != nil || got.status != 200 || d.Degraded:
				t.Errorf("check: %v %d %s", err, got.status, got.body)
				return
			case d.Allowed:
				admitted.Add(1)
			default:
				refused.Add(1)
			}
		}
	})
	require.EqualValues(t, limit, admitted.Load())
	require.EqualValues(t, clients*each-limit, refused.Load())
	for _, node := range nodes {
		require.Equal(t, map[string]int64{"hourly": 0}, node.check(k.Secret, 0).remaining())
	}
}

// plan makes a plan of these rules.
func (c *client) plan(name string, rules ...object) {
	c.t.Helper()
	c.call(201, "POST", "/api/v1/plans", object{"name": name, "rules": append([]object{}, rules...)})
}

func TestRefusedCallsSpendNothing(t *testing.T) {
	t.Run("two api processes over one Redis", func(t *testing.T) {
		s := both(t).with(exactly)
		spendsAllOrNothing(t, start(t, s, "api").client(), start(t, s, "api").client())
	})
	t.Run("in memory", func(t *testing.T) {
		spendsAllOrNothing(t, start(t, alone(t).with(exactly), "viva", "serve").client())
	})
}

// spendsAllOrNothing lets five keys of one owner run into three rules at once, each of which refuses some calls that
// the others would admit. What is left in the end must be what the admitted calls alone account for.
func spendsAllOrNothing(t *testing.T, nodes ...*client) {
	const keys, perKey, reads, together = 5, 60, 20, 220
	window := hourly()
	rule := func(name string, limit int, scope string) object {
		return object{"name": name, "limit": limit, "window": window, "algorithm": "fixed_window", "scope": scope}
	}
	readsOnly := rule("reads", reads, "key")
	readsOnly["methods"] = []string{"GET"}
	nodes[0].plan("three-rules", rule("together", together, "owner"), rule("per-key", perKey, "key"), readsOnly)
	nodes[0].call(201, "POST", "/api/v1/owners", object{"external_id": "acme", "plan": "three-rules"})
	secrets := make([]string, keys)
	for i := range secrets {
		secrets[i] = nodes[0].create(object{"name": fmt.Sprint("key ", i), "owner": "acme"}).Secret
	}

	type spent struct{ all, reads int64 }
	var (
		mu      sync.Mutex
		by      [keys]spent
		total   int64
		refused = map[string]int{} // by the rules that refused
	)
	parallel(32, func(worker int) {
		random := rand.New(rand.NewPCG(uint64(worker), 1))
		node := nodes[worker%len(nodes)]
		for range 30 {
			// Some keys are used more than others, so that each rule is the first to refuse some call.
			i, cost, method := min(random.IntN(keys), random.IntN(keys)), 1+random.Int64N(3), "POST"
			if random.IntN(2) == 0 {
				method = "GET"
			}
			d, got, err := node.ask(object{"api_key": secrets[i], "cost": cost, "method": method})
			if err != nil || got.status != 200 || d.Degraded {
				t.Errorf("check: %v %d %s", err, got.status, got.body)
				return
			}
			mu.Lock()
			if d.Allowed {
				by[i].all += cost
				if method == "GET" {
					by[i].reads += cost
				}
				total += cost
			} else {
				for name, left := range d.remaining() {
					if left < cost {
						refused[name]++
					}
				}
			}
			mu.Unlock()
		}
	})

	require.Positive(t, refused["together"])
	require.Positive(t, refused["per-key"])
	require.Positive(t, refused["reads"])
	for i, secret := range secrets {
		d, got, err := nodes[i%len(nodes)].ask(object{"api_key": secret, "cost": 0, "method": "GET"})
		require.NoError(t, err)
		require.Equal(t, 200, got.status)
		require.Equal(t, map[string]int64{
			"together": together - total, "per-key": perKey - by[i].all, "reads": reads - by[i].reads,
		}, d.remaining(), "key %d", i)
	}
}
