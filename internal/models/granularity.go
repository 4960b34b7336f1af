package models

import "time"

// Granularity is the length of the periods that a series of usage is made of.
type Granularity string

// The granularities of a series.
const (
	GranularityHour  Granularity = "hour"
	GranularityDay   Granularity = "day"
	GranularityWeek  Granularity = "week" // from Monday
	GranularityMonth Granularity = "month"
)

// Next gives the end of the period that t is in, by the clock and the calendar
// of a zone. Days begin with the first instant that bears their date, and what
// is longer with the first of its days that there is.
func (g Granularity) Next(zone *time.Location, t time.Time) time.Time {
	switch g {
	case GranularityDay:
		return CalendarAt(PeriodDay, zone, 1, t).Current.End
	case GranularityMonth:
		return CalendarAt(PeriodMonth, zone, 1, t).Current.End
	case GranularityWeek:
		return nextMonday(zone, t)
	default:
		return nextHour(zone, t)
	}
}

// nextMonday asks for the date of the day that t is in, which a clock set back
// over midnight may not show at t itself.
func nextMonday(zone *time.Location, t time.Time) time.Time {
	today := CalendarAt(PeriodDay, zone, 1, t).Current.Start.In(zone)
	y, m, d := today.Date()
	sinceMonday := (int(today.Weekday()) + 6) % 7
	return startOfDay(y, m, d+7-sinceMonday, zone)
}

// nextHour gives the next instant at which the clock shows a full hour or is
// changed, as no hour goes over a change.
func nextHour(zone *time.Location, t time.Time) time.Time {
	local := t.In(zone)
	_, offset := local.Zone()
	const hour = int64(time.Hour / time.Second)
	wall := local.Unix() + int64(offset)
	into := ((wall % hour) + hour) % hour // also before 1970
	next := time.Unix(local.Unix()-into+hour, 0).UTC()
	if _, change := local.ZoneBounds(); !change.IsZero() && change.Before(next) {
		return change.UTC()
	}
	return next
}

// Edges cuts [from, to) at the ends of the periods of a zone, and gives the
// edges, from and to among them. Usage is kept by the Bucket, so a period
// begins with the first bucket that begins in it, and from and to must be
// starts of buckets.
func (g Granularity) Edges(zone *time.Location, from, to time.Time) []time.Time {
	edges := []time.Time{from}
	for t := from; ; {
		t = g.Next(zone, t)
		edge := BucketFrom(t)
		if !edge.Before(to) {
			return append(edges, to)
		}
		if edge.After(edges[len(edges)-1]) {
			edges = append(edges, edge)
		}
	}
}

// BucketFrom gives the start of the first bucket that does not begin before t.
func BucketFrom(t time.Time) time.Time {
	start := BucketOf(t)
	if start.Before(t) {
		start = start.Add(Bucket)
	}
	return start
}
