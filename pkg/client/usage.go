package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// Granularity is the length of the periods of a series.
type Granularity string

// The granularities.
const (
	ByHour  Granularity = "hour"
	ByDay   Granularity = "day"
	ByWeek  Granularity = "week" // from Monday
	ByMonth Granularity = "month"
)

// UsageGroup is what usage is listed by.
type UsageGroup string

// The groups.
const (
	GroupOwner    UsageGroup = "owner"
	GroupKey      UsageGroup = "key"
	GroupEndpoint UsageGroup = "endpoint"
	GroupMeter    UsageGroup = "meter"
)

// UsageQuery says what usage is asked for. Zero fields leave it to the service.
type UsageQuery struct {
	Granularity Granularity // of a series: ByDay
	// The time in [From, To). By default it ends now and, as a series, begins 24
	// hours, 30 days, 12 weeks or a year before, by granularity.
	From, To time.Time
	TimeZone string  // of a series: IANA name; UTC
	Meter    string  // requests
	Endpoint *string // only this one, as far as it is counted apart; "" for what named none
	// Limit is how many of a group are listed, 1 to 1000; 100.
	Limit int
}

func (q *UsageQuery) values(by UsageGroup) url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("group_by", string(by))
	set("granularity", string(q.Granularity))
	set("from", instant(q.From))
	set("to", instant(q.To))
	set("tz", q.TimeZone)
	set("meter", q.Meter)
	if q.Endpoint != nil {
		v.Set("endpoint", *q.Endpoint)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// instant is a time in a query; none is left out.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// UsageCounts is what adds up.
type UsageCounts struct {
	Requests      int64 `json:"requests"` // checks of keys that were found
	Allowed       int64 `json:"allowed"`
	Denied        int64 `json:"denied"`        // the next five together
	DeniedLimit   int64 `json:"denied_limit"`  // rate_limited
	DeniedQuota   int64 `json:"denied_quota"`  // quota_exceeded
	DeniedCost    int64 `json:"denied_cost"`   // cost_exceeds_limit
	DeniedKey     int64 `json:"denied_key"`    // revoked, suspended, expired
	DeniedAccess  int64 `json:"denied_access"` // permission, address, endpoint
	Units         int64 `json:"units"`         // spent, corrected by what was settled
	BillableUnits int64 `json:"billable_units"`
	Reports       int64 `json:"reports"` // calls that were reported; the rest is of these
	Status2xx     int64 `json:"status_2xx"`
	Status3xx     int64 `json:"status_3xx"`
	Status4xx     int64 `json:"status_4xx"`
	Status5xx     int64 `json:"status_5xx"`
	BytesIn       int64 `json:"bytes_in"`
	BytesOut      int64 `json:"bytes_out"`
}

// UsagePeriod is what was used in [From, To).
type UsagePeriod struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	UsageCounts
}

// UsageSeries is usage along time, without a gap.
type UsageSeries struct {
	From          time.Time   `json:"from"` // that of the query, moved back to a quarter of an hour
	To            time.Time   `json:"to"`   // the same, moved ahead
	Granularity   Granularity `json:"granularity"`
	TimeZone      string      `json:"tz"`
	Meter         string      `json:"meter"`
	CompleteUntil *time.Time  `json:"complete_until"` // everything before is counted; nil where that is not known
	// KeptFrom tells that usage from before was dropped, except for whole months
	// of UTC of a key or an owner; nil where From is no earlier.
	KeptFrom *time.Time    `json:"kept_from"`
	Total    UsageCounts   `json:"total"`
	Latency  *UsageLatency `json:"latency"` // nil where none was reported, or the time is too long
	Periods  []UsagePeriod `json:"data"`
}

// UsageLatency tells what reported latencies stayed below, in milliseconds.
type UsageLatency struct {
	Reports int64 `json:"reports"`
	P50MS   int64 `json:"p50_ms"`
	P90MS   int64 `json:"p90_ms"`
	P95MS   int64 `json:"p95_ms"`
	P99MS   int64 `json:"p99_ms"`
}

// UsageGroups lists the largest of a group, the largest first.
type UsageGroups struct {
	From          time.Time     `json:"from"`
	To            time.Time     `json:"to"`
	GroupBy       UsageGroup    `json:"group_by"`
	Meter         string        `json:"meter"`
	CompleteUntil *time.Time    `json:"complete_until"`
	KeptFrom      *time.Time    `json:"kept_from"` // see [UsageSeries]
	Groups        []UsageMember `json:"data"`
}

// UsageMember is what one of a group used.
type UsageMember struct {
	Name   string `json:"name"`   // the id of the owner or key, the endpoint, the meter
	Label  string `json:"label"`  // what people call the owner or key
	Method string `json:"method"` // of an endpoint
	UsageCounts
}

// Usage tells what all keys used along time.
func (c *Client) Usage(ctx context.Context, q UsageQuery) (*UsageSeries, error) {
	return usageOf[UsageSeries](ctx, c, get("usage", "usage"), q.values(""))
}

// KeyUsage tells what a key used along time.
func (c *Client) KeyUsage(ctx context.Context, key string, q UsageQuery) (*UsageSeries, error) {
	return usageOf[UsageSeries](ctx, c, get("key usage", "keys", key, "usage"), q.values(""))
}

// OwnerUsage tells what the keys of an owner used along time.
func (c *Client) OwnerUsage(ctx context.Context, owner string, q UsageQuery) (*UsageSeries, error) {
	return usageOf[UsageSeries](ctx, c, get("owner usage", "owners", owner, "usage"), q.values(""))
}

// UsageBy lists who or what used the most. Endpoints of all keys are listed for
// at most 48 hours.
func (c *Client) UsageBy(ctx context.Context, by UsageGroup, q UsageQuery) (*UsageGroups, error) {
	return usageOf[UsageGroups](ctx, c, get("usage", "usage"), q.values(by))
}

// KeyUsageBy lists what a key used the most.
func (c *Client) KeyUsageBy(ctx context.Context, key string, by UsageGroup, q UsageQuery) (*UsageGroups, error) {
	return usageOf[UsageGroups](ctx, c, get("key usage", "keys", key, "usage"), q.values(by))
}

// OwnerUsageBy lists what the keys of an owner used the most.
func (c *Client) OwnerUsageBy(ctx context.Context, owner string, by UsageGroup, q UsageQuery) (*UsageGroups, error) {
	return usageOf[UsageGroups](ctx, c, get("owner usage", "owners", owner, "usage"), q.values(by))
}

func usageOf[T any](ctx context.Context, c *Client, op call, query url.Values) (*T, error) {
	op.query = query
	v := new(T)
	if _, err := c.do(ctx, op, v); err != nil {
		return nil, err
	}
	return v, nil
}

// UsageFilter chooses violations and rows; zero fields choose all.
type UsageFilter struct {
	Key   string // id
	Owner string // id or external id
	// From is 7 days before To for violations and 24 hours for rows, unless said.
	From, To time.Time
	Rule     string // of violations: its name
	Code     Code   // of rows: the answer
}

func (f *UsageFilter) call(name string, page Page, path ...string) call {
	op := get(name, path...)
	op.query = page.query(map[string]string{
		"key_id": f.Key, "owner": f.Owner, "from": instant(f.From), "to": instant(f.To), "rule": f.Rule, "code": string(f.Code),
	})
	return op
}

// Violation adds up the refusals of a key by one rule at one endpoint in one
// minute.
type Violation struct {
	ID         string    `json:"id"`
	Minute     time.Time `json:"minute"`
	KeyID      string    `json:"key_id"`
	OwnerID    string    `json:"owner_id"`
	Rule       string    `json:"rule"`
	Code       Code      `json:"code"`
	Endpoint   string    `json:"endpoint"`
	Limit      int64     `json:"limit"`
	Count      int64     `json:"count"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	RequestID  string    `json:"request_id"` // of the first
	IPs        []string  `json:"ips"`        // a few of those it came from
	UserAgents []string  `json:"user_agents"`
	Repeats    int       `json:"repeats"`  // minutes of the 24 hours before in which the rule refused the key
	Severity   string    `json:"severity"` // low, medium, high, critical
}

// Violations yields refusals by a limit, newest first.
func (c *Client) Violations(ctx context.Context, f UsageFilter, page Page) iter.Seq2[Violation, error] {
	return list[Violation](ctx, c, f.call("list violations", page, "violations"))
}

// UsageLog is one check, or what was told of one afterwards. Of many only some
// are kept.
type UsageLog struct {
	At         time.Time `json:"at"`
	RequestID  string    `json:"request_id"`
	Kind       string    `json:"kind"` // check, report, adjustment
	KeyID      string    `json:"key_id"`
	OwnerID    string    `json:"owner_id"`
	Code       Code      `json:"code"`
	Allowed    bool      `json:"allowed"`
	Degraded   bool      `json:"degraded"`
	Replayed   bool      `json:"replayed"`
	Method     string    `json:"method"`
	Endpoint   string    `json:"endpoint"`
	Meter      string    `json:"meter"`
	Cost       int64     `json:"cost"`  // asked for
	Units      int64     `json:"units"` // spent; of an adjustment, the change
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	Status     int       `json:"status"` // of a report
	LatencyMS  int64     `json:"latency_ms"`
	BytesIn    int64     `json:"bytes_in"`
	BytesOut   int64     `json:"bytes_out"`
	SampleRate float64   `json:"sample_rate"` // it stands for 1 ÷ this of its kind
}

// UsageLogs yields checks and reports one by one, newest first.
func (c *Client) UsageLogs(ctx context.Context, f UsageFilter, page Page) iter.Seq2[UsageLog, error] {
	return list[UsageLog](ctx, c, f.call("list usage logs", page, "usage", "logs"))
}
