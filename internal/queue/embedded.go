package queue

import (
	"context"
	"fmt"
	"net"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Embedded is a queue in the memory of this process, for one process alone. It
// is reached through memory too: no port is opened. What stands in it ends with
// the process; the rows do not, and are put in again at the next start once
// repositories.Jobs.ForgetSent was called.
type Embedded struct {
	server *miniredis.Miniredis
	client *redis.Client
}

// OpenEmbedded makes the queue.
func OpenEmbedded() (*Embedded, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // else nothing would ever expire
	client := redis.NewClient(&redis.Options{
		Addr:                     "embedded:0", // names it in messages
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	if err := client.Ping(context.Background()).Err(); err != nil {
		server.Close()
		return nil, fmt.Errorf("open the embedded queue: %w", err)
	}
	return &Embedded{server, client}, nil
}

// Client is what a worker and an inspector are made with.
func (e *Embedded) Client() redis.UniversalClient { return e.client }

// Close ends the queue. Workers must have stopped.
func (e *Embedded) Close() error {
	err := e.client.Close()
	e.server.Close()
	return err
}
