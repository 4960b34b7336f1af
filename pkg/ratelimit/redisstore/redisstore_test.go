package redisstore_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

func connect(t testing.TB, url string) *redis.Client {
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestRedisKeepsTheContract(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) ratelimit.Store {
		return redisstore.New(client, redisstore.WithNamespace(t.Name()), redisstore.WithClock(clock.Now))
	})
}

var perMinute = ratelimit.Rule{Scope: "key", ID: "k1", Name: "per-minute", Limit: 10, Window: time.Minute}

// request asks for one unit of rules that take several forms.
func request() *ratelimit.Request {
	hourly := perMinute
	hourly.Name, hourly.Algorithm, hourly.Window = "hourly", ratelimit.FixedWindow, time.Hour
	return &ratelimit.Request{Group: "o1", Cost: 1, Rules: []ratelimit.Rule{perMinute, hourly}}
}

func take(t *testing.T, store ratelimit.Store, req *ratelimit.Request) *ratelimit.Decision {
	t.Helper()
	var dec ratelimit.Decision
	require.NoError(t, store.Take(context.Background(), req, &dec))
	return &dec
}

func TestTheServersClockDecides(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	before, err := client.Time(context.Background()).Result()
	require.NoError(t, err)
	at := take(t, redisstore.New(client), request()).At
	after, err := client.Time(context.Background()).Result()
	require.NoError(t, err)
	require.False(t, at.Before(before) || at.After(after), "%v is not between %v and %v", at, before, after)
}

func TestKeysShareOneHashTagAndExpire(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.Redis(t))
	clock := storetest.NewClock()
	store := redisstore.New(client, redisstore.WithNamespace("viva"), redisstore.WithClock(clock.Now))
	req := request()
	req.Group, req.ID = "any } bytes {", "id \xff"
	receipt := take(t, store, req).Receipt(req.Group)
	require.NoError(t, store.Refund(ctx, receipt, 1))

	keys, err := client.Keys(ctx, "*").Result()
	require.NoError(t, err)
	lives := map[string][]time.Duration{}
	form := regexp.MustCompile(`^viva:\{([\w-]{22})\}:([cdr]):[\w-]{22}$`)
	tags := map[string]bool{}
	for _, key := range keys {
		parts := form.FindStringSubmatch(key)
		require.NotNil(t, parts, key)
		tags[parts[1]] = true
		life, err := client.PTTL(ctx, key).Result()
		require.NoError(t, err)
		lives[parts[2]] = append(lives[parts[2]], life.Round(time.Minute))
	}
	require.Len(t, tags, 1)
	require.ElementsMatch(t, []time.Duration{3 * time.Minute, time.Hour + 6*time.Minute}, lives["c"], "life and margin")
	require.Equal(t, []time.Duration{time.Minute}, lives["d"])
	require.Equal(t, []time.Duration{time.Hour + 6*time.Minute}, lives["r"])
}

// monthly is a durable rule, with a seed of it for now.
func monthly(now time.Time) (ratelimit.Rule, ratelimit.Seeding) {
	const month = 30 * 24 * time.Hour
	start := now.Truncate(time.Second).Add(-month / 2)
	rule := ratelimit.Rule{
		Scope: "owner", ID: "o1", Name: "monthly", Algorithm: ratelimit.FixedWindow, Limit: 10, Durable: true,
		Calendar: &ratelimit.Calendar{
			Name:     "month",
			Previous: ratelimit.Period{Start: start.Add(-month), End: start},
			Current:  ratelimit.Period{Start: start, End: start.Add(month)},
			Next:     ratelimit.Period{Start: start.Add(month), End: start.Add(2 * month)},
		},
	}
	return rule, ratelimit.Seeding{Rule: rule, Start: start, Used: 4}
}

func TestADurableCounterThatIsLostIsSeededAgain(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.RedisServer(t).URL())
	store := redisstore.New(client)
	req := request()
	now := take(t, store, req).At
	rule, seed := monthly(now)
	req.Rules = append(req.Rules, rule)
	var dec ratelimit.Decision
	for range 2 {
		var unseeded *ratelimit.UnseededError
		require.ErrorAs(t, store.Take(ctx, req, &dec), &unseeded)
		require.Equal(t, []int{2}, unseeded.Rules)
		require.True(t, unseeded.Starts[0].Equal(seed.Start))
		require.NoError(t, client.ScriptFlush(ctx).Err())
		require.NoError(t, store.Seed(ctx, "o1", []ratelimit.Seeding{seed}))
		require.NoError(t, store.Seed(ctx, "o1", []ratelimit.Seeding{seed}))
		require.Equal(t, int64(5), take(t, store, req).Results[2].Remaining)
		require.NoError(t, client.FlushDB(ctx).Err())
	}
}

func TestOnlySpendingWrites(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.Redis(t))
	store := redisstore.New(client)
	look, enormous := request(), request()
	look.Cost, enormous.Cost = 0, 11
	require.True(t, take(t, store, look).Allowed)
	require.False(t, take(t, store, enormous).Allowed)
	require.True(t, take(t, store, &ratelimit.Request{Group: "no rules", Cost: 1}).Allowed)
	var dec ratelimit.Decision
	quota, _ := monthly(time.Now())
	unseeded := request()
	unseeded.ID, unseeded.Rules = "id", append(unseeded.Rules, quota)
	require.ErrorIs(t, store.Take(ctx, unseeded, &dec), ratelimit.ErrUnseeded)
	require.Zero(t, client.DBSize(ctx).Val())
	take(t, store, request())
	require.Equal(t, int64(2), client.DBSize(ctx).Val())
}

func TestNamespacesAreApart(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	a := redisstore.New(client, redisstore.WithNamespace("a"))
	b := redisstore.New(client, redisstore.WithNamespace("b"))
	require.Equal(t, int64(9), take(t, a, request()).Results[0].Remaining)
	require.Equal(t, int64(9), take(t, b, request()).Results[0].Remaining)
	require.Equal(t, int64(8), take(t, redisstore.New(client, redisstore.WithNamespace("a")), request()).Results[0].Remaining)
}

func TestScriptsAreLoadedAgain(t *testing.T) {
	ctx := context.Background()
	client := connect(t, testenv.RedisServer(t).URL())
	store := redisstore.New(client)
	for i := range 3 {
		dec := take(t, store, request())
		require.Equal(t, int64(9), dec.Results[0].Remaining)
		require.NoError(t, client.ScriptFlush(ctx).Err())
		require.NoError(t, store.Refund(ctx, dec.Receipt("o1"), 1), i)
		require.NoError(t, client.ScriptFlush(ctx).Err())
	}
}
