package models_test

import (
	"slices"
	"sort"
	"testing"
	"time"
	_ "time/tzdata" // the rows mean the same on every machine

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// changes are the clock changes that are hardest on calendars.
var changes = []struct {
	zone     string
	from, to string // dates in UTC around the change
}{
	{"Pacific/Apia", "2011-12-25", "2012-01-05"},         // 30 December was skipped
	{"Pacific/Kwajalein", "1993-08-17", "1993-08-26"},    // 21 August was skipped
	{"Pacific/Kiritimati", "1994-12-27", "1995-01-05"},   // 31 December was skipped
	{"America/Sao_Paulo", "2018-11-01", "2018-11-07"},    // 00:00 → 01:00
	{"America/Sao_Paulo", "2019-02-13", "2019-02-20"},    // 00:00 → 23:00 of the day before
	{"Africa/Cairo", "2024-04-22", "2024-04-29"},         // 00:00 → 01:00
	{"Africa/Cairo", "2024-10-28", "2024-11-03"},         // 00:00 → 23:00 of the day before
	{"Asia/Beirut", "2022-03-24", "2022-03-30"},          // 00:00 → 01:00
	{"Asia/Beirut", "2022-10-27", "2022-11-02"},          // 00:00 → 23:00 of the day before
	{"America/Havana", "2023-03-09", "2023-03-15"},       // 00:00 → 01:00
	{"America/Havana", "2023-11-02", "2023-11-08"},       // 01:00 → 00:00: midnight comes twice
	{"America/St_Johns", "2010-03-11", "2010-03-17"},     // 00:01 → 01:01
	{"America/St_Johns", "2010-11-04", "2010-11-10"},     // 00:01 → 23:01 of the day before
	{"Australia/Lord_Howe", "2024-04-04", "2024-04-10"},  // by half an hour
	{"Asia/Kathmandu", "1985-12-29", "1986-01-04"},       // +05:30 → +05:45 at midnight
	{"Pacific/Chatham", "2024-09-26", "2024-10-02"},      // +12:45 → +13:45
	{"Asia/Pyongyang", "2018-05-02", "2018-05-08"},       // +08:30 → +09:00 at 23:30
	{"America/Caracas", "2007-12-07", "2007-12-12"},      // −04:00 → −04:30
	{"Antarctica/Troll", "2024-03-28", "2024-04-03"},     // by two hours
	{"America/Scoresbysund", "2024-03-28", "2024-04-03"}, // another offset and summer time at once
	{"Africa/Casablanca", "2024-03-07", "2024-03-13"},    // winter time for Ramadan
	{"Europe/Berlin", "2024-10-24", "2024-10-30"},
	{"UTC", "2024-02-26", "2024-03-03"},
}

func TestPeriodsAreThoseOfTheClockOnTheWall(t *testing.T) {
	for _, c := range changes {
		t.Run(c.zone+" "+c.from, func(t *testing.T) {
			zone, err := models.LoadZone(c.zone)
			require.NoError(t, err)
			from, to := date(t, c.from), date(t, c.to)
			wall := watch(zone, from.AddDate(0, -3, 0), to.AddDate(0, 3, 0))
			days := wall.starts(func(time.Time) bool { return true })
			for at := from; at.Before(to); at = at.Add(7 * time.Minute) {
				for _, instant := range []time.Time{at, at.Add(-time.Microsecond)} {
					require.Equal(t, around("day", days, instant), models.CalendarAt(models.PeriodDay, zone, 1, instant), instant)
				}
			}
			for _, anchor := range []int{1, 4, 28, 29, 30, 31} {
				months := wall.starts(func(day time.Time) bool {
					last := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
					return day.Day() == min(anchor, last)
				})
				for at := from; at.Before(to); at = at.Add(37 * time.Minute) {
					require.Equal(t, around("month", months, at), models.CalendarAt(models.PeriodMonth, zone, anchor, at), "%s, anchor %d", at, anchor)
				}
			}
		})
	}
}

// wall remembers, of each date of a zone, the first instant that bears it or a
// later one, as found by looking at the clock every minute.
type wall map[time.Time]time.Time

func watch(zone *time.Location, from, to time.Time) wall {
	w := wall{}
	var latest time.Time
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		y, m, d := at.In(zone).Date()
		shown := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		if latest.IsZero() {
			latest = shown // of unknown beginning
		}
		for latest.Before(shown) {
			latest = latest.AddDate(0, 0, 1)
			w[latest] = at
		}
	}
	return w
}

// starts gives the distinct instants at which the dates chosen begin.
func (w wall) starts(of func(day time.Time) bool) []time.Time {
	var starts []time.Time
	for day, start := range w {
		if of(day) {
			starts = append(starts, start)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	return slices.CompactFunc(starts, time.Time.Equal)
}

func around(name string, starts []time.Time, t time.Time) ratelimit.Calendar {
	next := sort.Search(len(starts), func(i int) bool { return starts[i].After(t) })
	return ratelimit.Calendar{
		Name:     name,
		Previous: ratelimit.Period{Start: starts[next-2], End: starts[next-1]},
		Current:  ratelimit.Period{Start: starts[next-1], End: starts[next]},
		Next:     ratelimit.Period{Start: starts[next], End: starts[next+1]},
	}
}

func TestPeriodsByHand(t *testing.T) {
	tests := []struct {
		name, zone string
		kind       models.PeriodKind
		anchor     int
		at         string
		edges      [4]string
	}{
		{
			"a skipped date has no period", "Pacific/Apia", models.PeriodDay, 1, "2011-12-30T10:00:00Z",
			[4]string{"2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z"},
		},
		{
			"a day begins at one where midnight is skipped", "America/Sao_Paulo", models.PeriodDay, 1, "2018-11-04T12:00:00Z",
			[4]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "2018-11-06T02:00:00Z"},
		},
		{
			"a day begins at the first of two midnights", "America/Havana", models.PeriodDay, 1, "2023-11-05T05:30:00Z",
			[4]string{"2023-11-04T04:00:00Z", "2023-11-05T04:00:00Z", "2023-11-06T05:00:00Z", "2023-11-07T05:00:00Z"},
		},
		{
			"a date that returns does not end the next", "America/St_Johns", models.PeriodDay, 1, "2010-11-07T02:45:00Z",
			[4]string{"2010-11-06T02:30:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z", "2010-11-09T03:30:00Z"},
		},
		{
			"an anchor of 31 is February's last day", "UTC", models.PeriodMonth, 31, "2023-03-01T00:00:00Z",
			[4]string{"2023-01-31T00:00:00Z", "2023-02-28T00:00:00Z", "2023-03-31T00:00:00Z", "2023-04-30T00:00:00Z"},
		},
		{
			"an anchor of 29 is there in a leap year", "UTC", models.PeriodMonth, 29, "2024-02-29T00:00:00Z",
			[4]string{"2024-01-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-29T00:00:00Z", "2024-04-29T00:00:00Z"},
		},
		{
			"the day before an anchor is of the month before", "UTC", models.PeriodMonth, 15, "2024-01-14T23:59:59Z",
			[4]string{"2023-11-15T00:00:00Z", "2023-12-15T00:00:00Z", "2024-01-15T00:00:00Z", "2024-02-15T00:00:00Z"},
		},
		{
			"months begin at midnight on the wall", "Asia/Kathmandu", models.PeriodMonth, 1, "2024-06-30T18:15:00Z",
			[4]string{"2024-05-31T18:15:00Z", "2024-06-30T18:15:00Z", "2024-07-31T18:15:00Z", "2024-08-31T18:15:00Z"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			zone, err := models.LoadZone(test.zone)
			require.NoError(t, err)
			c := models.CalendarAt(test.kind, zone, test.anchor, instant(t, test.at))
			require.Equal(t, string(test.kind), c.Name)
			got := [4]string{text(c.Previous.Start), text(c.Current.Start), text(c.Next.Start), text(c.Next.End)}
			require.Equal(t, test.edges, got)
		})
	}
}

func TestPeriodsAdjoinAndHoldTheInstant(t *testing.T) {
	zones := map[string]*time.Location{}
	var names []string
	for _, c := range changes {
		zone, err := models.LoadZone(c.zone)
		require.NoError(t, err)
		if zones[c.zone] == nil {
			names = append(names, c.zone)
		}
		zones[c.zone] = zone
	}
	first, last := date(t, "1971-01-01").UnixMicro(), date(t, "2100-01-01").UnixMicro()
	rapid.Check(t, func(t *rapid.T) {
		zone := zones[rapid.SampledFrom(names).Draw(t, "zone")]
		kind := rapid.SampledFrom([]models.PeriodKind{models.PeriodDay, models.PeriodMonth}).Draw(t, "kind")
		anchor := rapid.IntRange(1, 31).Draw(t, "anchor")
		at := time.UnixMicro(rapid.Int64Range(first, last).Draw(t, "at"))

		c := models.CalendarAt(kind, zone, anchor, at)
		require.Equal(t, c.Previous.End, c.Current.Start)
		require.Equal(t, c.Current.End, c.Next.Start)
		require.False(t, at.Before(c.Current.Start))
		require.True(t, at.Before(c.Current.End))
		// The limit store has rules of its own for periods: all of these keep them.
		request := ratelimit.Request{Group: "g", Rules: []ratelimit.Rule{{
			Scope: "s", ID: "i", Name: "n", Algorithm: ratelimit.FixedWindow, Limit: 1, Calendar: &c,
		}}}
		require.NoError(t, request.Validate())
		// Another instant of the period tells the same of it.
		span := c.Current.End.Sub(c.Current.Start).Microseconds()
		other := c.Current.Start.Add(time.Duration(rapid.Int64Range(0, span-1).Draw(t, "other")) * time.Microsecond)
		require.Equal(t, c, models.CalendarAt(kind, zone, anchor, other))
		require.Equal(t, c.Next, models.CalendarAt(kind, zone, anchor, c.Next.Start).Current)
		require.Equal(t, c.Previous, models.CalendarAt(kind, zone, anchor, c.Previous.Start).Current)
	})
}

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "GMT"} {
		zone, err := models.LoadZone(name)
		require.NoError(t, err, name)
		require.Equal(t, name, zone.String())
		again, err := models.LoadZone(name)
		require.NoError(t, err)
		require.Same(t, zone, again)
	}
	for _, name := range []string{
		"", "Local", "localtime", "posixrules", "right/UTC", "posix/Europe/Berlin", "Europe", "Europe/Nowhere",
		"../../etc/passwd", "/etc/localtime", "Europe/../UTC", "+02:00", "CET2",
	} {
		_, err := models.LoadZone(name)
		require.Error(t, err, name)
	}
}

func date(t *testing.T, s string) time.Time {
	t.Helper()
	return instant(t, s+"T00:00:00Z")
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }
