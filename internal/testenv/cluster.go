package testenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384

	// How long a node is silent until the others take it for dead, in milliseconds. Shorter ones fail over sooner, and
	// on a busy machine also when nobody died.
	clusterTimeout = "1000"
)

// A Cluster is a Redis Cluster of three masters with a replica each, for one test. It has Redis's own defaults: while
// slots have no master, all of it refuses with CLUSTERDOWN. Its methods are for the goroutine that runs the test, one
// at a time.
type Cluster struct {
	tb    testing.TB
	nodes []*clusterNode // the first masters, then a replica of each in the same order
}

type clusterNode struct {
	*node
	bus *port
	id  string
}

// RedisCluster starts a cluster for this test alone, and returns when all of its nodes agree that it serves.
func RedisCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb, nodes: make([]*clusterNode, 2*clusterMasters)}
	for i := range c.nodes {
		c.nodes[i] = new(clusterNode)
	}
	tb.Cleanup(func() { c.check(each(c.nodes, (*clusterNode).remove)) })
	c.check(each(c.nodes, (*clusterNode).start))
	c.check(c.join())
	return c
}

// Addrs are where the nodes listen, dead ones too: what a client starts from.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.port.addr())
	}
	return addrs
}

// URL names all nodes, in the form that redis.ParseClusterURL reads.
func (c *Cluster) URL() string {
	addrs := c.Addrs()
	return "redis://" + addrs[0] + "?addr=" + strings.Join(addrs[1:], "&addr=")
}

// Slot is the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.tb.Helper()
	slot, err := c.alive()[0].admin.ClusterKeySlot(c.tb.Context(), key).Result()
	c.check(err)
	return int(slot)
}

// Master is the address of the master that serves the slot.
func (c *Cluster) Master(slot int) string {
	c.tb.Helper()
	master, _, err := c.serving(c.tb.Context(), slot)
	c.check(err)
	return master.port.addr()
}

// KillMaster kills the master that serves the slot, as a crash would, and returns when its replica has taken over and
// all living nodes agree that the cluster serves. What the replica had not heard of is lost.
func (c *Cluster) KillMaster(slot int) {
	c.tb.Helper()
	master, replica, err := c.serving(c.tb.Context(), slot)
	c.check(err)
	if replica == nil {
		c.tb.Fatalf("testenv: the master of slot %d has no replica left", slot)
	}
	c.check(master.kill())
	c.check(await("wait for a replica to take over", func(ctx context.Context) error {
		return c.agree(ctx, slot, replica)
	}))
}

func (c *Cluster) check(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatalf("testenv: %v", err)
	}
}

// alive are the nodes that run.
func (c *Cluster) alive() []*clusterNode {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *clusterNode) bool { return n.running == nil })
}

// serving finds the master of a slot and its replica, nil if it has none. The master is who says so itself: the others
// may not have heard of the latest move.
func (c *Cluster) serving(ctx context.Context, slot int) (master, replica *clusterNode, err error) {
	for _, n := range c.alive() {
		ids, err := n.serving(ctx, slot)
		if err != nil {
			return nil, nil, err
		}
		if ids[0] != n.id {
			continue
		}
		for _, other := range c.alive() {
			if slices.Contains(ids[1:], other.id) {
				replica = other
			}
		}
		return n, replica, nil
	}
	return nil, nil, fmt.Errorf("slot %d has no living master", slot)
}

// agree tells, by no error, that to all living nodes the cluster serves, and this slot by that master.
func (c *Cluster) agree(ctx context.Context, slot int, master *clusterNode) error {
	return each(c.alive(), func(n *clusterNode) error {
		ids, err := n.serving(ctx, slot)
		switch {
		case err != nil:
			return err
		case ids[0] != master.id:
			return fmt.Errorf("to %s the master of slot %d is another", n.port.addr(), slot)
		}
		return n.serves(ctx)
	})
}

func (n *clusterNode) start() (err error) {
	if n.bus, err = reservePort(); err != nil {
		return err
	}
	if n.node, err = startNode("--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(n.bus.number),
		"--cluster-node-timeout", clusterTimeout, "--cluster-allow-replica-migration", "no"); err != nil {
		return err
	}
	if n.id, err = n.admin.ClusterMyID(context.Background()).Result(); err != nil {
		return fmt.Errorf("ask for the node's id: %w", err)
	}
	return nil
}

func (n *clusterNode) remove() error {
	var failures []error
	if n.node != nil {
		failures = append(failures, n.node.remove())
	}
	if n.bus != nil {
		failures = append(failures, n.bus.release())
	}
	return errors.Join(failures...)
}

// serves tells, by no error, that to this node the cluster serves.
func (n *clusterNode) serves(ctx context.Context) error {
	info, err := n.admin.ClusterInfo(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask %s for the cluster: %w", n.port.addr(), err)
	}
	return has(n.node, info, []string{"cluster_state:ok"})
}
