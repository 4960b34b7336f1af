package violations

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

const (
	// analyzeBack is how far back violations are analyzed: what comes later than
	// that into the database is counted, and no more.
	analyzeBack = 48 * time.Hour
	// analyzeFirst is where nearly all of them are. Those of a key that is refused
	// at hundreds of endpoints are half a million in analyzeBack: they are read
	// when there is nothing to do nearer, and now and then in a flood.
	analyzeFirst = 15 * time.Minute
	analyzeOften = 60 // in so many runs once
	// analyzeAgain is when is looked whether there are others further back.
	analyzeAgain = time.Second
	// analyzeRows bounds the violations of one transaction.
	analyzeRows = 300
)

// Exceeded is the job rate_limit:exceeded of a key: it finds out how grave its
// violations are, and asks to look for abuse and for causes of alerts. It asks
// to run again until it finds none that is not analyzed.
func (s *Service) Exceeded(ctx context.Context, keyID string) (again time.Duration, err error) {
	key, err := models.ParseID[models.KeyID](keyID)
	if err != nil {
		return 0, fmt.Errorf("violations of key %q: %w", keyID, err)
	}
	rows, err := s.due(ctx, key)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if err := s.judge(ctx, rows); err != nil {
		return 0, err
	}
	err = s.deps.Transactions.InTx(ctx, func(ctx context.Context) error {
		if err := s.deps.Store.Analyzed(ctx, rows); err != nil {
			return err
		}
		if err := s.deps.Jobs.Touch(ctx, models.JobSecurityAnalyze, string(key), 0); err != nil {
			return err
		}
		return s.deps.Jobs.Touch(ctx, models.JobAlertCheck, "", 0)
	})
	if err != nil {
		return 0, err
	}
	if len(rows) == analyzeRows {
		return soon, nil
	}
	return analyzeAgain, nil
}

// due gives violations to analyze: none where there is none.
func (s *Service) due(ctx context.Context, key models.KeyID) ([]models.RateLimitViolation, error) {
	now := s.deps.Now()
	if rand.N(analyzeOften) > 0 {
		rows, err := s.deps.Store.Due(ctx, key, now.Add(-analyzeFirst), analyzeRows)
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return s.deps.Store.Due(ctx, key, now.Add(-analyzeBack), analyzeRows)
}

// ruleMinute is what violations at several endpoints have in common.
type ruleMinute struct {
	rule   string
	minute time.Time
}

func ruleMinuteOf(v *models.RateLimitViolation) ruleMinute { return ruleMinute{v.Rule, v.Minute.UTC()} }

// judge sets how often each was repeated and how grave it is. The rows are of
// one key, oldest first. The repeats of a minute are counted once, when it is
// first looked at: what comes into the database later than that does not change
// them.
func (s *Service) judge(ctx context.Context, rows []models.RateLimitViolation) error {
	key, first, last := rows[0].APIKeyID, rows[0].Minute, rows[len(rows)-1].Minute
	known, err := s.deps.Store.Repeats(ctx, key, first, last)
	if err != nil {
		return err
	}
	repeats := make(map[ruleMinute]int, len(known))
	for i := range known {
		repeats[ruleMinuteOf(&known[i])] = known[i].Repeats
	}
	minutes := map[string][]time.Time{} // in which the rule refused the key
	for i := range rows {
		v := &rows[i]
		n, ok := repeats[ruleMinuteOf(v)]
		if !ok {
			of, ok := minutes[v.Rule]
			if !ok {
				if of, err = s.deps.Store.Minutes(ctx, key, v.Rule, v.Minute.Add(-models.RepeatsWithin), last); err != nil {
					return err
				}
				minutes[v.Rule] = of
			}
			from, _ := slices.BinarySearchFunc(of, v.Minute.Add(-models.RepeatsWithin), time.Time.Compare)
			to, _ := slices.BinarySearchFunc(of, v.Minute, time.Time.Compare)
			n = to - from
			repeats[ruleMinuteOf(v)] = n
		}
		v.Repeats, v.Analyzed = n, v.Count
		v.Severity = models.SeverityOfViolation(v.Count, v.Limit, n)
	}
	return nil
}
