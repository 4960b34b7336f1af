package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Receipts keeps, for a time, what is needed to settle checks, by their request
// ids. What it does not hold is apierror.CodeNotFound.
type Receipts interface {
	Keep(ctx context.Context, requestID string, receipt []byte) error
	Find(ctx context.Context, requestID string) ([]byte, error)
	// Settle decides once what a check came to cost: it gives the cost that it
	// was first called with.
	Settle(ctx context.Context, requestID string, cost int64) (settled int64, err error)
}

// receipt is what is kept of a check that may be settled.
type receipt struct {
	Receipt ratelimit.Receipt `json:"receipt"`
	Record  []byte            `json:"record"` // the check's
	// Local tells that it was decided by one node alone, whose counters are not
	// those that all share.
	Local bool `json:"local,omitempty"`
}

// keepReceipt keeps what settling needs. Where that fails, the answer says that
// the check cannot be settled.
func (s *Service) keepReceipt(ctx context.Context, t *take, a *Answer) {
	t.record.Settle = true
	data, err := json.Marshal(receipt{
		Receipt: t.decision.Receipt(t.request.Group), Record: a.Snapshot.AppendRecord(nil, &t.record), Local: a.Degraded,
	})
	if err == nil {
		err = s.Receipts.Keep(ctx, a.RequestID, data)
	}
	a.Settleable, t.record.Settle = err == nil, err == nil
}

// Refunds settles what was taken from the limits.
type Refunds interface {
	Refund(ctx context.Context, receipt ratelimit.Receipt, units int64) error
}

// Settler corrects afterwards what checks cost.
type Settler struct {
	receipts Receipts
	refunds  Refunds
	recorder Recorder
}

// NewSettler makes a Settler.
func NewSettler(receipts Receipts, refunds Refunds, recorder Recorder) *Settler {
	return &Settler{receipts: receipts, refunds: refunds, recorder: recorder}
}

// Settlement is what a check came to cost.
type Settlement struct {
	RequestID string
	KeyID     models.KeyID
	Before    int64 // units spent when it was answered
	Cost      int64
}

// Settle makes a check that was allowed cost so many units, more or fewer than
// it did. It can be repeated with the same cost; another one is
// apierror.CodeConflict. A check that was not asked to be settled, or too long
// ago, is apierror.CodeNotSettleable.
func (s *Settler) Settle(ctx context.Context, requestID string, cost int64) (Settlement, error) {
	var v apierror.Validator
	validateCost(&v, cost)
	if err := v.Err(); err != nil {
		return Settlement{}, err
	}
	kept, record, err := s.find(ctx, requestID)
	if err != nil {
		return Settlement{}, err
	}
	settled, err := s.receipts.Settle(ctx, requestID, cost)
	if err != nil {
		return Settlement{}, fmt.Errorf("settle check: %w", err)
	}
	if settled != cost {
		return Settlement{}, apierror.New(apierror.CodeConflict, "The check was settled at another cost")
	}
	// From here on all can be repeated: the record counts once, and so does the
	// receipt.
	adjustment := adjustmentOf(&record, cost)
	if err := s.recorder.Record(nil, &adjustment); err != nil {
		return Settlement{}, fmt.Errorf("settle check: %w", err)
	}
	if err := s.correct(ctx, kept, cost); err != nil {
		return Settlement{}, fmt.Errorf("settle check: %w", err)
	}
	return Settlement{RequestID: requestID, KeyID: record.KeyID, Before: record.Units, Cost: cost}, nil
}

func (s *Settler) find(ctx context.Context, requestID string) (kept receipt, record models.Record, err error) {
	data, err := s.receipts.Find(ctx, requestID)
	if errors.Is(err, apierror.CodeNotFound) {
		return kept, record, apierror.New(apierror.CodeNotSettleable,
			"The check was not asked to be settled, was refused, or is too long ago").Wrap(err)
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err == nil {
		record, err = models.DecodeRecord(kept.Record)
	}
	if err != nil {
		return kept, record, fmt.Errorf("receipt of check: %w", err)
	}
	return kept, record, nil
}

// adjustmentOf makes the record that a check came to cost so much.
func adjustmentOf(check *models.Record, cost int64) models.Record {
	r := *check
	r.Kind, r.Cost, r.Units = models.RecordAdjustment, cost, cost-check.Units
	r.Once = models.EventIDOf("settle", string(check.KeyID), check.RequestID, check.At.UnixMicro())
	r.Limits = nil
	for _, l := range check.Limits {
		if l.Period != "" && l.Spent != 0 {
			l.Spent = r.Units
			r.Limits = append(r.Limits, l)
		}
	}
	return r
}

// correct settles what was taken from the counters.
func (s *Settler) correct(ctx context.Context, kept receipt, cost int64) error {
	units := kept.Receipt.Cost - cost
	if units == 0 || kept.Local {
		return nil
	}
	err := s.refunds.Refund(ctx, kept.Receipt, units)
	switch {
	case errors.Is(err, ratelimit.ErrRefunded):
		return nil
	case errors.Is(err, ratelimit.ErrUnavailable):
		return apierror.New(apierror.CodeStoreUnavailable, "The limit store gave no answer: settle again at the same cost").Wrap(err)
	}
	return err
}
