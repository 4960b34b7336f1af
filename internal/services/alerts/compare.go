package alerts

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// step is what one comparison of a rule with its alerts comes to.
type step struct {
	opened    []models.Alert
	changed   []*models.Alert
	forgotten []models.AlertID
	tellings  []telling
	more      int64 // alerts that are told as one
	burst     bool  // the burst of the rule has changed
	rest      bool  // there is more than one step does

	rule   *models.AlertRule
	now    time.Time
	quiet  func(*models.Alert) bool
	untold int64 // those of a burst that are yet to come, and told already
	left   int64 // those that would be told, had the step room for them
}

// compare says what becomes of the alerts of a rule, given the causes that there
// are. It changes the live alerts, and the burst of the rule. An alert that is
// quiet is not told of.
//
// Of more alerts than one step has room for, the rest is told as one; the steps
// that come to them tell nothing more.
func compare(rule *models.AlertRule, live []models.Alert, causes []models.AlertCause, now time.Time, quiet func(*models.Alert) bool) *step {
	s := &step{rule: rule, now: now, quiet: quiet, untold: rule.Rest}
	found := make(map[string]*models.AlertCause, len(causes))
	for i := range causes {
		found[causes[i].Fingerprint(rule.ID)] = &causes[i]
	}
	for i := range live {
		cause := found[live[i].Fingerprint]
		delete(found, live[i].Fingerprint)
		if len(s.changed) >= passChanges || len(s.forgotten) >= passChanges {
			s.leave(live[i], cause)
			continue
		}
		s.follow(&live[i], cause)
	}
	for i := range causes {
		if found[causes[i].Fingerprint(rule.ID)] == &causes[i] {
			s.open(&causes[i])
		}
	}
	s.settle()
	return s
}

// follow takes in whether the cause of an alert is still there.
func (s *step) follow(a *models.Alert, cause *models.AlertCause) {
	before := a.State
	changed, forget := s.look(a, cause)
	if forget {
		s.forgotten = append(s.forgotten, a.ID)
		return
	}
	if s.tellActive(a) {
		changed = true
	}
	if a.State == models.AlertResolved && before != models.AlertResolved && a.WasTold() {
		s.tellings = append(s.tellings, telling{alert: a, event: models.EventAlertResolved})
	}
	if changed {
		s.changed = append(s.changed, a)
	}
}

func (s *step) look(a *models.Alert, cause *models.AlertCause) (changed, forget bool) {
	if cause != nil {
		return a.Seen(s.rule, cause, s.now), false
	}
	return a.Unseen(s.rule, s.now)
}

// tellActive tells that an alert is active, if that is due, and whether it was.
func (s *step) tellActive(a *models.Alert) bool {
	toldAt := a.ToldAt
	event, number := a.Tell(s.rule, s.now, s.quiet(a))
	switch {
	case event == "":
		return false
	case event == models.EventAlertActive && s.untold > 0:
		s.untold--
		a.ToldAt = toldAt // by itself it was not told
	default:
		s.tellings = append(s.tellings, telling{a, event, number})
	}
	return true
}

// leave leaves an alert, of which it has a copy, to the next step.
func (s *step) leave(a models.Alert, cause *models.AlertCause) {
	changed, forget := s.look(&a, cause)
	event, _ := a.Tell(s.rule, s.now, s.quiet(&a))
	if event == models.EventAlertActive {
		s.left++
	}
	s.rest = s.rest || changed || forget || event != ""
}

// open opens the alert of a cause that has none.
func (s *step) open(cause *models.AlertCause) {
	if len(s.opened) < passChanges {
		if s.opened == nil {
			s.opened = make([]models.Alert, 0, passChanges) // tellings point into it
		}
		s.opened = append(s.opened, *models.NewAlert(s.rule, cause, s.now))
		s.tellActive(&s.opened[len(s.opened)-1])
		return
	}
	s.rest = true
	if s.rule.For == 0 && !s.quiet(&models.Alert{RuleID: s.rule.ID, OwnerID: &cause.OwnerID}) {
		s.left++
	}
}

// settle tells what is left as one, unless that is done.
func (s *step) settle() {
	untold := min(s.untold, s.left)
	if s.left > untold {
		s.more, untold = s.left-untold, s.left
		s.rule.Bursts++
	}
	s.burst = untold != s.rule.Rest || s.more > 0
	s.rule.Rest = untold
}
