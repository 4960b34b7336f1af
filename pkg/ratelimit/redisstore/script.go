package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	_ "embed"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed counter.lua
	counterSource string
	//go:embed log.lua
	logSource string
	//go:embed take.lua
	takeSource string
	//go:embed refund.lua
	refundSource string
	//go:embed seed.lua
	seedSource string

	takeScript    = newScript(counterSource + takeSource) // where there are no logs: what is not there costs nothing
	takeLogScript = newScript(counterSource + logSource + takeSource)
	refundScript  = newScript(counterSource + logSource + refundSource)
	seedScript    = newScript(counterSource + seedSource)
)

type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // what Redis names scripts by
	return script{source, hex.EncodeToString(sum[:])}
}

// args returns the arguments that call the script by its name, with room for
// argc more.
func (s script) args(keys, argc int) []any {
	return append(make([]any, 0, 3+keys+argc), "evalsha", s.sha, keys)
}

// load makes args call the script by its text, which also loads it.
func (s script) load(args []any) { args[0], args[1] = "eval", s.source }

func lost(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// onceCmd is a command that go-redis does not send again on its own, but after
// a redirect: it would repeat a spending whose reply was lost.
type onceCmd struct{ redis.Cmder }

func (onceCmd) NoRetry() bool { return true }

const (
	resends     = 3
	resendAfter = 4 * time.Millisecond // doubled each time
)

// once executes a call at most once, and returns the reply: it sends again what
// the server said it did not execute.
func (s *Store) once(ctx context.Context, group group, c call) (string, error) {
	wait := resendAfter
	for sent := 0; ; sent++ {
		try := c // one that was given up may still get an answer
		err := s.lane(group).process(ctx, &try)
		switch {
		case err == nil:
			return try.reply, nil
		case sent == resends || !notExecuted(err):
			return "", err // and hands off the reply, which may yet come
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

// unreachable tells whether there was no reply.
func unreachable(err error) bool {
	var reply redis.Error
	return err != nil && !errors.As(err, &reply)
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
