package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/usage"
)

type usageLogBody struct {
	At         time.Time `json:"at"`
	RequestID  string    `json:"request_id" doc:"Of the check that it is, or is about"`
	Kind       string    `json:"kind" enum:"check,report,adjustment" doc:"A report tells what became of a call, and an adjustment corrects what a check cost"`
	KeyID      string    `json:"key_id"`
	OwnerID    string    `json:"owner_id"`
	Code       string    `json:"code" doc:"The answer of a check"`
	Allowed    bool      `json:"allowed"`
	Degraded   bool      `json:"degraded"`
	Replayed   bool      `json:"replayed" doc:"The answer that the same check_id got before; counted once"`
	Method     string    `json:"method"`
	Endpoint   string    `json:"endpoint"`
	Meter      string    `json:"meter"`
	Cost       int64     `json:"cost" doc:"Asked for"`
	Units      int64     `json:"units" doc:"Spent: 0 for a refusal; of an adjustment, the change"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	Status     int       `json:"status" doc:"Of a report; 0 where it told none"`
	LatencyMS  int64     `json:"latency_ms" doc:"Of a report"`
	BytesIn    int64     `json:"bytes_in"`
	BytesOut   int64     `json:"bytes_out"`
	SampleRate float64   `json:"sample_rate" doc:"The share of its kind that was kept"`
}

func usageLogOf(l *models.UsageLog) usageLogBody {
	return usageLogBody{
		At: l.At.UTC(), RequestID: l.RequestID, Kind: recordKinds[l.Kind], KeyID: string(l.APIKeyID), OwnerID: string(l.OwnerID),
		Code: l.Code, Allowed: l.Allowed, Degraded: l.Degraded, Replayed: l.Replayed, Method: l.Method, Endpoint: l.Endpoint, Meter: l.Meter,
		Cost: l.Cost, Units: l.Units, IP: l.IP, UserAgent: l.UserAgent, Status: l.Status, LatencyMS: l.LatencyMS,
		BytesIn: l.BytesIn, BytesOut: l.BytesOut, SampleRate: l.SampleRate,
	}
}

type explanationBody struct {
	RequestID     string               `json:"request_id"`
	At            time.Time            `json:"at"`
	Allowed       bool                 `json:"allowed"`
	Code          string               `json:"code" example:"rate_limited"`
	Decisive      string               `json:"decisive" doc:"The rule that refused, or came nearest to it; empty where no rule was asked"`
	RetryAt       *time.Time           `json:"retry_at" doc:"When the same call would have been allowed; null where it was, and where no waiting would have helped"`
	Limits        []explainedLimitBody `json:"limits" doc:"What each rule said"`
	Degraded      bool                 `json:"degraded" doc:"Decided without the store that all processes share"`
	Repeats       int                  `json:"repeats" doc:"How often the answer was given again to the same check_id, as far as it is recorded"`
	Key           namedBody            `json:"key"`
	Owner         namedBody            `json:"owner" doc:"Named by its external id, or its name where it has none"`
	Plan          string               `json:"plan"`
	PlanVersion   int                  `json:"plan_version"`
	Method        string               `json:"method"`
	Endpoint      string               `json:"endpoint"`
	IP            string               `json:"ip"`
	UserAgent     string               `json:"user_agent"`
	Meter         string               `json:"meter"`
	Cost          int64                `json:"cost" doc:"Asked for"`
	Units         int64                `json:"units" doc:"Spent in the end: adjustments are in it"`
	Settleable    bool                 `json:"settleable" doc:"It was asked that the cost may be corrected"`
	Adjustments   []adjustmentBody     `json:"adjustments" doc:"Corrections of the cost, oldest first"`
	Reports       []reportBody         `json:"reports" doc:"What was told of the call afterwards, oldest first"`
	SampleRate    float64              `json:"sample_rate" doc:"The share of such checks that is kept"`
	CompleteUntil *time.Time           `json:"complete_until" doc:"Later adjustments and reports may be missing; null where that is not known"`
}

type namedBody struct {
	ID   string `json:"id"`
	Name string `json:"name" doc:"Empty where there is none, and for what was erased"`
}

type explainedLimitBody struct {
	Name         string `json:"name"`
	Scope        string `json:"scope" example:"key"`
	Limit        int64  `json:"limit"`
	Remaining    int64  `json:"remaining" doc:"After the check"`
	ResetAfterMS int64  `json:"reset_after_ms"`
	RetryAfterMS int64  `json:"retry_after_ms" doc:"Until it would have admitted the same call; -1 where no waiting helps"`
	Denied       bool   `json:"denied"`
	WouldDeny    bool   `json:"would_deny" doc:"A shadow rule would have refused"`
}

type adjustmentBody struct {
	At    time.Time `json:"at"`
	Units int64     `json:"units" doc:"The change"`
}

type reportBody struct {
	At        time.Time `json:"at"`
	Status    int       `json:"status"`
	LatencyMS int64     `json:"latency_ms"`
	BytesIn   int64     `json:"bytes_in"`
	BytesOut  int64     `json:"bytes_out"`
	Meter     string    `json:"meter"`
	Units     int64     `json:"units"`
}

func explanationOf(e *usage.Explanation) explanationBody {
	c := &e.Check
	body := explanationBody{
		RequestID: c.RequestID, At: c.At.UTC(), Allowed: c.Allowed, Code: c.Code, RetryAt: utc(e.RetryAt),
		Degraded: c.Degraded, Repeats: e.Repeats, Key: namedBody{string(c.APIKeyID), e.Key}, Owner: namedBody{string(c.OwnerID), e.Owner},
		Plan: e.Plan, PlanVersion: e.PlanVersion, Method: c.Method, Endpoint: c.Endpoint, IP: c.IP, UserAgent: c.UserAgent,
		Meter: c.Meter, Cost: c.Cost, Units: e.Units, Settleable: c.Settle, SampleRate: c.SampleRate, CompleteUntil: utc(e.CompleteUntil),
	}
	if e.Decisive != nil {
		body.Decisive = e.Decisive.Rule
	}
	for _, l := range c.Limits {
		body.Limits = append(body.Limits, explainedLimitBody{
			Name: l.Rule, Scope: string(l.Scope), Limit: l.Limit, Remaining: l.Remaining, ResetAfterMS: l.ResetAfterMS,
			RetryAfterMS: l.RetryAfterMS, Denied: l.Denied, WouldDeny: l.WouldDeny,
		})
	}
	for i := range e.Adjustments {
		body.Adjustments = append(body.Adjustments, adjustmentBody{e.Adjustments[i].At.UTC(), e.Adjustments[i].Units})
	}
	for i := range e.Reports {
		r := &e.Reports[i]
		body.Reports = append(body.Reports, reportBody{r.At.UTC(), r.Status, r.LatencyMS, r.BytesIn, r.BytesOut, r.Meter, r.Units})
	}
	return body
}
