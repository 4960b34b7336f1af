package usage

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// SeriesQuery asks for usage along time. Zero fields take the defaults named.
type SeriesQuery struct {
	Whose
	// Of any length: the first and the last period are cut. From is as long
	// before To as the granularity has for a default, and To is now.
	From, To    time.Time
	Granularity models.Granularity // day
	Zone        string             // IANA name; UTC
	Meter       string             // requests
	Endpoint    *string            // of those that are counted apart
}

// Period is what was used in [From, To).
type Period struct {
	From, To time.Time
	models.UsageCounts
}

// Latency tells what reported latencies stayed below, in milliseconds.
type Latency struct {
	Reports            int64
	P50, P90, P95, P99 float64
}

// Series is usage along time, without a gap.
type Series struct {
	From, To    time.Time // at starts of buckets
	Granularity models.Granularity
	Zone        *time.Location
	Meter       string
	Periods     []Period
	Total       models.UsageCounts
	Latency     *Latency // nil where none was reported, or too much would have to be read
	// CompleteUntil is when the answer ends to be complete; nil where that is not known.
	CompleteUntil *time.Time
	// KeptFrom is when the answer begins to be complete; nil where it is from the
	// start. What is older was dropped, except for whole months of UTC of a key or
	// an owner.
	KeptFrom *time.Time
}

// The spans of a series by default, and at most.
var spans = map[models.Granularity]struct{ standard, most span }{
	models.GranularityHour:  {span{hours: 24}, span{days: 31, text: "31 days"}},
	models.GranularityDay:   {span{days: 30}, span{days: 366, text: "366 days"}},
	models.GranularityWeek:  {span{days: 12 * 7}, span{years: 2, text: "2 years"}},
	models.GranularityMonth: {span{years: 1}, span{years: 5, text: "5 years"}},
}

// Latencies and endpoints of all keys have no sums that stand beside them, so
// as much time is read as a statement has time for.
var (
	closeSpan      = span{days: 92, text: "92 days"}
	closeSpanOfAll = span{hours: 48, text: "48 hours"}
)

// Series adds up what was used in each hour, day, week or month of a zone.
func (s *Service) Series(ctx context.Context, q SeriesQuery) (Series, error) {
	if q.Granularity == "" {
		q.Granularity = models.GranularityDay
	}
	if q.Meter == "" {
		q.Meter = models.MeterRequests
	}
	out := Series{Granularity: q.Granularity, Meter: q.Meter}
	if err := s.period(&q, &out); err != nil {
		return Series{}, err
	}
	who, err := s.find(ctx, q.Whose)
	if err != nil {
		return Series{}, err
	}
	// Before the usage is read: what is told to be complete must be in it.
	if out.CompleteUntil, err = s.completeUntil(ctx); err != nil {
		return Series{}, err
	}
	query := models.UsageQuery{
		From: out.From, To: out.To, KeyID: who.key, OwnerID: who.owner, Meter: q.Meter, Endpoint: q.Endpoint,
	}
	out.KeptFrom = s.keptFrom(out.From)
	edges := q.Granularity.Edges(out.Zone, out.From, out.To)
	used, err := s.deps.Usage.Series(ctx, query, edges)
	if err != nil {
		return Series{}, err
	}
	out.fill(edges, used)
	out.Latency, err = s.latency(ctx, &query)
	return out, err
}

// period settles the zone and the range of a query.
func (s *Service) period(q *SeriesQuery, out *Series) error {
	v := apierror.Validator{Location: apierror.Query}
	limits, ok := spans[q.Granularity]
	v.Check(ok, "granularity", "must be one of: hour, day, week, month")
	out.Zone = time.UTC
	if q.Zone != "" {
		zone, err := models.LoadZone(q.Zone)
		if v.Check(err == nil, "tz", "must be an IANA time zone such as Europe/Berlin"); err == nil {
			out.Zone = zone
		}
	}
	if err := v.Err(); err != nil {
		return err
	}
	now := s.deps.Now()
	from, to := q.From, q.To
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = limits.standard.since(to.In(out.Zone))
	}
	checkRange(&v, from.In(out.Zone), to.In(out.Zone), now, limits.most)
	if q.Endpoint != nil && q.Key == "" && q.Owner == "" {
		v.Check(!to.After(closeSpanOfAll.end(from)), "from", "must be at most "+closeSpanOfAll.text+" before to for an endpoint of all keys")
	}
	out.From, out.To = models.BucketOf(from), models.BucketFrom(to).UTC()
	return v.Err()
}

// fill puts what was used into a period between each two edges.
func (out *Series) fill(edges []time.Time, used []models.UsageAt) {
	out.Periods = make([]Period, len(edges)-1)
	for i := range out.Periods {
		p := &out.Periods[i]
		p.From, p.To = edges[i], edges[i+1]
		if len(used) > 0 && used[0].Bucket.Equal(p.From) {
			p.UsageCounts, used = used[0].UsageCounts, used[1:]
		}
		out.Total.Add(&p.UsageCounts)
	}
}

// latency adds up the latencies of a query that is short enough.
func (s *Service) latency(ctx context.Context, q *models.UsageQuery) (*Latency, error) {
	most := closeSpan
	if q.KeyID == "" && q.OwnerID == "" {
		most = closeSpanOfAll
	}
	if q.To.After(most.end(q.From).Add(2 * models.Bucket)) { // by which the range has grown
		return nil, nil
	}
	counts, err := s.deps.Usage.Latencies(ctx, *q)
	if err != nil || len(counts) == 0 {
		return nil, err
	}
	l := &Latency{
		P50: models.Percentile(counts, 0.50), P90: models.Percentile(counts, 0.90),
		P95: models.Percentile(counts, 0.95), P99: models.Percentile(counts, 0.99),
	}
	for _, n := range counts {
		l.Reports += n
	}
	return l, nil
}
