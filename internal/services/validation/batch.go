package validation

import (
	"context"
	"fmt"

	"github.com/viva/rate-limiter/internal/models"
)

// BatchRecorder gathers records, and keeps them all at its end.
type BatchRecorder interface {
	Record(s *models.Snapshot, r *models.Record) error
	End() error
}

// Batch answers checks whose records are kept together, which costs less than
// to keep each. It is for one goroutine.
type Batch struct {
	service *Service
	records BatchRecorder // nil where nothing is metered
}

// Batch begins a batch, which has to be ended.
func (s *Service) Batch() *Batch {
	b := &Batch{service: s}
	if s.Recorder != nil {
		b.records = s.Recorder.Batch()
	}
	return b
}

// Validate answers a check, as that of the service does.
func (b *Batch) Validate(ctx context.Context, c *Check) (Answer, error) {
	if b.records == nil {
		return b.service.validate(ctx, c, nil)
	}
	return b.service.validate(ctx, c, b.records)
}

// End keeps the records; when it returns nil, the answers may leave.
func (b *Batch) End() error {
	if b.records == nil {
		return nil
	}
	if err := b.records.End(); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}
