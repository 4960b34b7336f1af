package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// A call is one take, or another command, with its answer.
type call struct {
	slot    uint16 // of its keys, in a cluster
	keys    []string
	request string // of a take, packed
	logs    bool   // whether a rule of it is a log
	args    []any  // of another command; nil for a take

	reply string
	err   error
}

// A command is what is sent for one call, or for several takes whose keys are
// in one place: they are one script call.
type command struct {
	calls  []*call
	script script
	args   []any
	cmd    redis.Cmder
	other  *redis.StringCmd
	takes  *redis.StringSliceCmd
}

// commands joins takes of one slot, up to maxTakes, and leaves other calls
// alone.
func commands(ctx context.Context, calls []*call, now string) []*command {
	var all []*command
	open := make(map[uint16]*command)
	for _, c := range calls {
		if c.args != nil {
			all = append(all, otherCommand(ctx, c))
			continue
		}
		with := open[c.slot]
		if with == nil || len(with.calls) == maxTakes {
			with = new(command)
			open[c.slot] = with
			all = append(all, with)
		}
		with.calls = append(with.calls, c)
	}
	for _, command := range all {
		if command.cmd == nil {
			command.join(ctx, now)
		}
	}
	return all
}

func otherCommand(ctx context.Context, c *call) *command {
	other := redis.NewStringCmd(ctx, c.args...)
	return &command{calls: []*call{c}, other: other, cmd: onceCmd{other}}
}

// join makes the script call of the command's takes.
func (c *command) join(ctx context.Context, now string) {
	c.script = takeScript
	var keys int
	for _, take := range c.calls {
		keys += len(take.keys)
		if take.logs {
			c.script = takeLogScript
		}
	}
	c.args = c.script.args(keys, 1+len(c.calls))
	for _, take := range c.calls {
		for _, key := range take.keys {
			c.args = append(c.args, key)
		}
	}
	c.args = append(c.args, now)
	for _, take := range c.calls {
		c.args = append(c.args, take.request)
	}
	c.make(ctx)
}

func (c *command) make(ctx context.Context) {
	c.takes = redis.NewStringSliceCmd(ctx, c.args...)
	c.cmd = onceCmd{c.takes}
}

var errReplies = errors.New("replies are not as many as requests")

// answer gives each call what the server said.
func (c *command) answer() {
	err := c.cmd.Err()
	if err == nil && c.takes != nil && len(c.takes.Val()) != len(c.calls) {
		err = errReplies
	}
	for i, call := range c.calls {
		switch {
		case err != nil:
			call.err = err
		case c.takes == nil:
			call.reply = c.other.Val()
		default:
			call.reply = c.takes.Val()[i]
			call.err = failure(call.reply)
		}
	}
}

// failure is the error of a take that failed within a script.
func failure(reply string) error {
	if reply == "" || reply[0] != 'E' {
		return nil
	}
	return replyError(reply[1:])
}

// A replyError is an error that the server told of one take among several.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}
