package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

// faults are all that a network does to requests and replies. Each lasts until the proxy is restored.
// Of 9 parcels one is struck: enough that a new connection mostly gets through its greetings.
var faults = map[string]func(*testenv.Proxy){
	"requests are lost":  func(p *testenv.Proxy) { p.Strike(testenv.LoseRequest, 9) },
	"requests are cut":   func(p *testenv.Proxy) { p.Strike(testenv.CutRequest, 9) },
	"replies are lost":   func(p *testenv.Proxy) { p.Strike(testenv.LoseReply, 9) },
	"replies are cut":    func(p *testenv.Proxy) { p.Strike(testenv.CutReply, 9) },
	"replies never come": func(p *testenv.Proxy) { p.Strike(testenv.HoldReply, 9) },
	"replies are late":   func(p *testenv.Proxy) { p.Delay(3 * time.Millisecond) },
	"replies are late, others lost": func(p *testenv.Proxy) {
		p.Delay(2 * time.Millisecond)
		p.Strike(testenv.LoseReply, 9)
	},
	"replies are late, requests lost": func(p *testenv.Proxy) {
		p.Delay(2 * time.Millisecond)
		p.Strike(testenv.LoseRequest, 9)
	},
}

const (
	errandCallers = 16
	errandsEach   = 12
	errandTimeout = 40 * time.Millisecond // an eighth to the double: from less than late replies take
)

// An errand is one take through the faulty network, from counters of its own and from others that all share: what it
// is told, and what became of it, is known of each by itself.
type errand struct {
	own     []ratelimit.Rule // of every algorithm
	req     ratelimit.Request
	timeout time.Duration
	took    time.Duration
	dec     ratelimit.Decision
	err     error
}

// errands are as many as callers times each. Those with an ID can be repeated.
func errands(shared []ratelimit.Rule, identified bool) []*errand {
	all := make([]*errand, errandCallers*errandsEach)
	for i := range all {
		e := &errand{own: everyAlgorithm("errand", fmt.Sprint(i), 1000)}
		e.req = ratelimit.Request{Group: "errands", Cost: int64(1 + i%97), Rules: append(e.own[i%4:i%4+1:i%4+1], shared...)}
		e.own = e.req.Rules[:1]
		e.timeout = errandTimeout * time.Duration(1+i%16) / 8
		if identified {
			e.req.ID = fmt.Sprint("errand ", i)
		}
		all[i] = e
	}
	return all
}

// run does the errands, many at a time.
func run(all []*errand, do func(*errand)) {
	var callers sync.WaitGroup
	for c := range errandCallers {
		callers.Go(func() {
			for i := range errandsEach {
				do(all[c+i*errandCallers])
			}
		})
	}
	callers.Wait()
}

func (e *errand) take(store ratelimit.Store) {
	ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
	defer cancel()
	begun := time.Now()
	e.err = store.Take(ctx, &e.req, &e.dec)
	e.took = time.Since(begun)
}

// outcomes are what each errand spent in truth, by a look past the faults.
func outcomes(t *testing.T, store ratelimit.Store, all []*errand) []int64 {
	t.Helper()
	var units []int64
	for rest := all; len(rest) > 0; {
		n := min(len(rest), ratelimit.MaxRules)
		var rules []ratelimit.Rule
		for _, e := range rest[:n] {
			rules = append(rules, e.own...)
		}
		units = append(units, spent(t, store, "errands", rules)...)
		rest = rest[n:]
	}
	return units
}

// A network is a proxy, a store behind it and one past it.
type network struct {
	proxy         *testenv.Proxy
	store, direct ratelimit.Store
	admin         *redis.Client
	name          string // of the connections through the proxy
}

func newNetwork(t *testing.T) *network {
	url := testenv.Redis(t)
	n := &network{proxy: testenv.StartProxy(t, url), admin: connect(t, url), name: rand.Text()}
	options, err := redis.ParseURL(n.proxy.URL())
	require.NoError(t, err)
	options.ContextTimeoutEnabled, options.ClientName = true, n.name
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	n.store, n.direct = redisstore.New(client, still()), redisstore.New(n.admin, still())
	take(t, n.store, request())
	return n
}

// settle returns when the server has done all that was sent to it through the proxy. Requests whose callers have given
// up may be on their way for longer.
func (n *network) settle(t *testing.T) {
	t.Helper()
	n.proxy.Cut()
	require.Eventually(t, func() bool {
		clients, err := n.admin.ClientList(context.Background()).Result()
		return err == nil && !strings.Contains(clients, "name="+n.name)
	}, time.Minute, time.Millisecond)
	n.proxy.Restore()
}

func TestWhateverTheNetworkDoesATakeRunsAtMostOnce(t *testing.T) {
	for name, strike := range faults {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			shared := everyAlgorithm("all", "all", 5000) // about half of what is asked
			all := errands(shared, false)
			strike(n.proxy)
			run(all, func(e *errand) { e.take(n.store) })
			n.settle(t)

			var answered, unknown, truth int64
			var failed int
			for i, units := range outcomes(t, n.direct, all) {
				e := all[i]
				truth += units
				switch {
				case errors.Is(e.err, context.DeadlineExceeded) && !errors.Is(e.err, ratelimit.ErrUnavailable):
					require.Zero(t, units, "it was over before it began")
				case e.err != nil:
					require.ErrorIs(t, e.err, ratelimit.ErrUnavailable)
					require.False(t, e.dec.Allowed)
					require.Less(t, e.took, e.timeout+slack)
					require.Contains(t, []int64{0, e.req.Cost}, units, "at most once")
					unknown += e.req.Cost
					failed++
				case e.dec.Allowed:
					require.Equal(t, e.req.Cost, units)
					require.Equal(t, e.own[0].Limit-e.req.Cost, e.dec.Results[0].Remaining, "it is this take's answer")
					answered += e.req.Cost
				default:
					require.Zero(t, units, "a refusal spends nothing")
				}
			}
			for _, units := range spent(t, n.direct, "errands", shared) {
				require.Equal(t, truth, units, "from all rules or from none")
				require.LessOrEqual(t, units, shared[0].Limit)
			}
			require.LessOrEqual(t, answered, truth)
			require.LessOrEqual(t, truth, answered+unknown)
			require.Positive(t, failed)
			require.Less(t, failed, len(all))
			t.Logf("%d of %d failed; %d units answered, %d spent", failed, len(all), answered, truth)
		})
	}
}

const patience = 12 // tries, each twice as long as the one before

func TestWhateverTheNetworkDoesARepeatedTakeAndRefundCountOnce(t *testing.T) {
	for name, strike := range faults {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			shared := everyAlgorithm("all", "all", 5000)
			all := errands(shared, true)
			strike(n.proxy)
			run(all, func(e *errand) {
				for range patience {
					if e.take(n.store); e.err == nil {
						return
					}
					e.timeout *= 2
				}
			})
			n.settle(t)
			var answered int64
			for i, units := range outcomes(t, n.direct, all) {
				e := all[i]
				require.NoError(t, e.err)
				if e.dec.Allowed {
					answered += e.req.Cost
					require.Equal(t, e.req.Cost, units)
				} else {
					require.Zero(t, units)
				}
			}
			require.Positive(t, answered)
			for _, units := range spent(t, n.direct, "errands", shared) {
				require.Equal(t, answered, units)
			}

			strike(n.proxy)
			run(all, func(e *errand) {
				for tries := 0; tries < patience && e.dec.Allowed; tries++ {
					ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
					e.err = n.store.Refund(ctx, e.dec.Receipt("errands"), e.req.Cost)
					cancel()
					if e.err == nil || errors.Is(e.err, ratelimit.ErrRefunded) {
						e.err = nil
						return
					}
					e.timeout *= 2
				}
			})
			n.settle(t)
			for _, e := range all {
				require.NoError(t, e.err)
			}
			require.Equal(t, make([]int64, len(all)), outcomes(t, n.direct, all))
			require.Equal(t, make([]int64, len(shared)), spent(t, n.direct, "errands", shared), "each refund once")
		})
	}
}
