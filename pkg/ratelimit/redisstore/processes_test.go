package redisstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
)

const (
	processes = 3

	// processURL names the server to a test process that is one of several.
	processURL = "REDISSTORE_PROCESS_URL"
)

// months are accounts whose windows the server's clock will not leave during a test.
func months() []*account {
	accounts := newAccounts(4, 2000)
	for _, a := range accounts {
		for i := range a.req.Rules {
			a.req.Rules[i].Window = ratelimit.MaxSliding
		}
	}
	return accounts
}

// TestProcess is the part of one process in the test below: it takes until all is taken, and tells how much it got.
func TestProcess(t *testing.T) {
	url := os.Getenv(processURL)
	if url == "" {
		return
	}
	ctx := context.Background()
	client := connect(t, url)
	accounts := months()
	require.NoError(t, client.RPush(ctx, "ready", os.Getpid()).Err())
	hear(t, client, "go")
	startFlood(t, redisstore.New(client), time.Minute, accounts).await(t, time.Minute)
	var allowed []int64
	for _, a := range accounts {
		require.Zero(t, a.failed.Load())
		allowed = append(allowed, a.allowed.Load())
	}
	text, err := json.Marshal(allowed)
	require.NoError(t, err)
	require.NoError(t, client.RPush(ctx, "allowed", text).Err())
}

// hear waits for another process, and returns what it says.
func hear(t *testing.T, client *redis.Client, list string) string {
	t.Helper()
	said, err := client.BLPop(context.Background(), time.Minute, list).Result()
	require.NoError(t, err)
	return said[1]
}

func TestSeveralProcessesTogetherGetExactlyTheLimit(t *testing.T) {
	ctx := context.Background()
	url := testenv.Redis(t)
	client := connect(t, url)
	var children []*exec.Cmd
	var said [processes]bytes.Buffer
	for i := range said {
		child := exec.Command(os.Args[0], "-test.run=^TestProcess$")
		child.Env = append(os.Environ(), processURL+"="+url)
		child.Stdout, child.Stderr = &said[i], &said[i]
		require.NoError(t, child.Start())
		t.Cleanup(func() { // if it has not ended by itself
			_ = child.Process.Kill()
			_ = child.Wait()
			if t.Failed() {
				t.Log(said[i].String())
			}
		})
		children = append(children, child)
	}
	for range children { // all of them at once
		hear(t, client, "ready")
	}
	for range children {
		require.NoError(t, client.RPush(ctx, "go", "go").Err())
	}
	accounts := months()
	var share int // of how many processes there is one
	for range children {
		var allowed []int64
		require.NoError(t, json.Unmarshal([]byte(hear(t, client, "allowed")), &allowed))
		for i, a := range accounts {
			a.allowed.Add(allowed[i])
		}
		if slices.Max(allowed) > 0 {
			share++
		}
	}
	require.Greater(t, share, 1, "they met")
	for _, child := range children {
		require.NoError(t, child.Wait())
	}
	store := redisstore.New(client)
	for _, a := range accounts {
		require.Equal(t, a.limit, a.allowed.Load())
		require.Equal(t, a.limit, a.spent(t, store))
	}
}
