package testenv

import (
	"context"
	"fmt"
	"slices"
)

// join makes a cluster of the nodes, with the slots in equal parts. All meet all: news of one another would take
// seconds to get around.
func (c *Cluster) join() error {
	ctx, cancel := context.WithTimeout(c.tb.Context(), readyWithin)
	defer cancel()
	masters, replicas := c.nodes[:clusterMasters], c.nodes[clusterMasters:]
	for i, n := range c.nodes {
		if err := n.admin.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			return fmt.Errorf("number the nodes: %w", err)
		}
		for _, other := range c.nodes[:i] {
			if err := n.admin.Do(ctx, "cluster", "meet", "127.0.0.1", other.port.number, other.bus.number).Err(); err != nil {
				return fmt.Errorf("introduce the nodes: %w", err)
			}
		}
	}
	for i, n := range masters {
		first, next := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters
		if err := n.admin.ClusterAddSlotsRange(ctx, first, next-1).Err(); err != nil {
			return fmt.Errorf("deal out the slots: %w", err)
		}
	}
	for i, n := range replicas {
		if err := await("make a replica", func(ctx context.Context) error {
			return n.admin.ClusterReplicate(ctx, masters[i].id).Err() // fails until they have met
		}); err != nil {
			return err
		}
	}
	return await("wait for the cluster", c.whole)
}

// whole tells, by no error, that all replicas follow, and all nodes know of all.
func (c *Cluster) whole(ctx context.Context) error {
	return each(c.nodes, func(n *clusterNode) error {
		if err := n.serves(ctx); err != nil {
			return err
		}
		for i, master := range c.nodes[:clusterMasters] {
			ids, err := n.serving(ctx, i*clusterSlots/clusterMasters)
			if err != nil {
				return err
			}
			if len(ids) != 2 || ids[0] != master.id {
				return fmt.Errorf("to %s %s has no replica yet", n.port.addr(), master.port.addr())
			}
			if n == master {
				if err := n.replicates(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Move hands the slot to another master while both serve, as redis-cli --cluster reshard does, key by key.
//
// It begins when all nodes know of the latest move. A node that takes a slot over makes itself the latest to have
// configured anything, as far as it knows; were the giver's own latest move still on its way to it, that would take
// the slot from it again, and the keys would be gone.
func (c *Cluster) Move(slot int) {
	c.tb.Helper()
	c.check(await("wait until the nodes agree", c.settled))
	ctx, cancel := context.WithTimeout(c.tb.Context(), readyWithin)
	defer cancel()
	from, _, err := c.serving(ctx, slot)
	c.check(err)
	to, err := c.another(ctx, from)
	c.check(err)
	set := func(on *clusterNode, state string, id string) {
		c.tb.Helper()
		if err := on.admin.Do(ctx, "cluster", "setslot", slot, state, id).Err(); err != nil {
			c.tb.Fatalf("testenv: set slot %d %s: %v", slot, state, err)
		}
	}
	set(to, "importing", from.id)
	set(from, "migrating", to.id)
	for {
		keys, err := from.admin.ClusterGetKeysInSlot(ctx, slot, 1).Result()
		c.check(err)
		if len(keys) == 0 {
			break
		}
		c.check(from.admin.Migrate(ctx, "127.0.0.1", fmt.Sprint(to.port.number), keys[0], 0, readyWithin).Err())
	}
	// The new owner first: were the old one to forget the slot before, nobody would have it for a moment.
	set(to, "node", to.id)
	set(from, "node", to.id)
	for _, n := range c.alive() {
		if n.says(ctx, "replication", "role:master") == nil && n != to && n != from {
			set(n, "node", to.id)
		}
	}
}

// settled tells, by no error, that all living nodes know the same of the masters.
func (c *Cluster) settled(ctx context.Context) error {
	var first string
	for i, n := range c.alive() {
		view, err := n.view(ctx)
		switch {
		case err != nil:
			return err
		case i == 0:
			first = view
		case view != first:
			return fmt.Errorf("%s has not heard all", n.port.addr())
		}
	}
	return nil
}

// another is the master of the next range of slots.
func (c *Cluster) another(ctx context.Context, than *clusterNode) (*clusterNode, error) {
	alive := c.alive()
	for i, n := range alive {
		if n != than {
			continue
		}
		for _, other := range slices.Concat(alive[i+1:], alive[:i]) {
			if other.says(ctx, "replication", "role:master") == nil {
				return other, nil
			}
		}
	}
	return nil, fmt.Errorf("%s is the only master", than.port.addr())
}
