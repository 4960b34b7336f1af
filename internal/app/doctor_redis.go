package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/queue"
)

// Shares of Redis's memory, in percent. Without eviction, a full Redis refuses
// to count.
const (
	memoryWarned = 80
	memoryFailed = 95
)

// limitStore opens the Redis that limits are counted in, and looks at each of
// its masters.
func (d *Doctor) limitStore(ctx context.Context, r *report) error {
	if d.cfg.Redis.URL == "" {
		r.say("not in use: limits are in the memory of `viva serve`")
		return nil
	}
	client, told, err := d.probe(ctx, r, "redis.url", d.cfg.Redis)
	if err != nil {
		return err
	}
	d.redis = client
	r.say("%s", told)
	return nil
}

// probe opens Redis and judges each master. It fails where one is out of reach.
func (d *Doctor) probe(ctx context.Context, r *report, setting string, settings config.Redis) (_ redis.UniversalClient, told string, err error) {
	r.remedy = "start Redis, or set " + setting + " (now " + settings.URL.String() + ")"
	client, err := openRedis(setting, &settings)
	if err != nil {
		return nil, "", err
	}
	began := d.now()
	servers, wrong := cache.Probe(ctx, client)
	took := d.now().Sub(began)
	lost := len(servers) == 0
	for _, s := range servers {
		lost = lost || s.Version == ""
	}
	if lost {
		r.missing = "Redis is out of reach"
		_ = client.Close() // it was of no use
		return nil, "", wrong
	}
	parts := make([]string, len(servers))
	for i, s := range servers {
		parts[i] = judgeServer(r, s, setting)
	}
	if wrong != nil && len(r.findings) == 0 { // a replica, or a version too old
		r.fail("name Redis 7 or newer in "+setting+", and its master", "%v", wrong)
	}
	return client, fmt.Sprintf("%s, answered in %s", strings.Join(parts, "; "), took.Round(time.Microsecond)), nil
}

func judgeServer(r *report, s cache.Server, setting string) string {
	name, cli := "Redis "+s.Version, "redis-cli"
	if s.Addr != "" {
		name += " at " + s.Addr
		if host, port, ok := strings.Cut(s.Addr, ":"); ok {
			cli += " -h " + host + " -p " + port
		}
	}
	if s.EvictionPolicy != "noeviction" && s.EvictionPolicy != "unknown" {
		r.fail(cli+" CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
			"%s: maxmemory-policy is %s: it may drop counters, and a limit with them", name, s.EvictionPolicy)
	}
	bound, advice := s.Max, cli+" CONFIG SET maxmemory to more, and the same in redis.conf"
	if bound == 0 {
		bound, advice = s.Machine, "give the machine of "+setting+" more memory"
	}
	if bound > 0 {
		switch share := s.Used * 100 / bound; {
		case share >= memoryFailed:
			r.fail(advice, "%s uses %d %% of %s: limits can soon not be counted", name, share, bytesText(uint64(bound)))
		case share >= memoryWarned:
			r.warn(advice, "%s uses %d %% of %s", name, share, bytesText(uint64(bound)))
		}
	}
	kept := "keeps nothing on disk (appendonly no): a restart starts windows anew"
	if s.AppendOnly {
		kept = "appendonly yes"
	}
	return fmt.Sprintf("%s, %s, %s of %s in use, %s", name, s.EvictionPolicy, bytesText(uint64(s.Used)), bytesText(uint64(bound)), kept)
}

func (d *Doctor) redisClock(ctx context.Context, r *report) error {
	if d.redis == nil {
		r.say("not in use: limits are in the memory of `viva serve`")
		return nil
	}
	list, err := cache.Clocks(ctx, d.redis, d.now)
	if err != nil {
		return err
	}
	var parts []string
	for _, s := range list {
		whose := "the clock of Redis"
		if s.Addr != "" {
			whose += " at " + s.Addr
		}
		parts = append(parts, judgeClock(r, whose, s))
	}
	r.say("the difference is %s", strings.Join(parts, "; "))
	return nil
}

// queues opens what jobs stand in, and looks for queues that are paused.
func (d *Doctor) queues(ctx context.Context, r *report) error {
	if d.cfg.Redis.URL == "" {
		r.say("in the memory of `viva serve`: `viva queues list` asks it")
		return nil
	}
	client := d.redis
	r.say("no queue is paused")
	if d.cfg.Queue.RedisURL != "" {
		settings := d.cfg.Redis
		settings.URL = d.cfg.Queue.RedisURL
		opened, told, err := d.probe(ctx, r, "queue.redis_url", settings)
		if err != nil {
			return err
		}
		client, d.queue = opened, opened
		r.say("%s; no queue is paused", told)
	} else if client == nil {
		r.add(NotChecked, "", "not checked: Redis is out of reach")
		return nil
	}
	paused, err := queue.NewInspector(client, d.cfg.Redis.Namespace).Paused(ctx)
	if err != nil {
		return err
	}
	for _, name := range paused {
		r.warn("viva queues resume "+name, "the queue %s is paused: its jobs wait", name)
	}
	return nil
}
