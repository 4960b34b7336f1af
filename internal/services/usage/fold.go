package usage

import (
	"maps"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// maxEndpoint bounds the endpoints that are counted apart, in bytes: they stand
// in the primary key of rollups.
const maxEndpoint = 255

// fold adds records up. It is not safe for concurrent use.
type fold struct {
	// endpoint says what the endpoint of a key is counted as.
	endpoint func(key models.KeyID, endpoint string) string
	stored   map[models.SegmentID]bool // segments that are in the database

	keys         map[models.KeyID]*foldedKey
	segments     map[models.Segment]models.SegmentID // by what they follow from
	rollups      map[models.UsageCell]*models.UsageRollup
	latencies    map[latencyCell]*models.UsageLatency
	quotas       map[models.QuotaKey]*quotaSpent
	violations   map[violationCell]*models.RateLimitViolation
	installation map[time.Time]*models.InstallationUsage
}

// foldedKey is what the latest record of a key was added to: most likely, the next
// one is as well, and need not be looked for.
type foldedKey struct {
	used     time.Time // at the latest check
	segment  models.Segment
	endpoint string // as the record has it
	rollup   *models.UsageRollup
}

type latencyCell struct {
	models.UsageCell
	latency int
}

type sumCell struct {
	bucket time.Time
	meter  string
}

// quotaSpent is what was spent from a quota, and its limit at the last check of
// those: an adjustment tells that of a check long ago.
type quotaSpent struct {
	units, limit int64
	limitAt      time.Time
}

type violationCell struct {
	key            models.KeyID
	rule, endpoint string
	minute         time.Time
}

func newFold(endpoint func(models.KeyID, string) string, stored map[models.SegmentID]bool) *fold {
	return &fold{
		endpoint: endpoint, stored: stored, keys: map[models.KeyID]*foldedKey{}, segments: map[models.Segment]models.SegmentID{},
		rollups: map[models.UsageCell]*models.UsageRollup{}, latencies: map[latencyCell]*models.UsageLatency{},
		quotas: map[models.QuotaKey]*quotaSpent{}, violations: map[violationCell]*models.RateLimitViolation{},
		installation: map[time.Time]*models.InstallationUsage{},
	}
}

// add adds one record, unless it was counted before.
func (f *fold) add(r *models.Record) {
	if r.Kind == models.RecordLimitCheck {
		if counted(r) {
			f.limitCheck(r)
		}
		return
	}
	key := at(f.keys, r.KeyID, func() *foldedKey { return new(foldedKey) })
	if r.Kind == models.RecordCheck && r.At.After(key.used) {
		key.used = r.At
	}
	if !counted(r) {
		return
	}
	counts, rollup := r.Counts(), f.rollup(key, r)
	rollup.Add(&counts)
	if r.HasTiming {
		c := latencyCell{rollup.UsageCell, models.LatencyBucket(float64(r.LatencyMS))}
		at(f.latencies, c, func() *models.UsageLatency {
			return &models.UsageLatency{UsageCell: rollup.UsageCell, OwnerID: rollup.OwnerID, Latency: c.latency}
		}).Count++
	}
	f.limits(r, rollup.Endpoint)
}

func (f *fold) limitCheck(r *models.Record) {
	bucket := models.BucketOf(r.At)
	c := at(f.installation, bucket, func() *models.InstallationUsage {
		return &models.InstallationUsage{Bucket: bucket, Kind: models.KindLimitCheck}
	})
	c.Requests++
	if r.Allowed {
		c.Allowed++
	}
}

// rollup gives the one that a record is added to.
func (f *fold) rollup(key *foldedKey, r *models.Record) *models.UsageRollup {
	bucket := models.BucketOf(r.At)
	if l := key.rollup; l != nil && l.Bucket.Equal(bucket) && key.endpoint == r.Endpoint && l.Method == r.Method && l.Meter == r.Meter &&
		key.segment == r.Segment {
		return l
	}
	cell := models.UsageCell{
		Bucket: bucket, SegmentID: f.segment(&r.Segment), APIKeyID: r.KeyID,
		Endpoint: f.endpoint(r.KeyID, r.Endpoint), Method: r.Method, Meter: r.Meter,
	}
	key.segment, key.endpoint = r.Segment, r.Endpoint
	key.rollup = at(f.rollups, cell, func() *models.UsageRollup { return &models.UsageRollup{UsageCell: cell, OwnerID: r.Segment.OwnerID} })
	return key.rollup
}

// limits adds what the rules of a check said, by what its endpoint is counted as.
func (f *fold) limits(r *models.Record, endpoint string) {
	for i := range r.Limits {
		l := &r.Limits[i]
		if l.Period != "" && l.Spent != 0 {
			spent := at(f.quotas, l.Quota(r), func() *quotaSpent { return new(quotaSpent) })
			spent.units += l.Spent
			if r.Kind == models.RecordCheck && !r.At.Before(spent.limitAt) {
				spent.limit, spent.limitAt = l.Limit, r.At
			}
		}
	}
	if r.Kind != models.RecordCheck || r.Allowed {
		return
	}
	if l := r.Tightest(); l != nil && l.Denied {
		f.violation(r, l, endpoint)
	}
}

func (f *fold) violation(r *models.Record, l *models.RecordedLimit, endpoint string) {
	cell := violationCell{r.KeyID, l.Rule, endpoint, r.At.UTC().Truncate(time.Minute)}
	v := at(f.violations, cell, func() *models.RateLimitViolation {
		v := &models.RateLimitViolation{
			OwnerID: r.Segment.OwnerID, APIKeyID: r.KeyID, Rule: l.Rule, Code: r.Code, Endpoint: endpoint, Limit: l.Limit,
			FirstAt: r.At, LastAt: r.At, RequestID: r.RequestID,
		}
		v.Identify()
		return v
	})
	v.Count++
	if r.At.Before(v.FirstAt) {
		v.FirstAt, v.RequestID = r.At, r.RequestID
	}
	if r.At.After(v.LastAt) {
		v.LastAt = r.At
	}
	if r.IP.IsValid() {
		v.IPs = sample(v.IPs, r.IP.String())
	}
	if r.UserAgent != "" {
		v.Agents = sample(v.Agents, r.UserAgent)
	}
}

func sample(list []string, s string) []string {
	if len(list) >= models.MaxViolationSamples || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// segment gives the id of the assignment that a record is rated by.
func (f *fold) segment(s *models.Segment) models.SegmentID {
	id, ok := f.segments[*s]
	if !ok {
		identified := *s
		identified.Identify()
		id = identified.ID
		f.segments[*s] = id
	}
	return id
}

// at gives the value of a key, made where there is none.
func at[K comparable, V any](m map[K]*V, key K, make func() *V) *V {
	v, ok := m[key]
	if !ok {
		v = make()
		m[key] = v
	}
	return v
}

// used tells when each key was checked last.
func (f *fold) used() map[models.KeyID]time.Time {
	used := make(map[models.KeyID]time.Time, len(f.keys))
	for id, key := range f.keys {
		if !key.used.IsZero() {
			used[id] = key.used
		}
	}
	return used
}

// into puts what was added up into a batch.
func (f *fold) into(b *models.UsageBatch) {
	b.Violations, b.Rollups, b.Latencies = values(f.violations), values(f.rollups), values(f.latencies)
	b.Sums, b.Installation = sums(b.Rollups), values(f.installation)
	for s, id := range f.segments {
		if s.ID = id; !f.stored[id] {
			b.Segments = append(b.Segments, s)
		}
	}
	for key, spent := range f.quotas {
		b.Quotas = append(b.Quotas, models.QuotaTotal{QuotaKey: key, Units: spent.units, Limit: spent.limit})
	}
	keys := map[models.KeyID]bool{}
	for cell := range f.violations {
		keys[cell.key] = true
	}
	b.Exceeded = slices.Collect(maps.Keys(keys))
}

// sums adds rollups of all keys up.
func sums(rollups []models.UsageRollup) []models.UsageSum {
	cells := map[sumCell]*models.UsageSum{}
	for i := range rollups {
		r := &rollups[i]
		at(cells, sumCell{r.Bucket, r.Meter}, func() *models.UsageSum {
			return &models.UsageSum{Bucket: r.Bucket, Meter: r.Meter}
		}).Add(&r.UsageCounts)
	}
	return values(cells)
}

func values[K comparable, V any](m map[K]*V) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, *v)
	}
	return list
}
