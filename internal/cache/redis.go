package cache

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions say which servers to use and how.
type RedisOptions struct {
	// Addrs are host:port of the one server, of Sentinels where Master is set,
	// or of some nodes where Cluster is.
	Addrs    []string
	Cluster  bool
	Username string
	Password string
	DB       int         // 0 in a Cluster
	TLS      *tls.Config // nil connects in the clear; for Sentinels too

	Master           string // the name that Sentinels know the servers by
	SentinelUsername string
	SentinelPassword string

	PoolSize    int           // connections to each server, at most; 0 is ten for each processor
	DialTimeout time.Duration // of one attempt to connect
}

// socketTimeout bounds a read or a write whose context has no deadline.
const socketTimeout = time.Second

// OpenRedis makes the client that the limit store, the cache and the feed
// share. It connects when first used.
//
// The client sends a command once: a take that was repeated could spend twice,
// and who may repeat a command knows better when to give up. Deadlines of
// contexts hold.
func OpenRedis(o RedisOptions) (redis.UniversalClient, error) {
	switch {
	case len(o.Addrs) == 0:
		return nil, errors.New("open Redis: no address")
	case o.Cluster && o.Master != "":
		return nil, errors.New("open Redis: a Cluster has no Sentinels")
	case o.Cluster && o.DB != 0:
		return nil, errors.New("open Redis: a Cluster has only database 0")
	case !o.Cluster && o.Master == "" && len(o.Addrs) > 1:
		return nil, errors.New("open Redis: several servers are neither a Cluster nor Sentinels")
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addrs, IsClusterMode: o.Cluster, MasterName: o.Master, DB: o.DB,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,

		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           o.DialTimeout,
		DialerRetries:         1,
		ReadTimeout:           socketTimeout,
		WriteTimeout:          socketTimeout,
		PoolSize:              o.PoolSize,
		PoolTimeout:           socketTimeout,

		// What these announce is of no use here, and some servers refuse it.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}), nil
}
