package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Skew is how far the clock of a Redis server is ahead of that of this machine,
// to within half the time that asking took.
type Skew struct {
	Addr   string // empty for a single server
	Ahead  time.Duration
	Within time.Duration
}

// Clocks compares the clock of the server, or of every master of a Cluster,
// with now.
func Clocks(ctx context.Context, client redis.UniversalClient, now func() time.Time) (list []Skew, err error) {
	var mu sync.Mutex
	ask := func(ctx context.Context, addr string, server redis.Cmdable) error {
		began := now()
		told, err := server.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("ask Redis for the time: %w", err)
		}
		skew := SkewOf(began, told, now())
		skew.Addr = addr
		mu.Lock()
		defer mu.Unlock()
		list = append(list, skew)
		return nil
	}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return ask(ctx, node.Options().Addr, node) })
		return list, err
	}
	err = ask(ctx, "", client)
	return list, err
}

// SkewOf compares a time that was told with the times around it.
func SkewOf(asked, told, heard time.Time) Skew {
	half := heard.Sub(asked) / 2
	return Skew{Ahead: told.Sub(asked.Add(half)), Within: half}
}
