package cache

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

func TestOpenRedisMakesTheClientForTheServers(t *testing.T) {
	for name, row := range map[string]struct {
		options RedisOptions
		want    string
	}{
		"single": {
			RedisOptions{Addrs: []string{"h:1"}, DB: 3, Username: "u", Password: "p", PoolSize: 7, DialTimeout: time.Minute},
			"Redis<h:1 db:3>",
		},
		"TLS":           {RedisOptions{Addrs: []string{"h:1"}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, "Redis<h:1 db:0>"},
		"Sentinel":      {RedisOptions{Addrs: []string{"h:1", "i:2"}, Master: "m", DB: 3}, "Redis<FailoverClient db:3>"},
		"one Sentinel":  {RedisOptions{Addrs: []string{"h:1"}, Master: "m"}, "Redis<FailoverClient db:0>"},
		"Cluster":       {RedisOptions{Addrs: []string{"h:1", "i:2"}, Cluster: true}, "cluster"},
		"Cluster's one": {RedisOptions{Addrs: []string{"h:1"}, Cluster: true}, "cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := OpenRedis(row.options)
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Close()) }()
			if cluster, ok := client.(*redis.ClusterClient); ok {
				require.Equal(t, row.want, "cluster")
				require.Equal(t, row.options.Addrs, cluster.Options().Addrs)
				require.True(t, cluster.Options().ContextTimeoutEnabled)
				return
			}
			single := client.(*redis.Client)
			require.Equal(t, row.want, single.String())
			got := single.Options()
			require.Equal(t, row.options.TLS, got.TLSConfig)
			require.Equal(t, row.options.Username, got.Username)
			require.Equal(t, row.options.Password, got.Password)
			require.Zero(t, got.MaxRetries)
			require.Equal(t, 1, got.DialerRetries)
			require.True(t, got.ContextTimeoutEnabled)
			if row.options.PoolSize > 0 {
				require.Equal(t, row.options.PoolSize, got.PoolSize)
				require.Equal(t, row.options.DialTimeout, got.DialTimeout)
			}
		})
	}
}

func TestOpenRedisRefusesContradictions(t *testing.T) {
	for _, o := range []RedisOptions{
		{},
		{Addrs: []string{"h:1", "i:2"}},
		{Addrs: []string{"h:1"}, Cluster: true, Master: "m"},
		{Addrs: []string{"h:1"}, Cluster: true, DB: 1},
	} {
		_, err := OpenRedis(o)
		require.Error(t, err)
	}
}

// Waits on a store are bounded by the context, whatever the server does.
func TestCommandsEndWithTheirContext(t *testing.T) {
	const patience, slack = 50 * time.Millisecond, 150 * time.Millisecond
	for name, row := range map[string]struct {
		warm  bool // a connection is open before the server falls silent
		fault func(*testenv.Proxy)
	}{
		"silent on an open connection":  {true, (*testenv.Proxy).Blackhole},
		"silent on a new connection":    {false, (*testenv.Proxy).Blackhole},
		"slow":                          {true, func(p *testenv.Proxy) { p.Delay(time.Second) }},
		"connections dropped, and none": {true, (*testenv.Proxy).Cut},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := testenv.StartProxy(t, testenv.Redis(t))
			client := openURL(t, proxy.URL())
			if row.warm {
				require.NoError(t, client.Ping(t.Context()).Err())
			}
			row.fault(proxy)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			began := time.Now()
			require.Error(t, client.Ping(ctx).Err())
			require.Less(t, time.Since(began), patience+slack)
		})
	}
}

func TestProbe(t *testing.T) {
	server := testenv.RedisServer(t)
	client := openURL(t, server.URL())
	servers, err := Probe(t.Context(), client)
	require.NoError(t, err)
	require.Len(t, servers, 1)
	require.Equal(t, "noeviction", servers[0].EvictionPolicy)
	require.Regexp(t, `^\d+\.\d+`, servers[0].Version)

	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	_, err = Probe(t.Context(), client)
	require.ErrorContains(t, err, "allkeys-lru")

	require.NoError(t, client.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err())
	_, err = Probe(t.Context(), client)
	require.ErrorContains(t, err, "allkeys-lru")
	require.ErrorContains(t, err, "replica")

	server.Stop()
	_, err = Probe(t.Context(), client)
	require.Error(t, err)
}

func TestServerThatCannotBeTrusted(t *testing.T) {
	for _, row := range []struct {
		server Server
		role   string
		wrong  string
	}{
		{Server{Version: "7.0.15", EvictionPolicy: "noeviction"}, "master", ""},
		{Server{Version: "8.2", EvictionPolicy: "unknown"}, "", ""},
		{Server{Version: "6.2.14", EvictionPolicy: "noeviction"}, "master", "version 7"},
		{Server{Version: "", EvictionPolicy: "noeviction"}, "master", "version 7"},
		{Server{Version: "7.2.4", EvictionPolicy: "volatile-ttl"}, "master", "volatile-ttl"},
		{Server{Version: "7.2.4", EvictionPolicy: "noeviction"}, "slave", "replica"},
	} {
		err := row.server.check(row.role)
		if row.wrong == "" {
			require.NoError(t, err, row.server)
		} else {
			require.ErrorContains(t, err, row.wrong)
		}
	}
}
