package usage

import (
	"hash/fnv"
	"maps"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// sampler decides which records are kept one by one: all of them up to so many
// a second, and beyond that a share, by a hash of the request so that what
// belongs together is kept together. The first denial of a key by a rule in
// each minute is always kept, and so is what may be settled, or was.
type sampler struct {
	perSecond float64
	tokens    float64
	at        time.Time
	denied    map[firstDenial]struct{}
	minute    time.Time
}

type firstDenial struct {
	key  models.KeyID
	rule string
}

func newSampler(perSecond int) *sampler {
	return &sampler{perSecond: float64(perSecond), tokens: float64(perSecond), denied: map[firstDenial]struct{}{}}
}

// clone gives a sampler that can be thrown away.
func (s *sampler) clone() *sampler {
	c := *s
	c.denied = maps.Clone(s.denied)
	return &c
}

// rows gives the rows that are kept of a batch.
func (s *sampler) rows(records []*models.Record, f *fold) []models.UsageLog {
	if len(records) == 0 {
		return nil
	}
	s.refill(records[len(records)-1].At)
	var kept []models.UsageLog
	var rest []*models.Record
	for _, r := range records {
		switch {
		case r.Kind == models.RecordLimitCheck, r.Kind == models.RecordReport && !counted(r):
		case s.must(r):
			kept = append(kept, logOf(r, f.segment(&r.Segment), 1))
		default:
			rest = append(rest, r)
		}
	}
	rate := s.rate(len(rest))
	for _, r := range rest {
		if picks(r.RequestID, rate) {
			kept = append(kept, logOf(r, f.segment(&r.Segment), rate))
		}
	}
	return kept
}

// refill adds what the time until now brings, at most a second's worth.
func (s *sampler) refill(now time.Time) {
	if !s.at.IsZero() && now.After(s.at) {
		s.tokens = min(s.perSecond, s.tokens+s.perSecond*now.Sub(s.at).Seconds())
	}
	s.at = now
	if minute := now.Truncate(time.Minute); minute.After(s.minute) {
		s.minute = minute
		clear(s.denied)
	}
}

// rate gives the share of n records that there is room for, and takes it.
func (s *sampler) rate(n int) float64 {
	if float64(n) <= s.tokens {
		s.tokens -= float64(n)
		return 1
	}
	rate := s.tokens / float64(n)
	s.tokens = 0
	return rate
}

// must tells whether a record is kept whatever there is room for.
func (s *sampler) must(r *models.Record) bool {
	if r.Settle || r.Kind == models.RecordAdjustment {
		return true
	}
	if r.Kind != models.RecordCheck || r.Allowed {
		return false
	}
	first := firstDenial{r.KeyID, r.Code}
	if l := r.Tightest(); l != nil {
		first.rule = l.Rule
	}
	_, seen := s.denied[first]
	s.denied[first] = struct{}{}
	return !seen
}

// picks tells whether a request is among a share.
func picks(requestID string, rate float64) bool {
	if rate >= 1 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(requestID)) // a hash never fails to write
	// FNV leaves its last characters in a few bits; this is the end of MurmurHash3
	// (Austin Appleby), which spreads them over all.
	sum := h.Sum64()
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	sum *= 0xc4ceb9fe1a85ec53
	sum ^= sum >> 33
	return float64(sum>>11)/(1<<53) < rate
}

// logOf makes the row of one record.
func logOf(r *models.Record, segment models.SegmentID, rate float64) models.UsageLog {
	row := models.UsageLog{
		At: r.At, RequestID: r.RequestID, Kind: r.Kind, OwnerID: r.Segment.OwnerID, APIKeyID: r.KeyID, SegmentID: segment,
		Code: r.Code, Allowed: r.Allowed, Degraded: r.Degraded, Replayed: r.Replayed, Settle: r.Settle,
		Method: r.Method, Endpoint: r.Endpoint, Meter: r.Meter, Units: r.Units, Cost: r.Cost, UserAgent: r.UserAgent,
		Status: r.Status, LatencyMS: r.LatencyMS, BytesIn: r.BytesIn, BytesOut: r.BytesOut, Limits: r.Limits, SampleRate: rate,
	}
	if r.IP.IsValid() {
		row.IP = r.IP.String()
	}
	return row
}
