package models_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
)

// drawRecord makes any record that the service could.
func drawRecord(t *rapid.T) models.Record {
	instant := func(label string) time.Time {
		return time.UnixMicro(rapid.Int64Range(1, 1<<53).Draw(t, label)).UTC()
	}
	r := models.Record{
		Kind:      models.RecordKind(rapid.IntRange(1, 4).Draw(t, "kind")),
		RequestID: rapid.String().Draw(t, "request id"), At: instant("at"),
		KeyID: models.NewID[models.KeyID](), Live: rapid.Bool().Draw(t, "live"),
		Segment: models.Segment{
			OwnerID: models.NewID[models.OwnerID](), PlanID: models.NewID[models.PlanID](),
			PlanVersion: rapid.IntRange(0, 1<<30).Draw(t, "version"), Since: instant("since"),
		},
		Code: rapid.String().Draw(t, "code"), Allowed: rapid.Bool().Draw(t, "allowed"),
		Degraded: rapid.Bool().Draw(t, "degraded"), Replayed: rapid.Bool().Draw(t, "replayed"), Settle: rapid.Bool().Draw(t, "settle"),
		Cost: rapid.Int64().Draw(t, "cost"), Units: rapid.Int64().Draw(t, "units"),
		Meter: rapid.String().Draw(t, "meter"), Method: rapid.String().Draw(t, "method"),
		Endpoint: rapid.String().Draw(t, "endpoint"), UserAgent: rapid.String().Draw(t, "agent"),
		IP: rapid.SampledFrom([]netip.Addr{
			{}, netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::1"),
		}).Draw(t, "ip"),
	}
	if rapid.Bool().Draw(t, "once") {
		r.Once = models.EventIDOf("check", r.RequestID, "")
	}
	for range rapid.IntRange(0, 3).Draw(t, "limits") {
		l := models.RecordedLimit{
			Rule: rapid.String().Draw(t, "rule"), Scope: models.ScopeOwner, Limit: rapid.Int64().Draw(t, "limit"),
			Remaining: rapid.Int64().Draw(t, "remaining"), ResetAfterMS: rapid.Int64().Draw(t, "reset"),
			RetryAfterMS: rapid.Int64().Draw(t, "retry"), Spent: rapid.Int64().Draw(t, "spent"),
			Denied: rapid.Bool().Draw(t, "denied"), WouldDeny: rapid.Bool().Draw(t, "would"), Tightest: rapid.Bool().Draw(t, "tightest"),
		}
		if rapid.Bool().Draw(t, "quota") {
			l.Period, l.Start = models.PeriodMonth, instant("start")
		}
		r.Limits = append(r.Limits, l)
	}
	if r.Kind == models.RecordReport {
		r.Status, r.LatencyMS, r.HasTiming = rapid.IntRange(0, 599).Draw(t, "status"), rapid.Int64().Draw(t, "latency"), true
		r.BytesIn, r.BytesOut = rapid.Int64().Draw(t, "in"), rapid.Int64().Draw(t, "out")
	}
	return r
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		data := want.Append(nil)
		got, err := models.DecodeRecord(data)
		require.NoError(t, err)
		require.Equal(t, want, got)
		for n := range data {
			_, err := models.DecodeRecord(data[:n])
			require.Error(t, err, "cut to %d of %d bytes", n, len(data))
		}
		_, err = models.DecodeRecord(append(data, 0))
		require.Error(t, err, "with something behind it")
	})
}

func FuzzDecodeRecord(f *testing.F) {
	r := models.Record{Kind: models.RecordCheck, RequestID: "r", At: noon, Code: "ok"}
	f.Add(r.Append(nil))
	f.Add([]byte{1, 3, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := models.DecodeRecord(data)
		if err != nil {
			return
		}
		back, err := models.DecodeRecord(r.Append(nil))
		require.NoError(t, err)
		require.Equal(t, r, back)
	})
}

func TestASnapshotsRecordsAreItsKeys(t *testing.T) {
	s := snapshot()
	s.Owner.PlanSince = noon
	require.NoError(t, s.Compile())
	want := models.Record{Kind: models.RecordCheck, RequestID: "r", At: noon, KeyID: s.Key.ID, Segment: *s.Segment(), Code: "ok"}
	want.Segment.ID = ""
	got, err := models.DecodeRecord(s.AppendRecord(nil, &models.Record{Kind: want.Kind, RequestID: "r", At: noon, Code: "ok"}))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got.Segment.Identify()
	require.Equal(t, s.Segment().ID, got.Segment.ID)
}

func TestSegments(t *testing.T) {
	s := snapshot()
	s.Owner.PlanSince, s.VersionSince = noon, noon.Add(time.Hour)
	require.NoError(t, s.Compile())
	pinned := *s.Segment()
	require.Equal(t, noon, pinned.Since, "a pin is not moved by later versions")
	s.Owner.PlanVersion = nil
	require.NoError(t, s.Compile())
	following := *s.Segment()
	require.Equal(t, noon.Add(time.Hour), following.Since, "the plan moved on beneath the owner")
	require.NotEqual(t, pinned.ID, following.ID)
	s.Owner.PlanSince = noon.Add(2 * time.Hour)
	require.NoError(t, s.Compile())
	require.Equal(t, s.Owner.PlanSince, s.Segment().Since)
}
