package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	_ "embed"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed window.lua
	windowSource string
	//go:embed take.lua
	takeSource string
	//go:embed refund.lua
	refundSource string

	takeScript   = newScript(windowSource + takeSource)
	refundScript = newScript(windowSource + refundSource)
)

type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // what Redis names scripts by
	return script{source, hex.EncodeToString(sum[:])}
}

// run calls the script by its name, and by its text if the server lost it,
// which also loads it.
func (s *Store) run(ctx context.Context, script script, keys []string, argv ...any) (string, error) {
	args := make([]any, 0, 3+len(keys)+len(argv))
	args = append(args, "evalsha", script.sha, len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	args = append(args, argv...)
	reply, err := s.once(ctx, args...)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		args[0], args[1] = "eval", script.source
		reply, err = s.once(ctx, args...)
	}
	return reply, err
}

// onceCmd is a command that go-redis does not send again on its own, but after
// a redirect: it would repeat a spending whose reply was lost.
type onceCmd struct{ *redis.StringCmd }

func (onceCmd) NoRetry() bool { return true }

const (
	resends     = 3
	resendAfter = 4 * time.Millisecond // doubled each time
)

// once executes a command at most once: it sends again what the server said it
// did not execute.
func (s *Store) once(ctx context.Context, args ...any) (string, error) {
	wait := resendAfter
	for sent := 0; ; sent++ {
		cmd := onceCmd{redis.NewStringCmd(ctx, args...)}
		err := s.client.Process(ctx, cmd)
		if err == nil {
			return cmd.Val(), nil
		}
		if sent == resends || !notExecuted(err) {
			return "", err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		}
		wait *= 2
	}
}

// notExecuted tells whether the server's reply proves that the command had no
// effect, and another try may fare better. Redirects are left to the cluster
// client.
func notExecuted(err error) bool {
	for _, code := range [...]string{"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN "} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}
