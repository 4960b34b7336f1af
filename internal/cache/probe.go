package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Server is what a Redis server says of itself.
type Server struct {
	Addr           string // empty for a single server
	Version        string // of Redis, or of the Redis that it is compatible with
	EvictionPolicy string // "unknown" where the server keeps it to itself
	Used, Max      int64  // bytes of memory; Max is 0 where it has no bound but the machine's
	Machine        int64  // bytes of memory of its machine; 0 where it does not tell
	AppendOnly     bool   // it keeps on disk what it is told
}

const (
	minRedis      = 7
	wantedPolicy  = "noeviction"
	unknownPolicy = "unknown"
)

// Probe asks the server, or every master of a Cluster, whether limits can be
// trusted to it: version 7 at least, writable, and evicting nothing, since an
// evicted counter gives its limit back. The error names everything that is
// wrong; what was learned is returned beside it. An unknown eviction policy is
// no error.
func Probe(ctx context.Context, client redis.UniversalClient) ([]Server, error) {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		server, err := probe(ctx, "", client)
		return []Server{server}, err
	}
	var (
		mu      sync.Mutex
		servers []Server
		wrong   []error
	)
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		addr := node.Options().Addr
		server, err := probe(ctx, addr, node)
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, server)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", addr, err))
		}
		return nil
	})
	return servers, errors.Join(append(wrong, err)...)
}

func probe(ctx context.Context, addr string, client redis.Cmdable) (Server, error) {
	text, err := client.Info(ctx).Result()
	if err != nil {
		return Server{Addr: addr}, fmt.Errorf("ask Redis about itself: %w", err)
	}
	info := parseInfo(text)
	server := Server{Addr: addr, Version: info["redis_version"], EvictionPolicy: unknownPolicy}
	if policy := info["maxmemory_policy"]; policy != "" {
		server.EvictionPolicy = policy
	}
	server.Used, server.Max, server.Machine = number(info["used_memory"]), number(info["maxmemory"]), number(info["total_system_memory"])
	server.AppendOnly = info["aof_enabled"] == "1"
	return server, server.check(info["role"])
}

func (s Server) check(role string) error {
	var wrong []error
	major, _, _ := strings.Cut(s.Version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minRedis {
		wrong = append(wrong, fmt.Errorf("the server is Redis %q; version %d or newer is needed", s.Version, minRedis))
	}
	if s.EvictionPolicy != wantedPolicy && s.EvictionPolicy != unknownPolicy {
		wrong = append(wrong, fmt.Errorf("maxmemory-policy is %s: the server may drop counters, and a limit with them; set it to %s", s.EvictionPolicy, wantedPolicy))
	}
	if role == "slave" {
		wrong = append(wrong, errors.New("the server is a replica, which cannot be written to"))
	}
	return errors.Join(wrong...)
}

// number reads what a server tells of itself; 0 where it tells nothing.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseInfo reads the answer of INFO: lines of name:value, and # comments.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}
