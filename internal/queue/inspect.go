package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Inspector tells how the queues are, and pauses them. It is safe for concurrent
// use.
type Inspector struct {
	namespace string
	redis     redis.UniversalClient
	asynq     *asynq.Inspector
}

// NewInspector makes an inspector; the client stays the caller's to close.
func NewInspector(client redis.UniversalClient, namespace string) *Inspector {
	return &Inspector{namespace, client, asynq.NewInspectorFromRedisClient(client)}
}

// Queues gives every queue, the most urgent first.
func (i *Inspector) Queues(ctx context.Context) ([]models.QueueState, error) {
	states := make([]models.QueueState, 0, len(Priorities))
	for _, queue := range Priorities {
		// Asynq has no context to take.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		state, err := i.queue(ctx, queue)
		if err != nil {
			return nil, unavailable(err)
		}
		states = append(states, state)
	}
	return states, nil
}

func (i *Inspector) queue(ctx context.Context, queue Priority) (models.QueueState, error) {
	state := models.QueueState{Name: string(queue)}
	name := queueName(i.namespace, queue)
	// Asynq knows a queue once a process put something in, and forgets it with Redis.
	if err := i.redis.SAdd(ctx, allQueuesKey, name).Err(); err != nil {
		return state, err
	}
	info, err := i.asynq.GetQueueInfo(name)
	if err != nil {
		return state, err
	}
	state.Size, state.Pending, state.Active, state.Scheduled = info.Size, info.Pending, info.Active, info.Scheduled
	state.Retry, state.Archived, state.Paused = info.Retry, info.Archived, info.Paused
	state.Processed, state.Failed, state.Latency = info.Processed, info.Failed, info.Latency
	return state, nil
}

// SetPaused keeps the queue's jobs from being begun, or lets them again. It tells
// whether that was new; a queue of no such name is apierror.CodeNotFound.
func (i *Inspector) SetPaused(ctx context.Context, name string, pause bool) (changed bool, err error) {
	for _, queue := range Priorities {
		if string(queue) != name {
			continue
		}
		key := pausedKey(i.namespace, queue)
		if pause {
			changed, err = i.redis.SetNX(ctx, key, time.Now().Unix(), 0).Result()
		} else {
			var deleted int64
			deleted, err = i.redis.Del(ctx, key).Result()
			changed = deleted > 0
		}
		return changed, unavailable(err)
	}
	return false, apierror.NotFound("queue")
}

// Paused names the queues whose jobs are kept from being begun. It changes
// nothing.
func (i *Inspector) Paused(ctx context.Context) (names []string, err error) {
	for _, queue := range Priorities {
		paused, err := i.redis.Exists(ctx, pausedKey(i.namespace, queue)).Result()
		if err != nil {
			return nil, unavailable(err)
		}
		if paused > 0 {
			names = append(names, string(queue))
		}
	}
	return names, nil
}

// Ping tells whether the queue is in reach.
func (i *Inspector) Ping(ctx context.Context) error { return unavailable(i.redis.Ping(ctx).Err()) }

// allQueuesKey is where Asynq notes which queues there are.
const allQueuesKey = "asynq:queues"

// pausedKey is where Asynq notes that a queue is paused. Its own functions tell
// "it is already" from "it could not be" by nothing but their words.
func pausedKey(namespace string, queue Priority) string {
	return "asynq:{" + queueName(namespace, queue) + "}:paused"
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return apierror.New(apierror.CodeStoreUnavailable, "The queue is out of reach").Wrap(fmt.Errorf("queue: %w", err))
}
