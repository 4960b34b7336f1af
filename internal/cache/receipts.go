package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Receipts keeps in Redis what is needed to settle checks. It is safe for
// concurrent use.
//
//	<namespace>:receipt:<request id>   a hash: the receipt, and the cost settled at
type Receipts struct {
	client    redis.UniversalClient
	namespace string
	keep      time.Duration
	timeout   time.Duration
}

// NewReceipts makes Receipts that are kept for a time; no call takes longer than
// the timeout.
func NewReceipts(client redis.UniversalClient, namespace string, keep, timeout time.Duration) *Receipts {
	return &Receipts{client: client, namespace: namespace, keep: keep, timeout: timeout}
}

func (r *Receipts) key(requestID string) string { return r.namespace + ":receipt:" + requestID }

// Keep keeps the receipt of a check, in place of an older one of that id.
func (r *Receipts) Keep(ctx context.Context, requestID string, receipt []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, err := r.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, r.key(requestID))
		pipe.HSet(ctx, r.key(requestID), "receipt", receipt)
		pipe.PExpire(ctx, r.key(requestID), r.keep)
		return nil
	})
	return receiptError(err, "keep a receipt")
}

// Find gives the receipt of a check.
func (r *Receipts) Find(ctx context.Context, requestID string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	data, err := r.client.HGet(ctx, r.key(requestID), "receipt").Bytes()
	return data, receiptError(err, "find a receipt")
}

// KEYS[1] the receipt's key
// ARGV[1] the cost
// Returns the cost that it was first settled at, nil where there is no receipt.
const settleScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then
  return nil
end
redis.call('HSETNX', KEYS[1], 'cost', ARGV[1])
return redis.call('HGET', KEYS[1], 'cost')`

// Settle gives the cost that the check was first settled at, which is this one
// if it was not before.
func (r *Receipts) Settle(ctx context.Context, requestID string, cost int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	settled, err := r.client.Eval(ctx, settleScript, []string{r.key(requestID)}, strconv.FormatInt(cost, 10)).Int64()
	return settled, receiptError(err, "settle a receipt")
}

// receiptError says of an error of Redis what a caller of the API can do.
func receiptError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return apierror.NotFound("receipt")
	default:
		return apierror.New(apierror.CodeStoreUnavailable, "The limit store gave no answer").Wrap(fmt.Errorf("%s: %w", what, err))
	}
}

// LocalReceipts keeps them in the memory of this process, and at most so many:
// beyond that, no more are kept until some have lapsed. It is safe for
// concurrent use.
type LocalReceipts struct {
	keep time.Duration
	now  func() time.Time

	mu    sync.Mutex
	kept  map[string]*localReceipt
	order []lapse // oldest first
}

type localReceipt struct {
	data    []byte
	at      time.Time
	settled bool
	cost    int64
}

type lapse struct {
	requestID string
	at        time.Time
}

// maxLocalReceipts bounds the receipts of a process, of about a KB each.
const maxLocalReceipts = 1 << 20

// NewLocalReceipts makes LocalReceipts that are kept for a time.
func NewLocalReceipts(keep time.Duration, now func() time.Time) *LocalReceipts {
	return &LocalReceipts{keep: keep, now: now, kept: map[string]*localReceipt{}}
}

// Keep keeps the receipt of a check, in place of an older one of that id.
func (r *LocalReceipts) Keep(_ context.Context, requestID string, receipt []byte) error {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(now)
	if len(r.order) >= maxLocalReceipts {
		return apierror.New(apierror.CodeStoreUnavailable, "Too many checks wait to be settled")
	}
	r.kept[requestID] = &localReceipt{data: receipt, at: now}
	r.order = append(r.order, lapse{requestID, now})
	return nil
}

// drop forgets what has lapsed.
func (r *LocalReceipts) drop(now time.Time) {
	n := 0
	for ; n < len(r.order) && now.Sub(r.order[n].at) >= r.keep; n++ {
		if kept := r.kept[r.order[n].requestID]; kept != nil && kept.at.Equal(r.order[n].at) {
			delete(r.kept, r.order[n].requestID)
		}
	}
	r.order = r.order[n:]
}

// Find gives the receipt of a check.
func (r *LocalReceipts) Find(_ context.Context, requestID string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(requestID)
	if err != nil {
		return nil, err
	}
	return kept.data, nil
}

func (r *LocalReceipts) find(requestID string) (*localReceipt, error) {
	r.drop(r.now())
	if kept, ok := r.kept[requestID]; ok {
		return kept, nil
	}
	return nil, apierror.NotFound("receipt")
}

// Settle gives the cost that the check was first settled at, which is this one
// if it was not before.
func (r *LocalReceipts) Settle(_ context.Context, requestID string, cost int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(requestID)
	if err != nil {
		return 0, err
	}
	if !kept.settled {
		kept.settled, kept.cost = true, cost
	}
	return kept.cost, nil
}
