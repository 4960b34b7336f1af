package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

const (
	// remoteTTL is how long Redis holds a value.
	remoteTTL = 5 * time.Minute
	// versionTTL is how long it holds the version of a subject: longer than any
	// value made from an older one, which may still be stored by a read that
	// was under way.
	versionTTL = remoteTTL + time.Minute
	// remotePatience bounds what no check waits for.
	remotePatience = 400 * time.Millisecond
	// remoteBatch bounds a pipeline.
	remoteBatch = 500
)

// remote is the part of the cache that processes share in Redis. Each command
// touches one key, so it works in a Cluster as it is.
//
//	<namespace>:cache:k2:<hash>     a hash: the value, and the version of its own row
//	<namespace>:cache:v:<subject>   the highest version known of a subject
//	<namespace>:invalidate          the channel of changes and heartbeats
//
// The number in k2 is the format of the values: raise it when it changes, and
// versions of the program can run side by side.
type remote struct {
	client    redis.UniversalClient
	namespace string
	timeout   time.Duration // of what a check waits for
}

func (r *remote) valueKey(hash apikey.Hash) string { return r.namespace + ":cache:k2:" + hash.String() }

func (r *remote) versionKey(s models.Subject) string { return r.namespace + ":cache:v:" + string(s) }

func (r *remote) channel() string { return r.namespace + ":invalidate" }

// fetch returns the value of a hash and how long ago it was stored; no data
// where there is none.
func (r *remote) fetch(ctx context.Context, hash apikey.Hash) (data []byte, age time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	value := pipe.HGet(ctx, r.valueKey(hash), "value")
	left := pipe.PTTL(ctx, r.valueKey(hash))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, fmt.Errorf("fetch a value from Redis: %w", err)
	}
	if value.Err() != nil || left.Val() <= 0 {
		return nil, 0, nil
	}
	data, err = value.Bytes()
	return data, max(0, remoteTTL-left.Val()), err
}

// KEYS[1] the value's key
// ARGV[1] the version of its own row, ARGV[2] the value, ARGV[3] its life in ms
// Returns 1 when stored, 0 when a newer one is there.
const storeScript = `
local there = redis.call('HGET', KEYS[1], 'version')
if there and tonumber(there) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

// store leaves a value for others, unless there is one of a newer version.
func (r *remote) store(ctx context.Context, hash apikey.Hash, version int64, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, remotePatience)
	defer cancel()
	err := r.client.Eval(ctx, storeScript, []string{r.valueKey(hash)}, version, data, remoteTTL.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("store a value in Redis: %w", err)
	}
	return nil
}

// versions gives the highest version known of each subject; 0 where there is
// none.
func (r *remote) versions(ctx context.Context, made []models.Dependency) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	replies := make([]*redis.StringCmd, len(made))
	for i, d := range made {
		replies[i] = pipe.Get(ctx, r.versionKey(d.Subject))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read versions from Redis: %w", err)
	}
	versions := make([]int64, len(made))
	for i, reply := range replies {
		version, err := reply.Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the version of %s from Redis: %w", made[i].Subject, err)
		}
		versions[i] = version
	}
	return versions, nil
}

// KEYS[1] the version's key
// ARGV[1] the version, ARGV[2] its life in ms
// Returns OK. The version never sinks.
const raiseScript = `
local version = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]))
return redis.call('SET', KEYS[1], string.format('%.0f', version), 'PX', ARGV[2])`

// raise records versions, so that no value made from older ones is used. It
// passes over anchors: nothing in Redis hangs on them.
func (r *remote) raise(ctx context.Context, stale []models.Dependency) error {
	for batch := range slices.Chunk(stale, remoteBatch) {
		if err := r.raiseBatch(ctx, batch); err != nil {
			return fmt.Errorf("raise versions in Redis: %w", err)
		}
	}
	return nil
}

func (r *remote) raiseBatch(ctx context.Context, stale []models.Dependency) error {
	ctx, cancel := context.WithTimeout(ctx, remotePatience)
	defer cancel()
	pipe := r.client.Pipeline()
	for _, d := range stale {
		if !anchored(d.Subject) {
			pipe.Eval(ctx, raiseScript, []string{r.versionKey(d.Subject)},
				strconv.FormatInt(d.Version, 10), versionTTL.Milliseconds())
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

func (r *remote) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, remotePatience)
	defer cancel()
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach Redis: %w", err)
	}
	return nil
}

func (r *remote) publish(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, remotePatience)
	defer cancel()
	if err := r.client.Publish(ctx, r.channel(), message).Err(); err != nil {
		return fmt.Errorf("publish to %s: %w", r.channel(), err)
	}
	return nil
}
