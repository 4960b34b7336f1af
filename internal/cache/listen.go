package cache

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// heartbeat is how often a feed sends itself a message: three may be lost
// before it doubts its subscription.
const heartbeat = 300 * time.Millisecond

// A message travels on the channel: changes, or none as a heartbeat.
type message struct {
	From  string              `json:"from"`
	Stale []models.Dependency `json:"stale,omitempty"`
}

func newFeedID() string { return rand.Text() }

func (f *Feed) announce(ctx context.Context, stale []models.Dependency) error {
	data, err := json.Marshal(message{f.id, stale})
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	return f.remote.publish(ctx, data)
}

// beat sends heartbeats. One that is lost is missed by whoever waits for it,
// and that is all it is for.
func (f *Feed) beat(ctx context.Context) {
	for tick := time.NewTicker(heartbeat); ; {
		_ = f.announce(ctx, nil)
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// listen keeps a subscription up until ctx ends.
func (f *Feed) listen(ctx context.Context) {
	pause := time.NewTicker(heartbeat)
	defer pause.Stop()
	for first := true; ; first = false {
		err := f.subscription(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard := f.heard.Swap(int64(never)) != int64(never); heard || first {
			f.log.Warn("the invalidation channel is lost", zap.Error(err))
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// subscription hears messages until something fails. Silence is a failure: our
// own heartbeats should be heard.
func (f *Feed) subscription(ctx context.Context) error {
	channel := f.remote.client.Subscribe(ctx)
	closed := context.AfterFunc(ctx, func() { _ = channel.Close() })
	defer func() {
		if closed() {
			_ = channel.Close()
		}
	}()
	if err := channel.Subscribe(ctx, f.remote.channel()); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for {
		got, err := channel.ReceiveTimeout(ctx, believe)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		switch got := got.(type) {
		case *redis.Subscription:
			f.subscribed.Store(int64(f.clock()))
		case *redis.Message:
			f.hear(got.Payload)
		}
	}
}

func (f *Feed) hear(payload string) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		f.log.Warn("a message on the invalidation channel makes no sense", zap.Error(err))
		return
	}
	if m.From == f.id {
		if f.heard.Swap(int64(f.clock())) == int64(never) {
			f.log.Info("the invalidation channel is heard")
		}
		return
	}
	f.raise(m.Stale)
}
