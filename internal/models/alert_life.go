package models

import (
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// refreshEvery is how often the value of an alert that stays is written anew.
const refreshEvery = time.Minute

// Seen takes in that the cause is there at now, and tells whether the alert has
// changed. A resolved alert that is live stays resolved.
func (a *Alert) Seen(r *AlertRule, c *AlertCause, now time.Time) (changed bool) {
	if a.ClearedAt != nil {
		a.ClearedAt, changed = nil, true
	}
	switch {
	case a.State == AlertPending && now.Sub(a.CreatedAt) >= time.Duration(r.For):
		a.FiredAt = &now
		a.activate()
		changed = true
	case a.State == AlertSuppressed && !now.Before(*a.SuppressedUntil):
		a.SuppressedUntil = nil
		a.activate()
		changed = true
	}
	if changed || a.Value != c.Value && now.Sub(a.SeenAt) >= refreshEvery {
		a.Value, a.Threshold, a.Text, a.SeenAt = c.Value, c.Threshold, c.Text, now
		changed = true
	}
	return changed
}

// activate makes the alert active, which has to be told.
func (a *Alert) activate() {
	a.State = AlertActive
	a.Crossing++
}

// Unseen takes in that the cause is not there at now. A pending alert is then as
// if it had never been: forget tells that it is to be erased.
func (a *Alert) Unseen(r *AlertRule, now time.Time) (changed, forget bool) {
	if a.State == AlertPending {
		return false, true
	}
	if a.ClearedAt == nil {
		a.ClearedAt, changed = &now, true
	}
	switch {
	case a.PeriodEnd != nil && !now.Before(*a.PeriodEnd):
		a.end(ResolutionPeriodEnded, now)
		return true, false
	case now.Sub(*a.ClearedAt) >= time.Duration(r.ResolveAfter):
		a.end(ResolutionCleared, now)
		return true, false
	}
	return changed, false
}

// Remove resolves an alert whose rule is gone.
func (a *Alert) Remove(now time.Time) { a.end(ResolutionRuleRemoved, now) }

func (a *Alert) end(why Resolution, now time.Time) {
	a.Live = false
	if a.State == AlertResolved {
		return // by hand, and the cause has gone only now
	}
	a.resolve(why, now)
}

func (a *Alert) resolve(why Resolution, now time.Time) {
	a.State, a.Resolution, a.ResolvedAt, a.SuppressedUntil = AlertResolved, why, &now, nil
}

// Tell says what is to be told of an unresolved alert now, with a number that
// tells it from what was told before; "" for nothing. Quiet alerts are told of
// later, if their cause is still there.
func (a *Alert) Tell(r *AlertRule, now time.Time, quiet bool) (EventType, int) {
	switch {
	case a.State != AlertActive || a.ClearedAt != nil || quiet:
		return "", 0
	case a.Told < a.Crossing:
		a.Told, a.ToldAt = a.Crossing, &now
		return EventAlertActive, a.Crossing
	case r.RepeatEvery > 0 && a.ToldAt != nil && now.Sub(*a.ToldAt) >= time.Duration(r.RepeatEvery):
		a.Repeats++
		a.ToldAt = &now
		return EventAlertRepeated, a.Repeats
	}
	return "", 0
}

// WasTold tells whether anybody heard of the alert by itself, and so is to hear of
// its end.
func (a *Alert) WasTold() bool { return a.ToldAt != nil }

// Acknowledge says that somebody is at it: it is not told again.
func (a *Alert) Acknowledge(by, note string, now time.Time) error {
	if a.State == AlertAcknowledged {
		return apierror.New(apierror.CodeConflict, "The alert is acknowledged already")
	}
	if err := a.open("acknowledged"); err != nil {
		return err
	}
	a.State, a.AcknowledgedAt, a.SuppressedUntil = AlertAcknowledged, &now, nil
	a.noted(by, note)
	return nil
}

// Resolve ends the alert by hand. While its cause lasts, it is not opened anew:
// only when the cause has gone and comes back.
func (a *Alert) Resolve(by, note string, now time.Time) error {
	if err := a.open("resolved"); err != nil {
		return err
	}
	a.resolve(ResolutionManual, now)
	a.noted(by, note)
	return nil
}

// Suppress keeps the alert from being told until an instant. If its cause is
// still there then, it becomes active, and is told.
func (a *Alert) Suppress(until time.Time, by, note string, now time.Time) error {
	if err := a.open("suppressed"); err != nil {
		return err
	}
	if !until.After(now) || until.Sub(now) > MaxSuppression {
		return apierror.Invalid(apierror.Field{In: apierror.Body, Name: "until", Detail: "must be in the future, at most 90 days ahead"})
	}
	a.State, a.SuppressedUntil = AlertSuppressed, NormalizeInstant(&until)
	a.noted(by, note)
	return nil
}

// MaxSuppression bounds how far ahead an alert is suppressed.
const MaxSuppression = 90 * 24 * time.Hour

// open refuses what only open alerts allow.
func (a *Alert) open(participle string) error {
	switch a.State {
	case AlertPending:
		return apierror.Newf(apierror.CodeConflict, "The alert has not fired yet: it cannot be %s", participle)
	case AlertResolved:
		return apierror.Newf(apierror.CodeConflict, "The alert is resolved: it cannot be %s", participle)
	}
	return nil
}

// noted keeps the last note; who did something without one is in the audit log.
func (a *Alert) noted(by, note string) {
	if note != "" || a.Note == "" {
		a.Note, a.NoteBy = note, by
	}
}
