package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// clusterLanes is how many lanes there are to a cluster. A lane has the hash
// slots of one range, as servers mostly do, so that commands that share a
// flight share a server.
const clusterLanes = 16

const hashSlots = 16384

func lanesFor(client redis.UniversalClient) int {
	if _, cluster := client.(*redis.ClusterClient); cluster {
		return clusterLanes
	}
	return 1
}

// reloadOf returns what makes the client find out which server has which slots.
// The client itself does so when it sends a command again, which ours forbid:
// the death of a master would go unnoticed for as long as it likes to trust what
// it knows, a minute.
func reloadOf(client redis.UniversalClient) func(context.Context) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ReloadState
	}
	return func(context.Context) {}
}

func (s *Store) lane(g group) *lane {
	if len(s.lanes) == 1 {
		return &s.lanes[0]
	}
	return &s.lanes[int(s.slot(g))*len(s.lanes)/hashSlots]
}

// slot returns the hash slot of a group's keys in a cluster: the CRC-16 (XMODEM)
// of the hash tag, as the Redis Cluster specification says. Elsewhere all keys
// are in one place.
func (s *Store) slot(g group) uint16 {
	if len(s.lanes) == 1 {
		return 0
	}
	var crc uint16
	for i := len(g) - tagEnd - digestLen; i < len(g)-tagEnd; i++ {
		crc ^= uint16(g[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % hashSlots
}
