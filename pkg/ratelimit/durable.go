package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// Seeding says what is known of a counter, which its rule names: that at least
// Used units, from 0 to MaxFixedLimit, were used in the period of its Calendar
// that begins at Start.
//
// If that is the period in which the counter would count now, the store holds it
// from then on and counts at least Used: what it counted already, if that is
// more. Of a period that is over, or has not begun, by the store's clock nothing
// is kept, nor of one before that in which the counter counts already.
type Seeding struct {
	Rule  Rule // with a Calendar, Durable or not
	Start time.Time
	Used  int64
}

// UnseededError says that counters of Durable rules are not there: they have
// never been, or were lost. Nothing was decided and nothing spent. The caller
// finds out what was used in the periods and may Take again after a Seed.
type UnseededError struct {
	Rules  []int       // indices into Request.Rules, ascending
	Starts []time.Time // of the period in which each of them counts by the store's clock
}

func (e *UnseededError) Error() string {
	return fmt.Sprintf("rules %v: %v", e.Rules, ErrUnseeded)
}

// Unwrap returns ErrUnseeded.
func (e *UnseededError) Unwrap() error { return ErrUnseeded }

// ValidateSeed returns an *InvalidError for what a Store would refuse to seed.
func ValidateSeed(group string, seeds []Seeding) error {
	switch {
	case group == "":
		return &InvalidError{-1, "Group", "must not be empty"}
	case len(seeds) == 0 || len(seeds) > MaxRules:
		return &InvalidError{-1, "Seeds", fmt.Sprintf("must be from 1 to %d", MaxRules)}
	}
	for i := range seeds {
		seed := &seeds[i]
		if e := seed.validate(); e != nil {
			e.Rule = i
			return e
		}
		for j := range i {
			if seeds[j].Rule.sameCounter(&seed.Rule) {
				return twice(i, j)
			}
		}
	}
	return nil
}

func (s *Seeding) validate() *InvalidError {
	if e := s.Rule.validate(); e != nil {
		return e
	}
	c := s.Rule.Calendar
	switch {
	case c == nil:
		return &InvalidError{Field: "Calendar", Reason: "must be there to be seeded"}
	case !s.Start.Equal(c.Previous.Start) && !s.Start.Equal(c.Current.Start) && !s.Start.Equal(c.Next.Start):
		return &InvalidError{Field: "Start", Reason: "must be that of a period of the Calendar"}
	case s.Used < 0 || s.Used > MaxFixedLimit:
		return &InvalidError{Field: "Used", Reason: fmt.Sprintf("must be from 0 to %d", int64(MaxFixedLimit))}
	}
	return nil
}

// Seed raises counters; see Store.
func (m *Memory) Seed(ctx context.Context, group string, seeds []Seeding) error {
	if err := ValidateSeed(group, seeds); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	hash := hashGroup(group)
	steps := make([]step, len(seeds))
	for i := range steps {
		steps[i].about(&seeds[i].Rule, hash)
	}
	s := m.shard(hash)
	now, err := s.seed(m, seeds, steps)
	if errors.Is(err, ErrFull) && m.reclaim(len(seeds), now) {
		_, err = s.seed(m, seeds, steps)
	}
	return err
}

// seed raises the counters of the steps, each of which is about one of the
// seeds, and returns the instant it did.
func (s *shard) seed(m *Memory, seeds []Seeding, steps []step) (now int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = m.now()
	s.tidy(m, now)
	s.table.room(len(steps))
	var missing int64
	for i := range steps {
		step, seed := &steps[i], &seeds[i]
		current := s.find(step, now) && step.state.Start == seed.Start.UnixMilli()
		step.fits = current && (step.used < seed.Used || !step.held())
		if step.fits && step.entry == nil {
			missing++
		}
	}
	if missing > 0 && !m.reserve(missing) {
		return now, ErrFull
	}
	for i := range steps {
		if steps[i].fits {
			s.spend(m, &steps[i], seeds[i].Used-steps[i].used)
		}
	}
	return now, nil
}

// unseededError is the error of a take that has read all of its counters, some
// of which it needs and are not there.
func (t *take) unseededError() error {
	var missing UnseededError
	for i := range t.steps {
		if t.unseeded(i) {
			missing.Rules = append(missing.Rules, i)
			missing.Starts = append(missing.Starts, time.UnixMilli(t.steps[i].state.Start))
		}
	}
	return &missing
}

func (t *take) unseeded(i int) bool { return t.req.Rules[i].Durable && !t.steps[i].held() }

// held tells whether there is an entry that counts in the period in which the
// step's counter, a calendar's, does now.
func (st *step) held() bool {
	if st.entry == nil {
		return false
	}
	var then counter.State
	st.rule.Unpack(&then, st.entry.a, st.entry.b, st.entry.c)
	return st.state.Holds(&then)
}
