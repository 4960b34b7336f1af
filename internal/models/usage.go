package models

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// MeterRequests is the meter that checks count in. Reports may count in others.
const MeterRequests = "requests"

// OtherEndpoint stands for the endpoints of a key beyond those counted apart.
// It is no path, so that it is told from any.
const OtherEndpoint = "other"

// Bucket is the length of the time that usage is added up in. Every offset of a
// time zone in use is a multiple of it, so days and months of any zone are sums
// of buckets.
const Bucket = 15 * time.Minute

// BucketOf gives the start of the bucket that t is in.
func BucketOf(t time.Time) time.Time { return t.UTC().Truncate(Bucket) }

// SegmentID identifies the time that an owner spends on one version of a plan.
type SegmentID string

// Segment is one assignment of a plan's version to an owner: what its usage is
// rated by. It follows from owner, plan, version and its beginning, so every
// node finds the same id without asking another.
type Segment struct {
	ID          SegmentID `gorm:"primaryKey"`
	OwnerID     OwnerID
	PlanID      PlanID
	PlanVersion int
	Since       time.Time
}

// TableName is the name of its table.
func (Segment) TableName() string { return "usage_segments" }

// Identify sets the id that follows from the rest.
func (s *Segment) Identify() {
	s.ID = SegmentID(derivedID("segment", string(s.OwnerID), string(s.PlanID), int64(s.PlanVersion), s.Since.UnixMicro()))
}

// derivedID is a UUID (version 8) made of a hash, where the same parts have to
// give the same id on every node.
func derivedID(kind, a, b string, numbers ...int64) string {
	h := sha256.New()
	for _, part := range []string{kind, a, b} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	for _, n := range numbers {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// UsageCounts is what adds up: of a bucket, a day, a year.
type UsageCounts struct {
	Requests      int64 // checks metered, or 0 for meters that only reports count in
	Allowed       int64
	DeniedLimit   int64 // rate_limited
	DeniedQuota   int64 // quota_exceeded
	DeniedCost    int64 // cost_exceeds_limit
	DeniedKey     int64 // revoked, suspended, expired
	DeniedAccess  int64 // permission, address, endpoint
	Units         int64 // spent, corrected by what was settled
	BillableUnits int64 // those of live keys
	Reports       int64
	Status2xx     int64 `gorm:"column:status_2xx"` // of reports; those below 200 as well
	Status3xx     int64 `gorm:"column:status_3xx"`
	Status4xx     int64 `gorm:"column:status_4xx"`
	Status5xx     int64 `gorm:"column:status_5xx"`
	BytesIn       int64
	BytesOut      int64
}

// Add adds other to the counts.
func (c *UsageCounts) Add(other *UsageCounts) {
	c.Requests += other.Requests
	c.Allowed += other.Allowed
	c.DeniedLimit += other.DeniedLimit
	c.DeniedQuota += other.DeniedQuota
	c.DeniedCost += other.DeniedCost
	c.DeniedKey += other.DeniedKey
	c.DeniedAccess += other.DeniedAccess
	c.Units += other.Units
	c.BillableUnits += other.BillableUnits
	c.Reports += other.Reports
	c.Status2xx += other.Status2xx
	c.Status3xx += other.Status3xx
	c.Status4xx += other.Status4xx
	c.Status5xx += other.Status5xx
	c.BytesIn += other.BytesIn
	c.BytesOut += other.BytesOut
}

// Denied gives the checks that were refused, for whatever reason.
func (c *UsageCounts) Denied() int64 {
	return c.DeniedLimit + c.DeniedQuota + c.DeniedCost + c.DeniedKey + c.DeniedAccess
}

// UsageCell says what a rollup is about.
type UsageCell struct {
	Bucket    time.Time
	SegmentID SegmentID
	APIKeyID  KeyID
	Endpoint  string // "" where the check named none
	Method    string
	Meter     string
}

// UsageRollup is what one cell adds up to. The owner follows from the segment.
type UsageRollup struct {
	UsageCell   `gorm:"embedded"`
	OwnerID     OwnerID
	UsageCounts `gorm:"embedded"`
}

// UsageLatency counts the reports whose latency fell into one of the
// LatencyBounds.
type UsageLatency struct {
	UsageCell `gorm:"embedded"`
	OwnerID   OwnerID
	Latency   int // index of the bound; one beyond the last for the rest
	Count     int64
}

// UsageTotal adds up what a key used in an hour, day or month of UTC, at all
// endpoints, so that long ranges and lists of the largest need not read every
// bucket. It has what is taken up of its rollups, which are over.
type UsageTotal struct {
	Level       PeriodKind
	Start       time.Time
	OwnerID     OwnerID
	APIKeyID    KeyID
	Meter       string
	UsageCounts `gorm:"embedded"`
}

// TotalLevels are the levels of totals, the longest first.
var TotalLevels = [...]PeriodKind{PeriodMonth, PeriodDay, PeriodHour}

// StartOf gives the start of the hour, day or month of UTC that t is in.
func StartOf(level PeriodKind, t time.Time) time.Time {
	t = t.UTC()
	year, month, day := t.Date()
	switch level {
	case PeriodHour:
		return t.Truncate(time.Hour)
	case PeriodMonth:
		day = 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// After gives the end of the hour, day or month of UTC that begins at start.
func After(level PeriodKind, start time.Time) time.Time {
	switch level {
	case PeriodHour:
		return start.Add(time.Hour)
	case PeriodMonth:
		return start.AddDate(0, 1, 0)
	default:
		return start.AddDate(0, 0, 1)
	}
}

// UsageSum adds up what all keys used in a bucket.
type UsageSum struct {
	Bucket      time.Time
	Meter       string
	UsageCounts `gorm:"embedded"`
}

// UsageLog is one check or report, for looking closely. Of many only some are
// kept: each stands for 1 ÷ SampleRate of its kind.
type UsageLog struct {
	At         time.Time
	RequestID  string
	Kind       RecordKind
	OwnerID    OwnerID
	APIKeyID   KeyID
	SegmentID  SegmentID
	Code       string
	Allowed    bool
	Degraded   bool
	Replayed   bool
	Settle     bool // it may be, or was asked to be, settled
	Method     string
	Endpoint   string
	Meter      string
	Units      int64 // spent: 0 for a refusal; of an adjustment, the change
	Cost       int64 // asked for
	IP         string
	UserAgent  string
	Status     int   // of a report
	LatencyMS  int64 `gorm:"column:latency_ms"`
	BytesIn    int64
	BytesOut   int64
	Limits     []RecordedLimit `gorm:"serializer:json"`
	SampleRate float64
}

// RateLimitViolation adds up the refusals of a key by one rule at one endpoint
// in one minute.
type RateLimitViolation struct {
	ID        ViolationID `gorm:"primaryKey"` // follows from what it adds up
	Minute    time.Time   `gorm:"primaryKey"`
	OwnerID   OwnerID
	APIKeyID  KeyID
	Rule      string
	Code      string // rate_limited, quota_exceeded or cost_exceeds_limit
	Endpoint  string
	Limit     int64 `gorm:"column:rule_limit"`
	Count     int64 `gorm:"column:denials"`
	FirstAt   time.Time
	LastAt    time.Time
	RequestID string   // of the first
	IPs       []string `gorm:"column:ips;serializer:json"` // a few of those it came from
	Agents    []string `gorm:"serializer:json"`
	// What follows is found out afterwards, of Analyzed of the refusals.
	Repeats  int               // minutes of the 24 hours before in which the rule refused the key
	Severity ViolationSeverity `gorm:"default:low"`
	Analyzed int64
}

// ViolationID identifies a violation.
type ViolationID string

// MaxViolationSamples bounds the addresses and agents kept of a violation.
const MaxViolationSamples = 10

// Identify sets the minute and the id that follow from the rest.
func (v *RateLimitViolation) Identify() {
	v.Minute = v.FirstAt.UTC().Truncate(time.Minute)
	v.ID = ViolationID(derivedID("violation", string(v.APIKeyID), v.Rule+"\x00"+v.Endpoint, v.Minute.UnixMicro()))
}

// QuotaTotal is what was spent from a quota in one period.
type QuotaTotal struct {
	QuotaKey `gorm:"embedded"`
	Units    int64 // ingested
	Offset   int64 `gorm:"column:reset_units"` // of those, what resets have forgiven
	// Limit is that of the last check that spent from it, or 0 where none is known.
	Limit int64 `gorm:"column:quota_limit"`
	// Told is the highest percentage of the limit that its owner was told of.
	Told int
}

// Used gives what is spent and not forgiven.
func (q *QuotaTotal) Used() int64 { return max(0, q.Units-q.Offset) }

// Reached tells whether so many percent of the limit are spent.
func (q *QuotaTotal) Reached(percent int) bool {
	return q.Limit > 0 && float64(q.Used())*100 >= float64(q.Limit)*float64(percent)
}

// QuotaKey names the count of a quota in one period.
type QuotaKey struct {
	Subject string // scope and id: "owner:0197…"
	Rule    string
	Period  PeriodKind
	Start   time.Time
}

// InstallationUsage counts checks that belong to no key.
type InstallationUsage struct {
	Bucket   time.Time
	Kind     string // limit_check
	Requests int64
	Allowed  int64
}

// TableName is the name of its table.
func (InstallationUsage) TableName() string { return "installation_usage" }

// KindLimitCheck is the kind of InstallationUsage that limits/check counts as.
const KindLimitCheck = "limit_check"

// KeyActivity says when a key was last used.
type KeyActivity struct {
	APIKeyID   KeyID `gorm:"primaryKey"`
	LastUsedAt time.Time
}

// KeyUsage is what a key was used for in all, of the meter of requests.
type KeyUsage struct {
	Requests   int64
	Allowed    int64
	Units      int64
	LastUsedAt *time.Time `gorm:"-"` // to the minute
}

// TableName is the name of its table.
func (KeyActivity) TableName() string { return "key_activity" }

// StreamID identifies one opening of a journal.
type StreamID string

// IngestCursor says how far a stream has been brought into the database.
type IngestCursor struct {
	StreamID  StreamID `gorm:"primaryKey"`
	Node      string   // who wrote it
	LastSeq   int64
	Watermark time.Time // complete up to this instant
	Gaps      int64     // records that were lost
	DrainedAt *time.Time
	LostAt    *time.Time // declared lost by an operator
	CreatedAt time.Time
	UpdatedAt time.Time
}

// IngestGap is a run of records that a stream lost.
type IngestGap struct {
	StreamID StreamID
	FromSeq  int64
	ToSeq    int64
	FoundAt  time.Time
}

// IngestReject is a record that the database refused.
type IngestReject struct {
	StreamID   StreamID
	Seq        int64
	Reason     string
	Payload    []byte
	RejectedAt time.Time
}

// EventID is what a record is counted once by, however often it comes: the
// decision of a check with a check_id, the event of a report.
type EventID [16]byte

// EventIDOf derives it from the parts that name the event.
func EventIDOf(kind, a, b string, numbers ...int64) EventID {
	return EventID(uuid.MustParse(derivedID(kind, a, b, numbers...)))
}

// UsageQuery asks for usage in [From, To), added up by time or by group.
type UsageQuery struct {
	From, To time.Time
	KeyID    KeyID   // of one key
	OwnerID  OwnerID // of one owner
	Meter    string
	Endpoint *string
}

// UsageGroup is what usage is listed by.
type UsageGroup string

// The groups of usage.
const (
	GroupOwner    UsageGroup = "owner"
	GroupKey      UsageGroup = "key"
	GroupEndpoint UsageGroup = "endpoint"
	GroupMeter    UsageGroup = "meter"
)

// UsageAt is the usage of one bucket.
type UsageAt struct {
	Bucket      time.Time
	UsageCounts `gorm:"embedded"`
}

// UsageOf is the usage of one member of a group.
type UsageOf struct {
	Name        string // an id, an endpoint, a meter
	Method      string // of an endpoint
	UsageCounts `gorm:"embedded"`
}

// ViolationFilter narrows a list of violations; zero fields match all.
type ViolationFilter struct {
	KeyID    KeyID
	OwnerID  OwnerID
	Rule     string
	From, To time.Time
}

// UsageLogFilter narrows a list of raw rows; zero fields match all.
type UsageLogFilter struct {
	KeyID    KeyID
	OwnerID  OwnerID
	Code     string
	From, To time.Time
}

// UsageBatch is what records add to the database, together or not at all.
type UsageBatch struct {
	Segments     []Segment
	Logs         []UsageLog
	Violations   []RateLimitViolation
	Exceeded     []KeyID // those of the violations: asked to be looked at
	Rollups      []UsageRollup
	Latencies    []UsageLatency
	Sums         []UsageSum
	Quotas       []QuotaTotal
	Installation []InstallationUsage
	Gaps         []IngestGap
	Rejects      []IngestReject
}
