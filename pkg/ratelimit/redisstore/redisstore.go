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
	client    redis.UniversalClient
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
	s := &Store{client: client, namespace: "ratelimit"}
	for _, option := range options {
		option(s)
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
	keys := make([]string, 0, len(req.Rules)+1)
	packed := make([]byte, 0, len(req.Rules)*packedRule)
	for i := range req.Rules {
		rule := &req.Rules[i]
		ticks := compile(rule)
		keys = append(keys, group.counter(&ticks, rule))
		packed = appendRule(packed, &ticks, boolean(rule.Shadow))
	}
	var fingerprint, sealed []byte
	switch {
	case req.ID != "":
		keys = append(keys, group.decision(req.ID))
		fingerprint = binary.LittleEndian.AppendUint64(nil, req.Fingerprint)
		var err error
		if sealed, err = seal(req, nonce); err != nil {
			return fmt.Errorf("take: %w", err)
		}
	case len(keys) == 0:
		keys = append(keys, string(group))
	}
	reply, err := s.run(ctx, takeScript, keys, s.now(), req.Cost, len(req.Rules), packed, fingerprint, sealed)
	if err != nil {
		return fmt.Errorf("take: %w: %w", ratelimit.ErrUnavailable, err)
	}
	if err := read(reply, req, nonce, dec); err != nil {
		*dec = ratelimit.Decision{Results: dec.Results[:0]}
		return err
	}
	return nil
}

// Refund gives back units; see ratelimit.Store.
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
	keys := []string{group.refund(receipt.Nonce, receipt.At)}
	var packed []byte
	for i := range receipt.Spent {
		spent := &receipt.Spent[i]
		ticks := compile(&spent.Rule)
		keys = append(keys, group.counter(&ticks, &spent.Rule))
		packed = appendRule(packed, &ticks, spent.Start.UnixMicro()/ticks.Tick)
	}
	reply, err := s.run(ctx, refundScript, keys, s.now(), units, len(receipt.Spent), packed)
	switch {
	case err != nil:
		return fmt.Errorf("refund: %w: %w", ratelimit.ErrUnavailable, err)
	case reply == "0":
		return ratelimit.ErrRefunded
	default:
		return nil
	}
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
	if _, err := s.once(ctx, args...); err != nil {
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

// group is the beginning of the keys of a group.
type group string

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

func compile(r *ratelimit.Rule) counter.Rule {
	switch {
	case r.Calendar != nil:
		c := r.Calendar
		return counter.NewCalendar(r.Limit, c.Previous.Start, c.Current.Start, c.Next.Start, c.Next.End)
	case r.Algorithm == ratelimit.FixedWindow:
		return counter.NewFixed(r.Limit, r.Window)
	default:
		return counter.NewSliding(r.Limit, r.Window)
	}
}
