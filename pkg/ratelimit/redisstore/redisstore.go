// Package redisstore keeps the counters of package ratelimit in Redis (7 or
// newer, or Valkey): a single server, Sentinel, Cluster, over TLS or not. Floor
// F0; besides the standard library it imports package ratelimit and go-redis,
// whose clients it is made from.
//
// A Take is one script call, whatever the number of rules, decided in the order
// in which the server runs scripts and by the server's clock. All keys of a
// group carry one hash tag:
//
//	<namespace>:{<group>}:c:<counter>    32 bytes, for the time it counts and a margin
//	<namespace>:{<group>}:d:<request id> a kept decision, for ratelimit.Replay
//	<namespace>:{<group>}:r:<receipt>    a refund, while a window of it counts
//
// where the names in angle brackets are the first 128 bits of the SHA-256 of
// what they stand for: keys are short, any bytes are safe in the names, and
// nobody can choose names that collide.
//
// # Faults
//
// A script is sent at most once. It is sent again only after a reply that
// proves it did not run (NOSCRIPT, LOADING, READONLY, MASTERDOWN, CLUSTERDOWN,
// TRYAGAIN and the redirects of Cluster), a few times, within the context.
// Everything else is answered with an error that wraps
// ratelimit.ErrUnavailable: the call may have spent, and never admits twice.
//
// The context bounds a call only if the client was made with
// ContextTimeoutEnabled, which go-redis leaves off by default.
//
// A server that evicts keys under memory pressure grants their limits again:
// its maxmemory-policy should be noeviction. One that fails over to a replica
// may grant what the replica had not heard of.
package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// Store is a ratelimit.Store in Redis. It is safe for concurrent use and holds
// nothing but its client, which its owner closes.
type Store struct {
	lanes     []lane
	namespace string
	clock     func() time.Time
}

// Option changes what New makes.
type Option func(*Store)

// WithNamespace begins every key with name, "ratelimit" by default. Stores of
// different namespaces share a server without sharing counters. It must not
// contain a brace.
func WithNamespace(name string) Option {
	return func(s *Store) { s.namespace = name }
}

// WithClock decides by clock instead of the server's time. It is for tests:
// in service the one clock that all processes share is the server's. Keys
// expire by the server's clock all the same.
func WithClock(clock func() time.Time) Option {
	return func(s *Store) { s.clock = clock }
}

// New returns a store that uses client.
func New(client redis.UniversalClient, options ...Option) *Store {
	s := &Store{lanes: make([]lane, lanesFor(client)), namespace: "ratelimit"}
	for _, option := range options {
		option(s)
	}
	for i := range s.lanes {
		s.lanes[i].client, s.lanes[i].now, s.lanes[i].reload = client, s.now, reloadOf(client)
	}
	return s
}

// Take decides req; see ratelimit.Store.
func (s *Store) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	*dec = ratelimit.Decision{Results: dec.Results[:0]}
	if err := req.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	group := s.group(req.Group)
	nonce := rand.Uint64()
	c, err := s.pack(group, req, nonce)
	if err != nil {
		return fmt.Errorf("take: %w", err)
	}
	reply, err := s.once(ctx, group, c)
	if err != nil {
		return fmt.Errorf("take: %w: %w", ratelimit.ErrUnavailable, err)
	}
	if err := read(reply, req, nonce, dec); err != nil {
		*dec = ratelimit.Decision{Results: dec.Results[:0]}
		return err
	}
	return nil
}

// pack makes the call that asks the take script for req.
func (s *Store) pack(group group, req *ratelimit.Request, nonce uint64) (call, error) {
	c := call{slot: s.slot(group), keys: make([]string, 0, len(req.Rules)+1)}
	packed := make([]byte, 0, packedHead+len(req.Rules)*packedRule)
	packed = appendNumber(packed, req.Cost)
	packed = appendNumber(packed, int64(len(req.Rules)))
	packed = appendNumber(packed, boolean(req.ID != ""))
	for i := range req.Rules {
		rule := &req.Rules[i]
		ticks := compile(rule)
		c.keys = append(c.keys, group.counter(&ticks, rule))
		c.logs = c.logs || ticks.Kind == counter.SlidingLog
		packed = appendRule(packed, &ticks, boolean(rule.Shadow)+2*boolean(rule.Durable))
	}
	switch {
	case req.ID != "":
		c.keys = append(c.keys, group.decision(req.ID))
		packed = binary.LittleEndian.AppendUint64(packed, req.Fingerprint)
		sealed, err := seal(req, nonce)
		if err != nil {
			return c, err
		}
		packed = append(packed, sealed...)
	case len(c.keys) == 0:
		c.keys = append(c.keys, string(group))
	}
	c.request = string(packed)
	return c, nil
}

// Refund settles what was spent; see ratelimit.Store.
func (s *Store) Refund(ctx context.Context, receipt ratelimit.Receipt, units int64) error {
	if err := receipt.Validate(units); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(receipt.Spent) == 0 {
		return nil
	}
	group := s.group(receipt.Group)
	keys := make([]string, 0, len(receipt.Spent)+1)
	at := receipt.At.UnixMicro()
	var forget int64
	var packed []byte
	for i := range receipt.Spent {
		spent := &receipt.Spent[i]
		ticks := compile(&spent.Rule)
		start := spent.Start.UnixMicro() / ticks.Tick
		forget = max(forget, ticks.ForgetSpent(start, at))
		keys = append(keys, group.counter(&ticks, &spent.Rule))
		packed = appendRule(packed, &ticks, start)
	}
	keys = append(keys, group.refund(receipt.Nonce, receipt.At))
	reply, err := s.run(ctx, refundScript, group, keys, s.now(), units, len(receipt.Spent), packed, at, forget)
	switch {
	case err != nil:
		return fmt.Errorf("refund: %w: %w", ratelimit.ErrUnavailable, err)
	case reply == "0":
		return ratelimit.ErrRefunded
	default:
		return nil
	}
}

// run runs a script other than that of takes.
func (s *Store) run(ctx context.Context, script script, group group, keys []string, argv ...any) (string, error) {
	c := call{slot: s.slot(group), args: script.args(len(keys), len(argv))}
	for _, key := range keys {
		c.args = append(c.args, key)
	}
	c.args = append(c.args, argv...)
	reply, err := s.once(ctx, group, c)
	if lost(err) {
		script.load(c.args)
		reply, err = s.once(ctx, group, c)
	}
	return reply, err
}

// Reset forgets counters; see ratelimit.Store.
func (s *Store) Reset(ctx context.Context, name string, rules []ratelimit.Rule) error {
	req := ratelimit.Request{Group: name, Rules: rules}
	if err := req.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(rules) == 0 {
		return nil
	}
	group := s.group(name)
	args := []any{"del"}
	for i := range rules {
		ticks := compile(&rules[i])
		args = append(args, group.counter(&ticks, &rules[i]))
	}
	if _, err := s.once(ctx, group, call{slot: s.slot(group), args: args}); err != nil {
		return fmt.Errorf("reset: %w: %w", ratelimit.ErrUnavailable, err)
	}
	return nil
}

// now is empty where the server's clock decides.
func (s *Store) now() string {
	if s.clock == nil {
		return ""
	}
	return strconv.FormatInt(counter.Micros(s.clock()), 10)
}

// group is the beginning of the keys of a group: the namespace, the hash tag and
// what ends it.
type group string

const (
	digestLen = 22
	tagEnd    = len("}:")
)

func (s *Store) group(name string) group {
	return group(s.namespace + ":{" + digest([]byte(name)) + "}:")
}

func (g group) counter(ticks *counter.Rule, rule *ratelimit.Rule) string {
	var calendar string
	if rule.Calendar != nil {
		calendar = rule.Calendar.Name
	}
	var buffer [256]byte
	return string(g) + "c:" + digest(ticks.AppendIdentity(buffer[:0], rule.Scope, rule.ID, rule.Name, calendar))
}

func (g group) decision(id string) string { return string(g) + "d:" + digest([]byte(id)) }

func (g group) refund(nonce uint64, at time.Time) string {
	mark := binary.LittleEndian.AppendUint64(nil, nonce)
	return string(g) + "r:" + digest(binary.LittleEndian.AppendUint64(mark, uint64(at.UnixMicro())))
}

func digest(identity []byte) string {
	sum := sha256.Sum256(identity)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func compile(r *ratelimit.Rule) (ticks counter.Rule) {
	if c := r.Calendar; c != nil {
		ticks.Calendar(r.Limit, c.Previous.Start, c.Current.Start, c.Next.Start, c.Next.End)
		return ticks
	}
	burst := r.Burst
	if burst == 0 {
		burst = r.Limit
	}
	ticks.Windowed(kinds[r.Algorithm], r.Limit, burst, r.Window)
	return ticks
}

var kinds = [...]counter.Kind{
	ratelimit.SlidingWindow: counter.Sliding, ratelimit.FixedWindow: counter.Fixed,
	ratelimit.GCRA: counter.GCRA, ratelimit.SlidingLog: counter.SlidingLog,
}
