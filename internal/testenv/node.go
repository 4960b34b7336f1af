package testenv

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A node is one Redis server of several, with a connection to manage it by.
type node struct {
	*process
	admin *redis.Client
}

// By default a replica waits seconds for others that may want the same copy, and is not listed before it has heard from
// its master after that, at the latest with the next ping.
var promptly = []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}

// startNode starts a server of the machine's newest program.
func startNode(flags ...string) (*node, error) {
	p, err := startRedis(slices.Concat(promptly, flags)...)
	if err != nil {
		return nil, err
	}
	admin, err := redisClient(p.url)
	if err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return &node{process: p, admin: admin}, nil
}

func (n *node) remove() error { return errors.Join(n.admin.Close(), n.process.remove()) }

// A replica that has its copy may get what changes after it only a second later, with its first acknowledgment.
var feeds = regexp.MustCompile(`state=online,offset=[1-9]`)

// replicates tells, by no error, that the node is a master and what is written to it reaches its replica.
func (n *node) replicates(ctx context.Context) error {
	info, err := n.admin.Info(ctx, "replication").Result()
	if err != nil {
		return fmt.Errorf("ask %s for its replicas: %w", n.port.addr(), err)
	}
	if !feeds.MatchString(info) {
		return fmt.Errorf("%s feeds no replica", n.port.addr())
	}
	return nil
}

// says tells, by no error, that a section of the node's INFO has these lines.
func (n *node) says(ctx context.Context, section string, lines ...string) error {
	info, err := n.admin.Info(ctx, section).Result()
	if err != nil {
		return fmt.Errorf("ask %s for its state: %w", n.port.addr(), err)
	}
	return has(n, info, lines)
}

func has(n *node, info string, lines []string) error {
	for _, line := range lines {
		if !strings.Contains(info, line+"\r\n") {
			return fmt.Errorf("%s does not say %s", n.port.addr(), line)
		}
	}
	return nil
}
