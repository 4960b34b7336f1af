package testenv

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A member is what one node of a cluster knows of another, or of itself: a line of CLUSTER NODES.
type member struct {
	id     string
	flags  []string
	master string // of a replica
	epoch  string // in which it last configured anything
	slots  []string
}

func (n *clusterNode) members(ctx context.Context) ([]member, error) {
	lines, err := n.admin.ClusterNodes(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("ask %s for the nodes: %w", n.port.addr(), err)
	}
	var members []member
	for line := range strings.Lines(lines) {
		const id, flags, master, epoch, slots = 0, 2, 3, 6, 8
		f := strings.Fields(line)
		if len(f) < slots {
			return nil, fmt.Errorf("%s says of a node %q", n.port.addr(), line)
		}
		members = append(members, member{f[id], strings.Split(f[flags], ","), f[master], f[epoch], f[slots:]})
	}
	return members, nil
}

func (m *member) is(flag string) bool { return slices.Contains(m.flags, flag) }

// has tells whether the slot is the member's. What moves to or from it is in brackets, which are no number.
func (m *member) has(slot int) bool {
	return slices.ContainsFunc(m.slots, func(part string) bool {
		first, last, ranges := strings.Cut(part, "-")
		if !ranges {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return false
		}
		to, err := strconv.Atoi(last)
		return err == nil && from <= slot && slot <= to
	})
}

// serving are the ids of the nodes of a slot as this node sees it, the master's first.
func (n *clusterNode) serving(ctx context.Context, slot int) ([]string, error) {
	members, err := n.members(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(members, func(m member) bool { return m.is("master") && m.has(slot) })
	if i < 0 {
		return nil, fmt.Errorf("to %s slot %d has no master", n.port.addr(), slot)
	}
	ids := []string{members[i].id}
	for _, m := range members {
		if m.master == ids[0] {
			ids = append(ids, m.id)
		}
	}
	return ids, nil
}

// view is what the node knows of the masters, to compare.
func (n *clusterNode) view(ctx context.Context) (string, error) {
	members, err := n.members(ctx)
	if err != nil {
		return "", err
	}
	var masters []string
	for _, m := range members {
		if m.is("master") {
			masters = append(masters, fmt.Sprintln(m.id, m.epoch, m.slots))
		}
	}
	slices.Sort(masters)
	return strings.Join(masters, ""), nil
}
