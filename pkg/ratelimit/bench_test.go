package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// BenchmarkMemory takes from random ones of so many counters, all there before
// the clock starts. What others cost beside it is measured in bench/.
func BenchmarkMemory(b *testing.B) {
	for _, keys := range []int{1_000, 100_000, 1_000_000} {
		store := ratelimit.NewMemory()
		groups := make([]string, keys)
		for i := range groups {
			groups[i] = "customer " + strconv.Itoa(i)
		}
		rules := []ratelimit.Rule{{Scope: "key", ID: "k", Name: "per-minute", Limit: 1 << 30, Window: time.Minute}}
		var dec ratelimit.Decision
		for _, group := range groups {
			_ = store.Take(context.Background(), &ratelimit.Request{Group: group, Cost: 1, Rules: rules}, &dec)
		}
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var dec ratelimit.Decision
				req := ratelimit.Request{Cost: 1, Rules: rules}
				random := rand.New(rand.NewPCG(rand.Uint64(), 0))
				for pb.Next() {
					req.Group = groups[random.IntN(keys)]
					if err := store.Take(context.Background(), &req, &dec); err != nil || !dec.Allowed {
						b.Fatal(err, dec)
					}
				}
			})
		})
	}
}

// BenchmarkAlgorithms takes from one counter at a time.
func BenchmarkAlgorithms(b *testing.B) {
	for _, limit := range []int64{1, 10_000} {
		for a := range ratelimit.SlidingLog + 1 {
			rule := ratelimit.Rule{Scope: "key", ID: "k", Name: "n", Algorithm: a, Limit: limit, Window: time.Second}
			b.Run(fmt.Sprintf("%v/%d", a, limit), func(b *testing.B) {
				store := ratelimit.NewMemory()
				req := ratelimit.Request{Group: "g", Cost: 1, Rules: []ratelimit.Rule{rule}}
				var dec ratelimit.Decision
				for b.Loop() {
					if err := store.Take(context.Background(), &req, &dec); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
