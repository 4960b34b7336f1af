package queue_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/testenv"
)

// The variables that make a process of these tests a worker that comes to no end.
const (
	childDatabase = "QUEUE_TEST_DATABASE"
	childRedis    = "QUEUE_TEST_REDIS"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childDatabase); url != "" {
		endless(url, os.Getenv(childRedis))
	}
	goleak.VerifyTestMain(m)
}

// endless says so when it has begun a job, and then only can be killed.
func endless(database, server string) {
	ctx := context.Background()
	db, err := repositories.OpenPostgres(ctx, database, repositories.Options{})
	options, parsed := redis.ParseURL(server)
	if err != nil || parsed != nil {
		panic("no database or no Redis")
	}
	h := house{db, repositories.NewJobs(db)}
	w, err := queue.New(queue.Options{
		Kinds: []queue.Kind{kind(kindA, func(context.Context, string) (time.Duration, error) {
			_, _ = os.Stdout.WriteString("begun\n")
			select {}
		})},
		Rows: h.jobs, Source: h.jobs, Lock: h.lock, Redis: redis.NewClient(options), Namespace: "viva", Node: "child",
		Concurrency: 1, Weights: queue.Weights{Critical: 1, Default: 1, Low: 1}, Now: time.Now, Log: zap.NewNop(),
	})
	if err == nil {
		err = w.Start(ctx)
	}
	if err != nil {
		panic(err)
	}
	select {}
}

func TestJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	database, server := testenv.Postgres(t), testenv.Redis(t)
	h := postgresAt(t, database)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDatabase+"="+database, childRedis+"="+server)
	said, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	h.touch(t, kindA, "a")
	line, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	require.NoError(t, child.Process.Kill()) // as by kill -9: it also had the lock of those who sweep
	killed := time.Now()
	require.Error(t, child.Wait())

	var done counts
	h.worker(t, client(t, server), nil, kind(kindA, done.handle))
	h.empty(t)
	require.Equal(t, 1, done.of("a"))
	require.Less(t, time.Since(killed), 50*time.Second)
}
