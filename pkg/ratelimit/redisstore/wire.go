package redisstore

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// What goes to the scripts and comes back is packed as little-endian doubles:
// exact for our integers, and read in Lua by one call.
const (
	packedHead   = 3 * 8
	packedRule   = 5 * 8 // bytes; a calendar's takes four doubles more, a GCRA's one
	packedResult = 5 * 8
	packedStart  = 2 * 8
)

func appendNumber(b []byte, n int64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(n)))
}

func appendRule(b []byte, rule *counter.Rule, extra int64) []byte {
	for _, n := range [...]int64{int64(rule.Kind), rule.Limit, rule.Window, rule.Tick, extra} {
		b = appendNumber(b, n)
	}
	switch rule.Kind {
	case counter.Calendar:
		for _, n := range rule.Bounds {
			b = appendNumber(b, n)
		}
	case counter.GCRA:
		b = appendNumber(b, rule.Burst)
	}
	return b
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// numbers reads what the scripts pack; past the end it reads zeros.
type numbers string

func (n *numbers) next() int64 {
	if len(*n) < 8 {
		return 0
	}
	bits := binary.LittleEndian.Uint64([]byte((*n)[:8]))
	*n = (*n)[8:]
	return int64(math.Float64frombits(bits))
}

var errReply = fmt.Errorf("take: %w: reply not understood", ratelimit.ErrUnavailable)

// read writes the reply of the take script to dec.
func read(reply string, req *ratelimit.Request, nonce uint64, dec *ratelimit.Decision) error {
	if reply == "" {
		return errReply
	}
	kind, body := reply[0], numbers(reply[1:])
	switch kind {
	case 'F', 'R':
	case 'C':
		return ratelimit.ErrIDConflict
	case 'O':
		const reason = "must have a period that the store's clock is in"
		return &ratelimit.InvalidError{Rule: int(body.next()), Field: "Calendar", Reason: reason}
	case 'U':
		return unseeded(body, len(req.Rules))
	default:
		return errReply
	}

	now, allowed, n := body.next(), body.next() == 1, body.next()
	if n < 0 || n > ratelimit.MaxRules || len(body) < int(n)*packedResult {
		return errReply
	}
	answered := envelope{Nonce: nonce, Cost: req.Cost, rules: req.Rules}
	if kind == 'R' {
		var err error
		if answered, err = unseal(string(body[int(n)*packedResult:])); err != nil {
			return fmt.Errorf("%w: %w", errReply, err)
		}
	}
	if int64(len(answered.rules)) != n {
		return errReply
	}
	dec.Replayed, dec.Allowed, dec.At = kind == 'R', allowed, time.UnixMicro(now)
	dec.Nonce, dec.Cost = answered.Nonce, answered.Cost
	for i := range answered.rules {
		result, ok := result(&body, &answered.rules[i], now, answered.Cost)
		if !ok {
			return errReply
		}
		dec.Results = append(dec.Results, result)
	}
	return nil
}

// unseeded is the error of a take that was not decided.
func unseeded(body numbers, rules int) error {
	var missing ratelimit.UnseededError
	for len(body) >= packedStart {
		rule := body.next()
		if rule < 0 || rule >= int64(rules) {
			return errReply
		}
		missing.Rules = append(missing.Rules, int(rule))
		missing.Starts = append(missing.Starts, time.UnixMicro(body.next()))
	}
	if len(missing.Rules) == 0 {
		return errReply
	}
	return &missing
}

// result reads what is told of a rule. It reports false if that contradicts
// itself: a cost is said not to fit, and does.
func result(body *numbers, rule *ratelimit.Rule, now, cost int64) (r ratelimit.Result, ok bool) {
	ticks := compile(rule)
	fits := body.next() == 1
	room := ticks.Capacity() - cost
	var v counter.View
	if ticks.Kind == counter.SlidingLog {
		tick, reset, retry, used := body.next(), body.next(), body.next(), body.next()
		if !fits && used <= room {
			return r, false
		}
		v = ticks.LogView(tick, used, reset, retry, now, fits)
	} else {
		state := counter.State{Last: body.next(), Start: body.next(), Prev: body.next(), Cur: body.next()}
		used := ticks.Used(&state)
		if !fits && used <= room {
			return r, false
		}
		v = ticks.View(&state, used, now, cost, fits)
	}
	return ratelimit.Result{
		Rule:       rule,
		Remaining:  v.Remaining,
		Start:      time.UnixMicro(v.Start),
		ResetAfter: v.Reset,
		RetryAfter: v.Retry,
		Denied:     !fits && !rule.Shadow,
		WouldDeny:  !fits && rule.Shadow,
	}, true
}
