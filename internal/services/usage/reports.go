package usage

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Subjects finds whom a report is about.
type Subjects interface {
	SnapshotOf(ctx context.Context, key models.KeyID) (*models.Snapshot, error)
}

// Recorder keeps records so that they survive this process.
type Recorder interface {
	Record(s *models.Snapshot, r *models.Record) error
}

// Reports takes what callers tell after the calls they were let make. It is
// safe for concurrent use.
type Reports struct {
	subjects Subjects
	recorder Recorder
	now      func() time.Time
}

// NewReports makes Reports.
func NewReports(subjects Subjects, recorder Recorder, now func() time.Time) *Reports {
	return &Reports{subjects: subjects, recorder: recorder, now: now}
}

// Event is what happened to one call. The same ID of the same key counts once.
type Event struct {
	ID        string
	KeyID     string
	RequestID string    // of the check that let it in; may be empty
	At        time.Time // zero for now
	Method    string
	Endpoint  string
	Status    int // HTTP status; 0 where there was none
	Latency   *time.Duration
	BytesIn   int64
	BytesOut  int64
	Meter     string // of Units; requests where empty
	Units     int64
}

// Bounds of an event.
const (
	MaxEvents    = 1000 // in one report
	MaxEventID   = 128
	MaxEventAge  = 24 * time.Hour
	MaxLatency   = 24 * time.Hour
	maxAmount    = 1<<53 - 1
	maxMethod    = 16
	maxPath      = 2048
	maxRequestID = 80
)

// Report takes events, each on its own: the errors come in their order, nil
// where the event was taken. What was taken survives this process.
func (r *Reports) Report(ctx context.Context, events []Event) []error {
	now, known := r.now(), map[models.KeyID]*models.Snapshot{}
	errs := make([]error, len(events))
	for i := range events {
		errs[i] = r.report(ctx, &events[i], now, known)
	}
	return errs
}

func (r *Reports) report(ctx context.Context, e *Event, now time.Time, known map[models.KeyID]*models.Snapshot) error {
	if e.At.IsZero() {
		e.At = now
	}
	if e.Meter == "" {
		e.Meter = models.MeterRequests
	}
	if err := e.validate(now); err != nil {
		return err
	}
	key := models.KeyID(e.KeyID)
	snapshot := known[key]
	if snapshot == nil {
		var err error
		if snapshot, err = r.subjects.SnapshotOf(ctx, key); err != nil {
			return models.MissingRef(err, apierror.Body, "key_id", "key")
		}
		known[key] = snapshot
	}
	record := models.Record{
		Kind: models.RecordReport, RequestID: e.RequestID, At: e.At,
		Once: models.EventIDOf("event", string(snapshot.Key.ID), e.ID),
		Live: snapshot.Key.Environment == apikey.Live, Units: e.Units, Meter: e.Meter, Method: e.Method, Endpoint: e.Endpoint,
		Status: e.Status, BytesIn: e.BytesIn, BytesOut: e.BytesOut,
	}
	if e.Latency != nil {
		record.HasTiming, record.LatencyMS = true, int64((*e.Latency+time.Millisecond/2)/time.Millisecond)
	}
	if err := r.recorder.Record(snapshot, &record); err != nil {
		return fmt.Errorf("report event: %w", err)
	}
	return nil
}

func (e *Event) validate(now time.Time) error {
	var v apierror.Validator
	v.Check(e.ID != "", "id", "must not be empty")
	models.ValidateText(&v, "id", e.ID, MaxEventID)
	models.ValidateText(&v, "request_id", e.RequestID, maxRequestID)
	models.ValidateText(&v, "method", e.Method, maxMethod)
	models.ValidateText(&v, "endpoint", e.Endpoint, maxPath)
	models.ValidateIdentifier(&v, "meter", e.Meter)
	v.Checkf(!e.At.Before(now.Add(-MaxEventAge)) && !e.At.After(now.Add(maxAhead)), "at",
		"must be at most %s old, and at most %s ahead", MaxEventAge, maxAhead)
	v.Check(e.Status == 0 || e.Status >= 100 && e.Status <= 599, "status", "must be an HTTP status from 100 to 599")
	v.Checkf(e.Latency == nil || *e.Latency >= 0 && *e.Latency <= MaxLatency, "latency_ms", "must be from 0 to %d", MaxLatency.Milliseconds())
	for _, amount := range []struct {
		field string
		n     int64
	}{{"bytes_in", e.BytesIn}, {"bytes_out", e.BytesOut}, {"units", e.Units}} {
		v.Checkf(amount.n >= 0 && amount.n <= maxAmount, amount.field, "must be from 0 to %d", int64(maxAmount))
	}
	return v.Err()
}
