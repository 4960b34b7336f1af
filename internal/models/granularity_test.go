package models_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
)

func TestPeriodsAreThoseOfTheZone(t *testing.T) {
	for _, test := range []struct {
		name        string
		granularity models.Granularity
		zone        string
		from, to    string
		want        []string // the edges between
	}{
		{"hours", "hour", "UTC", "2026-03-01T00:30:00Z", "2026-03-01T02:15:00Z", []string{"2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z"}},
		{"hours at 45 minutes", "hour", "Asia/Kathmandu", "2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z", []string{"2026-03-01T00:15:00Z", "2026-03-01T01:15:00Z"}},
		{"a change by half an hour", "hour", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", "2026-10-03T17:00:00Z",
			[]string{"2026-10-03T14:30:00Z", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"}},
		{"days", "day", "Asia/Kathmandu", "2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z", []string{"2026-03-01T18:15:00Z", "2026-03-02T18:15:00Z"}},
		{"a day of 23 hours", "day", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", []string{"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}},
		{"a day of 25 hours", "day", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", []string{"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}},
		{"a day that begins at one", "day", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z", []string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"a day whose midnight comes twice", "day", "America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-19T12:00:00Z", []string{"2018-02-18T03:00:00Z", "2018-02-19T03:00:00Z"}},
		{"a day that was left out", "day", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T12:00:00Z", []string{"2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z"}},
		{"weeks from Monday", "week", "Europe/Berlin", "2026-03-18T00:00:00Z", "2026-04-07T00:00:00Z",
			[]string{"2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z", "2026-04-05T22:00:00Z"}},
		{"a week that begins now", "week", "UTC", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z", nil},
		{"months", "month", "Europe/Berlin", "2026-01-15T00:00:00Z", "2026-05-01T00:00:00Z",
			[]string{"2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"}},
		{"an edge within a bucket", "day", "America/St_Johns", "2010-03-14T00:00:00Z", "2010-03-16T00:00:00Z", []string{"2010-03-14T03:30:00Z", "2010-03-15T02:30:00Z"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			zone, err := models.LoadZone(test.zone)
			require.NoError(t, err)
			parse := func(text string) time.Time {
				at, err := time.Parse(time.RFC3339, text)
				require.NoError(t, err)
				return at
			}
			want := []time.Time{parse(test.from)}
			for _, edge := range append(test.want, test.to) {
				want = append(want, parse(edge))
			}
			require.Equal(t, want, test.granularity.Edges(zone, parse(test.from), parse(test.to)))
		})
	}
}

func TestPeriodsFollowEachOther(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Africa/Cairo", "America/Havana"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := models.LoadZone(rapid.SampledFrom(zones).Draw(t, "zone"))
		require.NoError(t, err)
		g := rapid.SampledFrom([]models.Granularity{"hour", "day", "week", "month"}).Draw(t, "granularity")
		at := time.Unix(rapid.Int64Range(0, 2_000_000_000).Draw(t, "at"), 0).UTC()
		next := g.Next(zone, at)
		require.True(t, next.After(at))
		// Every instant of a period has the same end.
		between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at))-1).Draw(t, "later")))
		require.Equal(t, next, g.Next(zone, between))
		require.True(t, g.Next(zone, next).After(next))
		local := next.In(zone)
		switch g {
		case models.GranularityWeek:
			require.Equal(t, time.Monday, local.Weekday())
		case models.GranularityMonth:
			require.Equal(t, 1, local.Day())
		}
	})
}

func TestBucketFromIsTheFirstThatBeginsNoEarlier(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 15, 0, 0, time.UTC)
	require.Equal(t, at, models.BucketFrom(at))
	require.Equal(t, at, models.BucketFrom(at.Add(-time.Nanosecond)))
	require.Equal(t, at.Add(models.Bucket), models.BucketFrom(at.Add(time.Nanosecond)))
}

func TestPositionsAreReadBack(t *testing.T) {
	row := models.UsageLog{At: time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC), RequestID: `a"b`, Kind: models.RecordReport, Meter: "tokens"}
	position := row.Position()
	back, err := models.ParseUsageLogPosition(&position)
	require.NoError(t, err)
	require.Equal(t, row, back)
	for _, bad := range []models.Position{{}, {Value: position.Value, ID: "x"}, {Value: "x", ID: position.ID}} {
		_, err := models.ParseUsageLogPosition(&bad)
		require.Error(t, err)
	}
}
