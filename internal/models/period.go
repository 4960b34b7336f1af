package models

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// zones keeps every zone that was loaded: reading one costs more than a check,
// and a copy for each owner would fill the cache of keys with them.
var zones sync.Map // of *time.Location by name

// LoadZone gives the time zone of an IANA name such as "Europe/Berlin". It
// refuses the names that a system's folder of zones adds for itself, all in
// lower case, and "Local": they mean something else on each machine.
func LoadZone(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "" || name[0] < 'A' || name[0] > 'Z' || name == "Local" {
		return nil, errors.New("not an IANA time zone")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	zones.Store(name, zone)
	return zone, nil
}

// CalendarAt gives the period of a kind that t is in, in a zone, and those
// before and after it. Months begin on the anchor day (1–31), or on the month's
// last day where it has fewer.
func CalendarAt(kind PeriodKind, zone *time.Location, anchor int, t time.Time) ratelimit.Calendar {
	start := func(offset int) time.Time { return periodStart(kind, zone, anchor, t, offset) }
	// A clock set back over midnight shows yesterday's date within today, and a
	// date that a zone skipped has no period.
	current := 0
	for !t.Before(start(current + 1)) {
		current++
	}
	previous, end := current-1, current+2
	for start(previous).Equal(start(current)) {
		previous--
	}
	for start(end).Equal(start(current + 1)) {
		end++
	}
	edges := [4]time.Time{start(previous), start(current), start(current + 1), start(end)}
	return ratelimit.Calendar{
		Name:     string(kind),
		Previous: ratelimit.Period{Start: edges[0], End: edges[1]},
		Current:  ratelimit.Period{Start: edges[1], End: edges[2]},
		Next:     ratelimit.Period{Start: edges[2], End: edges[3]},
	}
}

// periodStart gives the start of the period that lies offset periods from the
// one of t's date.
func periodStart(kind PeriodKind, zone *time.Location, anchor int, t time.Time, offset int) time.Time {
	local := t.In(zone)
	y, m, d := local.Date()
	switch kind {
	case PeriodDay:
		return startOfDay(y, m, d+offset, zone)
	case PeriodMonth:
		if d < anchorDay(y, m, anchor) {
			m--
		}
		first := time.Date(y, m+time.Month(offset), 1, 0, 0, 0, 0, time.UTC)
		return startOfDay(first.Year(), first.Month(), anchorDay(first.Year(), first.Month(), anchor), zone)
	default:
		panic(fmt.Sprintf("models: no period %q", kind))
	}
}

func anchorDay(y int, m time.Month, anchor int) int {
	last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return min(anchor, last)
}

// startOfDay gives the first instant whose date in the zone is the one given
// or, where a zone skipped that whole date, a later one. Clock changes may skip
// midnight or bring it twice, so each stretch of constant offset is asked in
// turn for its first instant at or past midnight.
func startOfDay(y int, m time.Month, d int, zone *time.Location) time.Time {
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	for t := midnight.Add(-36 * time.Hour).In(zone); ; {
		begin, end := t.ZoneBounds()
		_, offset := t.Zone()
		first := midnight.Add(-time.Duration(offset) * time.Second)
		if first.Before(begin) {
			first = begin
		}
		if end.IsZero() || first.Before(end) {
			return first.UTC()
		}
		t = end
	}
}
