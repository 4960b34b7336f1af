package limiters

import (
	"context"

	sethvargo "github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/memorystore"

	"github.com/viva/rate-limiter/bench/workload"
)

type sethvargoStore struct{ sethvargo.Store }

func newSethvargo(c Config) (Store, error) {
	store, err := memorystore.New(&memorystore.Config{
		Tokens:        uint64(c.Limit),
		Interval:      c.Window,
		SweepInterval: c.Sweep,
		SweepMinTTL:   c.Sweep,
	})
	return sethvargoStore{store}, err
}

func (s sethvargoStore) Taker() workload.Taker { return sethvargoTaker{s.Store} }

func (s sethvargoStore) Close() error { return s.Store.Close(context.Background()) }

type sethvargoTaker struct{ store sethvargo.Store }

func (t sethvargoTaker) Take(key string) (bool, error) {
	_, _, _, ok, err := t.store.Take(context.Background(), key)
	return ok, err
}
