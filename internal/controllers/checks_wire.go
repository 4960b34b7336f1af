package controllers

import (
	"net/netip"

	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// checkBody asks whether a call may be made. Its bounds are those of the
// service; checks_decode.go knows them too.
type checkBody struct {
	APIKey      string   `json:"api_key" doc:"The key as its holder presented it, however garbled"`
	Keyspace    string   `json:"keyspace,omitzero" maxLength:"255" doc:"Id or name of the keyspace the key must be of"`
	CheckID     string   `json:"check_id,omitzero" maxLength:"128" doc:"Makes the check safe to repeat: within 60 seconds the same id of the same key gets the same answer and spends once"`
	Cost        *int64   `json:"cost,omitempty" minimum:"0" maximum:"9007199254740991" default:"1" doc:"Units the call spends; 0 looks without spending"`
	Method      string   `json:"method,omitzero" maxLength:"16" example:"GET" doc:"HTTP method of the call"`
	Endpoint    string   `json:"endpoint,omitzero" maxLength:"2048" example:"/v1/users/42" doc:"What is called, without a query string"`
	IP          string   `json:"ip,omitzero" format:"ip" doc:"Where the call comes from"`
	UserAgent   string   `json:"user_agent,omitzero" maxLength:"512" doc:"What the caller says it is; kept with its usage"`
	Permissions []string `json:"permissions,omitempty" maxItems:"64" maxLength:"128" doc:"Permissions the key must have, all of them"`
	Settle      bool     `json:"settle,omitzero" doc:"The cost is to be corrected afterwards, by POST checks/{request_id}/settle"`
}

func (b *checkBody) check(requestID string) (validation.Check, error) {
	c := validation.Check{
		RequestID: requestID, APIKey: b.APIKey, CheckID: b.CheckID, Keyspace: b.Keyspace, Cost: 1,
		Method: b.Method, Endpoint: b.Endpoint, Permissions: b.Permissions,
		UserAgent: b.UserAgent, Settle: b.Settle,
	}
	if b.Cost != nil {
		c.Cost = *b.Cost
	}
	if b.IP == "" {
		return c, nil
	}
	ip, err := netip.ParseAddr(b.IP)
	if err != nil {
		return c, apierror.Invalid(apierror.Field{In: apierror.Body, Name: "ip", Detail: "must be an IPv4 or IPv6 address"})
	}
	c.IP = ip.Unmap().WithZone("")
	return c, nil
}

type batchBody struct {
	Checks []checkBody `json:"checks" minItems:"1" maxItems:"1000" doc:"Decided one after the other, in this order"`
}

type batchAnswerBody struct {
	Results []answerBody `json:"results" doc:"One for each check, in order"`
}

type limitCheckBody struct {
	Namespace  string     `json:"namespace" minLength:"1" maxLength:"64" example:"logins" doc:"Keeps one use of limits apart from another; of a-z, A-Z, 0-9, '.', '_' and '-'"`
	Identifier string     `json:"identifier" minLength:"1" maxLength:"255" example:"203.0.113.7" doc:"Whom the limits count: a user, an address"`
	CheckID    string     `json:"check_id,omitzero" maxLength:"128" doc:"Makes the check safe to repeat within 60 seconds"`
	Cost       *int64     `json:"cost,omitempty" minimum:"0" maximum:"9007199254740991" default:"1" doc:"Units to spend; 0 looks without spending"`
	Rules      []ruleBody `json:"rules" minItems:"1" maxItems:"20" doc:"The limits; scopes play no part, and periods are in UTC"`
}

// answerBody is what a check comes to.
type answerBody struct {
	Allowed      bool              `json:"allowed"`
	Code         string            `json:"code" example:"rate_limited" doc:"ok, key_malformed, key_unknown, key_revoked, key_suspended, key_expired, permission_denied, ip_denied, endpoint_denied, rate_limited, quota_exceeded, cost_exceeds_limit; new ones may appear"`
	RequestID    string            `json:"request_id" doc:"Names this check"`
	Degraded     bool              `json:"degraded" doc:"Decided by one process alone, as the store that all share is out of reach"`
	Replayed     bool              `json:"replayed,omitzero" doc:"The answer that the same check_id got before"`
	Settleable   bool              `json:"settleable,omitzero" doc:"What the check cost can be corrected, for a time"`
	RetryAfterMS int64             `json:"retry_after_ms,omitzero" doc:"When the same call is allowed if nothing else is spent; absent where it is allowed, and where no waiting helps"`
	Key          *answerKeyBody    `json:"key,omitempty" doc:"Absent where no key was found"`
	Limits       []answerLimitBody `json:"limits" doc:"What each rule said that counts the call"`
	Headers      map[string]string `json:"headers" doc:"Rate-limit headers, ready to copy into the answer to the caller"`
	Problem      *apierror.Problem `json:"problem,omitempty" doc:"In a batch: why this check could not be decided; its code is then the problem's"`
}

type answerKeyBody struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Keyspace    string            `json:"keyspace"`
	Owner       string            `json:"owner"`
	Plan        string            `json:"plan"`
	Environment string            `json:"environment"`
	Permissions []string          `json:"permissions,omitempty"`
	Metadata    map[string]string `json:"metadata"`
}

type answerLimitBody struct {
	Name         string `json:"name"`
	Limit        int64  `json:"limit" doc:"Units in a window or period"`
	Burst        int64  `json:"burst,omitzero" doc:"Units at once; absent unless the algorithm is gcra"`
	Remaining    int64  `json:"remaining" doc:"Units that could be spent now"`
	ResetAfterMS int64  `json:"reset_after_ms" doc:"Time until there is more to spend"`
	RetryAfterMS int64  `json:"retry_after_ms,omitzero" doc:"When this rule would admit the same call; absent unless it refused"`
	Shadow       bool   `json:"shadow,omitzero" doc:"The rule counts and refuses nothing"`
	WouldDeny    bool   `json:"would_deny,omitzero" doc:"A shadow rule would have refused"`
}

func answerOf(a *validation.Answer) answerBody {
	body := answerBody{
		Allowed: a.Allowed, Code: string(a.Code), RequestID: a.RequestID, Degraded: a.Degraded, Replayed: a.Replayed, Settleable: a.Settleable,
		RetryAfterMS: retryMilliseconds(a.RetryAfter), Limits: make([]answerLimitBody, len(a.Limits)), Headers: map[string]string{},
	}
	if s := a.Snapshot; s != nil {
		body.Key = &answerKeyBody{
			ID: string(s.Key.ID), Name: s.Key.Name, Keyspace: s.Keyspace.Name, Owner: s.Owner.Ref(), Plan: s.Plan.Name,
			Environment: string(s.Key.Environment), Permissions: s.Key.Permissions, Metadata: s.Key.Metadata,
		}
	}
	for i := range a.Limits {
		l := &a.Limits[i]
		body.Limits[i] = answerLimitBody{
			Name: l.Rule.Name, Limit: l.Rule.Limit, Burst: l.Rule.Burst,
			Remaining: l.Remaining, ResetAfterMS: milliseconds(l.ResetAfter),
			RetryAfterMS: retryMilliseconds(l.RetryAfter), Shadow: l.Rule.Shadow, WouldDeny: l.WouldDeny,
		}
	}
	var headers limitHeaders
	headers.of(a)
	for _, each := range headers.all() {
		if len(each.value) > 0 {
			body.Headers[each.name] = string(each.value)
		}
	}
	return body
}

// undecided is the answer of a batch to a check that could not be decided.
func undecided(err error, requestID string) answerBody {
	e := apierror.From(err)
	problem := e.Problem(requestID)
	return answerBody{Code: string(e.Code), RequestID: requestID, Limits: []answerLimitBody{}, Headers: map[string]string{}, Problem: &problem}
}
