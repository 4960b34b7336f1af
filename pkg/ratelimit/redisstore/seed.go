package redisstore

import (
	"context"
	"fmt"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Seed raises counters; see ratelimit.Store.
func (s *Store) Seed(ctx context.Context, name string, seeds []ratelimit.Seeding) error {
	if err := ratelimit.ValidateSeed(name, seeds); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	group := s.group(name)
	keys := make([]string, 0, len(seeds))
	var packed, used []byte
	for i := range seeds {
		seed := &seeds[i]
		ticks := compile(&seed.Rule)
		keys = append(keys, group.counter(&ticks, &seed.Rule))
		packed = appendRule(packed, &ticks, seed.Start.UnixMicro()/ticks.Tick)
		used = appendNumber(used, seed.Used)
	}
	if _, err := s.run(ctx, seedScript, group, keys, s.now(), len(seeds), packed, used); err != nil {
		return fmt.Errorf("seed: %w: %w", ratelimit.ErrUnavailable, err)
	}
	return nil
}
