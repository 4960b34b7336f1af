package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// BenchmarkImport measures how fast keys are imported through the API, four
// batches of a thousand at a time, client included. An operation is one batch.
// CPU is that of this process: that of PostgreSQL comes on top.
func BenchmarkImport(b *testing.B) {
	for _, owner := range []string{"", "cust"} {
		name := map[string]string{"": "/owners of their own", "cust": "/one owner"}[owner]
		b.Run("sqlite"+name, func(b *testing.B) { benchmarkImport(b, owner) })
		b.Run("postgres"+name, func(b *testing.B) {
			benchmarkImport(b, owner, "VIVA_DATABASE_URL="+testenv.Postgres(b))
		})
	}
}

func benchmarkImport(b *testing.B, owner string, environ ...string) {
	environ = append([]string{
		"VIVA_SERVER_ADDR=127.0.0.1:0", "VIVA_DATA_DIR=" + b.TempDir(), "VIVA_BOOTSTRAP_TOKEN=" + bootstrapToken,
	}, environ...)
	cfg, err := config.Load(config.Options{Role: config.RoleServe, Environ: environ})
	require.NoError(b, err)
	a, err := New(b.Context(), cfg, Options{Role: config.RoleServe, Log: new(logs), Version: "test"})
	require.NoError(b, err)
	require.NoError(b, a.Start(b.Context()))
	defer func() { require.NoError(b, a.Stop(context.WithoutCancel(b.Context()))) }()
	c, err := client.New(a.URL(), client.WithToken(bootstrapToken))
	require.NoError(b, err)
	defer c.CloseIdleConnections()
	if owner != "" {
		_, err := c.Owners.Create(b.Context(), client.NewOwner{ExternalID: owner, Name: owner})
		require.NoError(b, err)
	}
	var next atomic.Int64
	var before, after syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	b.ResetTimer()
	var workers errgroup.Group
	for range 4 {
		workers.Go(func() error {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := c.Keys.CreateMany(b.Context(), importBatch(owner, int(n)), client.WithoutImported()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(b, workers.Wait())
	b.StopTimer()
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	used := time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano())
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(used.Microseconds())/float64(1000*b.N), "cpu-µs/key")
}

func importBatch(owner string, n int) []client.NewKey {
	list := make([]client.NewKey, 1000)
	for i := range list {
		secret := fmt.Sprintf("sk_imported_%08d_%04d", n, i)
		list[i] = client.NewKey{
			Name: fmt.Sprintf("key %d of %d", i, n), Owner: owner,
			Import: &client.Import{Hash: apikey.Sum(secret).String(), Mask: "…" + secret[len(secret)-4:]},
		}
	}
	return list
}
