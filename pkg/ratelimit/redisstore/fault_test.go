package redisstore_test

import (
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

// scripts says how many scripts a server has begun to run since its counts were
// reset, including those that it stopped.
func scripts(t *testing.T, client *redis.Client) int {
	t.Helper()
	info, err := client.Info(context.Background(), "commandstats").Result()
	require.NoError(t, err)
	var calls int
	for _, found := range regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+)`).FindAllStringSubmatch(info, -1) {
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		calls += n
	}
	return calls
}

func resetCounts(t *testing.T, client *redis.Client) {
	t.Helper()
	require.NoError(t, client.ConfigResetStat(context.Background()).Err())
}

// lossy is a connection that loses a reply, and all that follow, once lose holds
// an error. It waits until the reply is there: the server has done its part.
type lossy struct {
	net.Conn
	lose *atomic.Pointer[error]
	lost *error
}

func (c *lossy) Read(p []byte) (int, error) {
	if c.lost != nil {
		return 0, *c.lost
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	if c.lost = c.lose.Swap(nil); c.lost != nil {
		return 0, *c.lost
	}
	return n, err
}

func TestATakeWhoseReplyIsLostIsSentOnce(t *testing.T) {
	server := testenv.RedisServer(t)
	direct := connect(t, server.URL())
	options, err := redis.ParseURL(server.URL())
	require.NoError(t, err)
	var lose atomic.Pointer[error]
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &lossy{Conn: conn, lose: &lose}, err
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	store := redisstore.New(client)

	for i, lost := range []error{io.EOF, os.ErrDeadlineExceeded, net.ErrClosed} {
		receipt := take(t, store, request()).Receipt("o1") // connected, and the script loaded
		require.NoError(t, store.Refund(context.Background(), receipt, 1))
		resetCounts(t, direct)

		lose.Store(&lost)
		dec := ratelimit.Decision{Allowed: true}
		require.ErrorIs(t, store.Take(context.Background(), request(), &dec), ratelimit.ErrUnavailable)
		require.False(t, dec.Allowed)
		require.Equal(t, 1, scripts(t, direct))

		look := request()
		look.Cost = 0
		require.Equal(t, int64(9-i), take(t, store, look).Results[0].Remaining, "spent once, though the caller was not told")
	}
}

func TestTheContextBoundsACall(t *testing.T) {
	proxy := testenv.StartProxy(t, testenv.Redis(t))
	store := redisstore.New(connect(t, proxy.URL()))
	take(t, store, request())
	proxy.Blackhole()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var dec ratelimit.Decision
	begun := time.Now()
	require.ErrorIs(t, store.Take(ctx, request(), &dec), ratelimit.ErrUnavailable)
	require.Less(t, time.Since(begun), 2*time.Second, "go-redis would wait 3 s for a reply")
}

func TestAServerThatIsDownIsUnavailableUntilItIsBack(t *testing.T) {
	ctx := context.Background()
	server := testenv.RedisServer(t)
	store := redisstore.New(connect(t, server.URL()))
	receipt := take(t, store, request()).Receipt("o1")
	_, seed := monthly(time.Now())
	server.Kill()
	var dec ratelimit.Decision
	require.ErrorIs(t, store.Take(ctx, request(), &dec), ratelimit.ErrUnavailable)
	require.ErrorIs(t, store.Refund(ctx, receipt, 1), ratelimit.ErrUnavailable)
	require.ErrorIs(t, store.Refund(ctx, receipt, -1), ratelimit.ErrUnavailable)
	require.ErrorIs(t, store.Reset(ctx, "o1", request().Rules), ratelimit.ErrUnavailable)
	require.ErrorIs(t, store.Seed(ctx, "o1", []ratelimit.Seeding{seed}), ratelimit.ErrUnavailable)
	server.Start()
	require.Equal(t, int64(8), take(t, store, request()).Results[0].Remaining)
}

// sent is a hook that counts the scripts sent and calls before with each.
type sent struct {
	count  int
	before func(n int)
}

func (s *sent) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *sent) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			s.count++
			s.before(s.count)
		}
		return next(ctx, cmd)
	}
}

func (s *sent) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestAReplyThatProvesNothingRanIsFollowedByAnotherTry(t *testing.T) {
	ctx := context.Background()
	server := testenv.RedisServer(t)
	direct, client := connect(t, server.URL()), connect(t, server.URL())
	store := redisstore.New(client)
	take(t, store, request())
	require.NoError(t, direct.ReplicaOf(ctx, "127.0.0.1", "1").Err()) // read-only, as after a failover

	tries := &sent{before: func(int) {}}
	client.AddHook(tries)
	var dec ratelimit.Decision
	require.ErrorIs(t, store.Take(ctx, request(), &dec), ratelimit.ErrUnavailable)
	require.Equal(t, 4, tries.count, "bounded")

	tries.count, tries.before = 0, func(n int) {
		if n == 3 {
			require.NoError(t, direct.ReplicaOf(ctx, "NO", "ONE").Err())
		}
	}
	require.Equal(t, int64(8), take(t, store, request()).Results[0].Remaining)
	require.Equal(t, 3, tries.count)

	require.NoError(t, direct.ReplicaOf(ctx, "127.0.0.1", "1").Err())
	short, cancel := context.WithCancel(ctx)
	tries.count, tries.before = 0, func(int) { cancel() }
	require.ErrorIs(t, store.Take(short, request(), &dec), context.Canceled)
	require.Equal(t, 1, tries.count, "within the context")
}

func TestAnErrorOfTheScriptIsNotRepeated(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.Redis(t))
	store := redisstore.New(client)
	take(t, store, request())
	keys, err := client.Keys(ctx, "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, client.Set(ctx, key, "not ours", 0).Err())
	}
	tries := &sent{before: func(int) {}}
	client.AddHook(tries)
	var dec ratelimit.Decision
	require.ErrorIs(t, store.Take(ctx, request(), &dec), ratelimit.ErrUnavailable)
	require.Equal(t, 1, tries.count)
}
