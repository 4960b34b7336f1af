package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Redis starts a server that writes nothing to disk.
func Redis(ctx context.Context, name, dir string, flags ...string) (*Process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server must be in PATH: %w", err)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(ctx, program{
		name: name, path: path, dir: dir, addr: addr, ready: connects,
		args: append([]string{"--bind", "127.0.0.1", "--port", port(addr), "--dir", dir, "--save", "",
			"--appendonly", "no", "--maxmemory-policy", "noeviction"}, flags...),
	})
}

// RedisCluster starts a cluster of masters that have the slots in equal parts, and returns when all agree that it
// serves.
func RedisCluster(ctx context.Context, dir string, masters int) (nodes []*Process, url string, err error) {
	defer func() {
		if err != nil {
			err, nodes = errors.Join(err, StopAll(nodes)), nil
		}
	}()
	var addrs []string
	for i := range masters {
		bus, err := freeAddr()
		if err != nil {
			return nodes, "", err
		}
		node, err := Redis(ctx, fmt.Sprintf("redis-cluster-%d", i+1), dir, "--cluster-enabled", "yes", "--cluster-port", port(bus),
			"--cluster-config-file", fmt.Sprintf("nodes-%d.conf", i+1))
		if err != nil {
			return nodes, "", err
		}
		nodes, addrs = append(nodes, node), append(addrs, node.Addr)
		if err := join(ctx, i, masters, addrs, port(bus)); err != nil {
			return nodes, "", fmt.Errorf("join the nodes of the cluster: %w", err)
		}
	}
	for _, addr := range addrs {
		if err := await(ctx, func() error { return agrees(ctx, addr, masters) }); err != nil {
			return nodes, "", err
		}
	}
	return nodes, "redis+cluster://" + strings.Join(addrs, ","), nil
}

const slots = 16384

// join gives the newest node its slots and introduces it to those before.
func join(ctx context.Context, i, masters int, addrs []string, bus string) error {
	node := redis.NewClient(&redis.Options{Addr: addrs[i]})
	defer node.Close()
	if err := node.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
		return err
	}
	if err := node.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
		return err
	}
	for _, addr := range addrs[:i] {
		other := redis.NewClient(&redis.Options{Addr: addr})
		err := other.Do(ctx, "cluster", "meet", "127.0.0.1", port(addrs[i]), bus).Err()
		if err = errors.Join(err, other.Close()); err != nil {
			return err
		}
	}
	return nil
}

// agrees tells, by no error, that to this node the cluster is whole.
func agrees(ctx context.Context, addr string, masters int) error {
	node := redis.NewClient(&redis.Options{Addr: addr})
	defer node.Close()
	info, err := node.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	for _, line := range []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", masters), fmt.Sprintf("cluster_size:%d", masters)} {
		if !strings.Contains(info, line+"\r\n") {
			return fmt.Errorf("%s does not say %s", addr, line)
		}
	}
	return nil
}

// RedisVersion asks a server.
func RedisVersion(ctx context.Context, addr string) (string, error) {
	node := redis.NewClient(&redis.Options{Addr: addr})
	defer node.Close()
	info, err := node.Info(ctx, "server").Result()
	if err != nil {
		return "", fmt.Errorf("ask for the version of Redis: %w", err)
	}
	for line := range strings.Lines(info) {
		if version, ok := strings.CutPrefix(line, "redis_version:"); ok {
			return strings.TrimSpace(version), nil
		}
	}
	return "unknown", nil
}

// StopAll stops processes, the last first.
func StopAll(all []*Process) (err error) {
	for i := len(all) - 1; i >= 0; i-- {
		err = errors.Join(err, all[i].Stop())
	}
	return err
}
