package controllers

import (
	"math"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

// UsageCountsBody is what adds up.
type UsageCountsBody struct {
	Requests      int64 `json:"requests" doc:"Checks of keys that were found"`
	Allowed       int64 `json:"allowed"`
	Denied        int64 `json:"denied" doc:"The next five together"`
	DeniedLimit   int64 `json:"denied_limit" doc:"rate_limited"`
	DeniedQuota   int64 `json:"denied_quota" doc:"quota_exceeded"`
	DeniedCost    int64 `json:"denied_cost" doc:"cost_exceeds_limit"`
	DeniedKey     int64 `json:"denied_key" doc:"key_revoked, key_suspended, key_expired"`
	DeniedAccess  int64 `json:"denied_access" doc:"permission_denied, ip_denied, endpoint_denied"`
	Units         int64 `json:"units" doc:"What was spent of the meter, corrected by what was settled"`
	BillableUnits int64 `json:"billable_units" doc:"Those of live keys"`
	Reports       int64 `json:"reports" doc:"Calls of which was told what became of them; the rest is of these"`
	Status2xx     int64 `json:"status_2xx" doc:"Those below 200 as well"`
	Status3xx     int64 `json:"status_3xx"`
	Status4xx     int64 `json:"status_4xx"`
	Status5xx     int64 `json:"status_5xx"`
	BytesIn       int64 `json:"bytes_in"`
	BytesOut      int64 `json:"bytes_out"`
}

func usageCountsOf(c *models.UsageCounts) UsageCountsBody {
	return UsageCountsBody{
		Requests: c.Requests, Allowed: c.Allowed, Denied: c.Denied(),
		DeniedLimit: c.DeniedLimit, DeniedQuota: c.DeniedQuota, DeniedCost: c.DeniedCost, DeniedKey: c.DeniedKey, DeniedAccess: c.DeniedAccess,
		Units: c.Units, BillableUnits: c.BillableUnits, Reports: c.Reports,
		Status2xx: c.Status2xx, Status3xx: c.Status3xx, Status4xx: c.Status4xx, Status5xx: c.Status5xx, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
	}
}

// UsagePeriodBody is what was used in a period.
type UsagePeriodBody struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to" doc:"The first instant that is not of it. The first and the last period are cut to the range asked for"`
	UsageCountsBody
}

// UsageGroupBody is what one of a group used.
type UsageGroupBody struct {
	Name   string `json:"name" doc:"The id of the owner or key, the endpoint, or the meter"`
	Label  string `json:"label" doc:"The owner's external id, or its name where it has none, or the key's name; else empty"`
	Method string `json:"method" doc:"Of an endpoint; else empty"`
	UsageCountsBody
}

type usageSeriesBody struct {
	From          time.Time          `json:"from"`
	To            time.Time          `json:"to"`
	Granularity   models.Granularity `json:"granularity" example:"day"`
	TZ            string             `json:"tz" example:"Europe/Berlin"`
	Meter         string             `json:"meter" example:"requests"`
	CompleteUntil *time.Time         `json:"complete_until" doc:"Everything before is counted; null where that is not known"`
	KeptFrom      *time.Time         `json:"kept_from" doc:"Usage from before was dropped, except for whole months of UTC of a key or an owner; null where from is no earlier"`
	Total         UsageCountsBody    `json:"total" doc:"All periods together"`
	Latency       *usageLatencyBody  `json:"latency" doc:"Of the calls that were reported; null where none was, and beyond 92 days, or 48 hours of all keys"`
	Data          []UsagePeriodBody  `json:"data" doc:"Every period, in order; those without usage as zeros"`
}

type usageLatencyBody struct {
	Reports int64 `json:"reports" doc:"The calls whose latency was reported"`
	P50MS   int64 `json:"p50_ms" doc:"Half of them took at most this long; at most 19 % and a millisecond too high, as the others"`
	P90MS   int64 `json:"p90_ms"`
	P95MS   int64 `json:"p95_ms"`
	P99MS   int64 `json:"p99_ms"`
}

type usageGroupsBody struct {
	From          time.Time         `json:"from"`
	To            time.Time         `json:"to"`
	GroupBy       models.UsageGroup `json:"group_by" example:"owner"`
	Meter         string            `json:"meter" doc:"Empty where meters are listed"`
	CompleteUntil *time.Time        `json:"complete_until" doc:"Everything before is counted; null where that is not known"`
	KeptFrom      *time.Time        `json:"kept_from" doc:"Usage from before was dropped, except for whole months of UTC; null where from is no earlier"`
	Data          []UsageGroupBody  `json:"data" doc:"By units, then by requests, the largest first"`
}

func usageSeriesOf(s *usage.Series) *usageSeriesBody {
	body := &usageSeriesBody{
		From: s.From.UTC(), To: s.To.UTC(), Granularity: s.Granularity, TZ: s.Zone.String(), Meter: s.Meter,
		CompleteUntil: utc(s.CompleteUntil), KeptFrom: utc(s.KeptFrom), Total: usageCountsOf(&s.Total), Data: make([]UsagePeriodBody, len(s.Periods)),
	}
	for i := range s.Periods {
		p := &s.Periods[i]
		body.Data[i] = UsagePeriodBody{From: p.From.UTC(), To: p.To.UTC(), UsageCountsBody: usageCountsOf(&p.UsageCounts)}
	}
	if l := s.Latency; l != nil {
		ms := func(v float64) int64 { return int64(math.Ceil(v)) }
		body.Latency = &usageLatencyBody{Reports: l.Reports, P50MS: ms(l.P50), P90MS: ms(l.P90), P95MS: ms(l.P95), P99MS: ms(l.P99)}
	}
	return body
}

func usageGroupsOf(g *usage.Groups) *usageGroupsBody {
	body := &usageGroupsBody{
		From: g.From.UTC(), To: g.To.UTC(), GroupBy: g.By, Meter: g.Meter, CompleteUntil: utc(g.CompleteUntil), KeptFrom: utc(g.KeptFrom),
		Data: make([]UsageGroupBody, len(g.Groups)),
	}
	for i := range g.Groups {
		one := &g.Groups[i]
		body.Data[i] = UsageGroupBody{Name: one.Name, Label: one.Label, Method: one.Method, UsageCountsBody: usageCountsOf(&one.UsageCounts)}
	}
	return body
}

type violationBody struct {
	ID         string    `json:"id"`
	Minute     time.Time `json:"minute" doc:"The minute it adds up"`
	KeyID      string    `json:"key_id"`
	OwnerID    string    `json:"owner_id"`
	Rule       string    `json:"rule" example:"per-minute"`
	Code       string    `json:"code" doc:"rate_limited, quota_exceeded or cost_exceeds_limit"`
	Endpoint   string    `json:"endpoint"`
	Limit      int64     `json:"limit" doc:"That of the rule"`
	Count      int64     `json:"count" doc:"Refusals"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	RequestID  string    `json:"request_id" doc:"The first refusal: see checks/{request_id}"`
	IPs        []string  `json:"ips" doc:"A few of the addresses it came from"`
	UserAgents []string  `json:"user_agents" doc:"A few of the programs it came from"`
	Repeats    int       `json:"repeats" doc:"Minutes of the 24 hours before in which the rule refused the key"`
	Severity   string    `json:"severity" enum:"low,medium,high,critical" doc:"By the refusals, how many they are beside the limit, and the repeats; found out a moment later"`
}

func violationOf(v *models.RateLimitViolation) violationBody {
	return violationBody{
		ID: string(v.ID), Minute: v.Minute.UTC(), KeyID: string(v.APIKeyID), OwnerID: string(v.OwnerID), Rule: v.Rule, Code: v.Code,
		Endpoint: v.Endpoint, Limit: v.Limit, Count: v.Count, FirstAt: v.FirstAt.UTC(), LastAt: v.LastAt.UTC(), RequestID: v.RequestID,
		IPs: v.IPs, UserAgents: v.Agents, Repeats: v.Repeats, Severity: string(v.Severity),
	}
}

// recordKinds name the kinds of rows.
var recordKinds = map[models.RecordKind]string{
	models.RecordCheck: "check", models.RecordLimitCheck: "limit_check", models.RecordReport: "report", models.RecordAdjustment: "adjustment",
}
