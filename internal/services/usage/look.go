package usage

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// The spans of lists by default, and at most.
var (
	logSpan           = span{days: 1}
	mostLogSpan       = span{days: 31, text: "31 days"}
	violationSpan     = span{days: 7}
	mostViolationSpan = span{days: 92, text: "92 days"}
)

// LogQuery narrows a list of checks and reports; zero fields match all.
type LogQuery struct {
	Whose
	Code     string
	From, To time.Time // the last 24 hours unless said otherwise
}

// Logs gives a page of the checks and reports that are kept one by one, newest
// first.
func (s *Service) Logs(ctx context.Context, q LogQuery, page models.Page) ([]models.UsageLog, error) {
	from, err := s.listRange(q.From, q.To, logSpan, mostLogSpan)
	if err != nil {
		return nil, err
	}
	who, err := s.filter(ctx, q.Whose)
	if err != nil {
		return nil, err
	}
	return s.deps.Logs.List(ctx, models.UsageLogFilter{KeyID: who.key, OwnerID: who.owner, Code: q.Code, From: from, To: q.To}, page)
}

// ViolationQuery narrows a list of violations; zero fields match all.
type ViolationQuery struct {
	Whose
	Rule     string
	From, To time.Time // the last 7 days unless said otherwise; a violation is at the start of its minute
}

// Violations gives a page of refusals by a rule, newest first.
func (s *Service) Violations(ctx context.Context, q ViolationQuery, page models.Page) ([]models.RateLimitViolation, error) {
	from, err := s.listRange(q.From, q.To, violationSpan, mostViolationSpan)
	if err != nil {
		return nil, err
	}
	who, err := s.filter(ctx, q.Whose)
	if err != nil {
		return nil, err
	}
	return s.deps.Violations.List(ctx, models.ViolationFilter{KeyID: who.key, OwnerID: who.owner, Rule: q.Rule, From: from, To: q.To}, page)
}

// listRange checks the range of a list and gives its begin. An end that is not
// given stays open: what comes meanwhile belongs to no page but the first.
func (s *Service) listRange(from, to time.Time, standard, most span) (time.Time, error) {
	now := s.deps.Now()
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = standard.since(to.UTC())
	}
	v := apierror.Validator{Location: apierror.Query}
	checkRange(&v, from.UTC(), to.UTC(), now, most)
	return from, v.Err()
}

// Explanation tells why a check was answered as it was, and what it came to.
type Explanation struct {
	Check       models.UsageLog
	Repeats     int               // times the answer was given again, to the same check_id
	Adjustments []models.UsageLog // later corrections of what it cost, oldest first
	Reports     []models.UsageLog // what was told of the call afterwards
	Units       int64             // spent in the end
	// Decisive is the rule that refused, or came nearest to; nil where none was asked.
	Decisive *models.RecordedLimit
	// RetryAt is when the same call would have been allowed; nil where it was,
	// and where no waiting would have helped.
	RetryAt *time.Time

	Key           string // its name; empty if it was erased
	Owner         string // its external id or name
	Plan          string // its name
	PlanVersion   int
	CompleteUntil *time.Time
}

// Explain explains one check. It gives apierror.CodeNotRecorded where no row of
// it is kept.
func (s *Service) Explain(ctx context.Context, requestID string) (Explanation, error) {
	until, err := s.completeUntil(ctx)
	if err != nil {
		return Explanation{}, err
	}
	rows, err := s.deps.Logs.Find(ctx, requestID, time.Time{})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{CompleteUntil: until}
	if !e.fill(rows) {
		return Explanation{}, notRecorded(until)
	}
	return e, s.name(ctx, &e)
}

// fill sorts the rows of one request, and tells whether the check is among them.
func (e *Explanation) fill(rows []models.UsageLog) (found bool) {
	for i := range rows {
		row := &rows[i]
		switch {
		case row.Kind == models.RecordAdjustment:
			e.Adjustments = append(e.Adjustments, *row)
			e.Units += row.Units
		case row.Kind == models.RecordReport:
			e.Reports = append(e.Reports, *row)
		case row.Kind != models.RecordCheck:
		case row.Replayed:
			e.Repeats++
		case !found:
			found = true
			e.Check = *row
			e.Units += row.Units
		}
	}
	e.decide()
	return found
}

// decide finds the rule that decided, and when the call would be allowed again.
func (e *Explanation) decide() {
	var wait int64
	for i := range e.Check.Limits {
		l := &e.Check.Limits[i]
		if l.Tightest {
			e.Decisive = l
		}
		switch {
		case !l.Denied:
		case l.RetryAfterMS < 0 || wait < 0:
			wait = -1
		default:
			wait = max(wait, l.RetryAfterMS)
		}
	}
	if wait > 0 && !e.Check.Allowed {
		at := e.Check.At.Add(time.Duration(wait) * time.Millisecond)
		e.RetryAt = &at
	}
}

// name finds what people call those that the check is about.
func (s *Service) name(ctx context.Context, e *Explanation) error {
	keys, err := s.deps.Keys.FindMany(ctx, []models.KeyID{e.Check.APIKeyID})
	if err != nil {
		return err
	}
	e.Key = keys[e.Check.APIKeyID].Name
	owners, err := s.deps.Owners.FindMany(ctx, []models.OwnerID{e.Check.OwnerID})
	if err != nil {
		return err
	}
	if owner, ok := owners[e.Check.OwnerID]; ok {
		e.Owner = labelOf(&owner)
	}
	segments, err := s.deps.Usage.Segments(ctx, []models.SegmentID{e.Check.SegmentID})
	if err != nil {
		return err
	}
	segment, ok := segments[e.Check.SegmentID]
	if !ok {
		return nil
	}
	plans, err := s.deps.Plans.FindMany(ctx, []models.PlanID{segment.PlanID})
	e.Plan, e.PlanVersion = plans[segment.PlanID].Name, segment.PlanVersion
	return err
}

func notRecorded(until *time.Time) error {
	detail := "No such check is recorded: there may have been none of a known key, it may have been left out by sampling, or is kept no longer"
	if until != nil {
		detail += ", or is not brought in yet; everything is up to " + until.UTC().Format(time.RFC3339)
	}
	return apierror.New(apierror.CodeNotRecorded, detail)
}
