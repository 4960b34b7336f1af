package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// SentinelMaster is the name under which a [Sentinel] knows its master.
const SentinelMaster = "main"

// A Sentinel is a Redis Sentinel that watches a master with one replica, for one test. Its methods are for the
// goroutine that runs the test, one at a time.
type Sentinel struct {
	tb              testing.TB
	master, replica *node
	process         *process
}

// One sentinel decides alone. A second is short enough to wait for, and long enough for a master on a busy machine not
// to be taken for dead.
const sentinelConfig = `
bind 127.0.0.1
port %d
dir %q
sentinel monitor ` + SentinelMaster + ` 127.0.0.1 %d 1
sentinel down-after-milliseconds ` + SentinelMaster + ` 1000
sentinel failover-timeout ` + SentinelMaster + ` 10000
`

// RedisSentinel starts a master, its replica and a sentinel for this test alone, and returns when a failover would
// succeed.
func RedisSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	s := &Sentinel{tb: tb}
	tb.Cleanup(func() { s.check(s.remove()) })
	s.check(s.start())
	return s
}

// Addr is where the sentinel listens: what a client starts from.
func (s *Sentinel) Addr() string { return s.process.port.addr() }

// KillMaster kills the master, as a crash would, and returns when its replica has taken over. What the replica had not
// heard of is lost. It can be done once.
func (s *Sentinel) KillMaster() {
	s.tb.Helper()
	s.check(s.master.kill())
	s.check(await("wait for the replica to take over", func(ctx context.Context) error {
		if err := s.names(ctx, s.replica); err != nil {
			return err
		}
		return s.replica.says(ctx, "replication", "role:master")
	}))
}

func (s *Sentinel) check(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatalf("testenv: %v", err)
	}
}

func (s *Sentinel) start() (err error) {
	if s.master, err = startNode(); err != nil {
		return err
	}
	if s.replica, err = startNode("--replicaof", "127.0.0.1 "+fmt.Sprint(s.master.port.number)); err != nil {
		return err
	}
	if err := await("wait for the replica", s.master.replicates); err != nil {
		return err
	}
	if s.process, err = startSentinel(s.master.port.number); err != nil {
		return err
	}
	return await("wait for the sentinel", s.knowsReplica)
}

func startSentinel(master int) (*process, error) {
	program, err := newest("redis-server", 7)
	if err != nil {
		return nil, err
	}
	p, err := prepareRedis()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(p.folder, "sentinel.conf") // where the sentinel keeps its state
	text := fmt.Sprintf(sentinelConfig, p.port.number, p.folder, master)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("configure the sentinel: %w", err), p.remove())
	}
	return p.launch(func() *exec.Cmd { return exec.Command(program, config, "--sentinel") })
}

func (s *Sentinel) remove() error {
	var failures []error
	for _, n := range []*node{s.master, s.replica} {
		if n != nil {
			failures = append(failures, n.remove())
		}
	}
	if s.process != nil {
		failures = append(failures, s.process.remove())
	}
	return errors.Join(failures...)
}

func (s *Sentinel) ask(use func(*redis.SentinelClient) error) error {
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr()})
	return errors.Join(use(client), client.Close())
}

// names tells, by no error, that to the sentinel this node is the master.
func (s *Sentinel) names(ctx context.Context, n *node) error {
	return s.ask(func(client *redis.SentinelClient) error {
		addr, err := client.GetMasterAddrByName(ctx, SentinelMaster).Result()
		if err != nil {
			return fmt.Errorf("ask the sentinel for the master: %w", err)
		}
		if addr[1] != fmt.Sprint(n.port.number) {
			return fmt.Errorf("to the sentinel the master is another than %s", n.port.addr())
		}
		return nil
	})
}

func (s *Sentinel) knowsReplica(ctx context.Context) error {
	return s.ask(func(client *redis.SentinelClient) error {
		replicas, err := client.Replicas(ctx, SentinelMaster).Result()
		if err != nil {
			return fmt.Errorf("ask the sentinel for replicas: %w", err)
		}
		if len(replicas) != 1 || replicas[0]["flags"] != "slave" || replicas[0]["master-link-status"] != "ok" {
			return errors.New("the sentinel knows of no good replica")
		}
		return nil
	})
}
