package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

func Example() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"127.0.0.1:6379"},
		ContextTimeoutEnabled: true, // without it no deadline is heeded
	})
	defer client.Close()
	store := redisstore.New(client, redisstore.WithNamespace("shop"))

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	req := ratelimit.Request{
		Group: "customer 42",
		Cost:  1,
		Rules: []ratelimit.Rule{{Scope: "key", ID: "k1", Name: "per-minute", Limit: 100, Window: time.Minute}},
	}
	var dec ratelimit.Decision
	if err := store.Take(ctx, &req, &dec); err != nil {
		fmt.Println("not decided:", err)
		return
	}
	fmt.Println(dec.Allowed, dec.RetryAfter())
}
