package controllers

import (
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// ruleBody is a rule, coming in and going out: it is read back as it was
// written, so that an answer can be edited and sent again.
type ruleBody struct {
	Name      string   `json:"name" minLength:"1" maxLength:"64" example:"per-minute" doc:"Unique among the rules; one of the same name overrides: key over owner over plan"`
	Limit     int64    `json:"limit" minimum:"1" maximum:"9007199254740991" example:"100" doc:"Units in a window or period"`
	Window    duration `json:"window,omitzero" doc:"Length of the window, from 100ms; absent where period is given"`
	Period    string   `json:"period,omitzero" enum:"day,month" doc:"Makes the rule a quota over a calendar period in the owner's time zone"`
	Algorithm string   `json:"algorithm,omitzero" enum:"sliding_window,fixed_window,gcra,sliding_log" doc:"sliding_window unless said otherwise; gcra is a steady rate with a burst (a token bucket); sliding_log is exact in every trailing window, with a limit of at most 10000; quotas are fixed"`
	Burst     int64    `json:"burst,omitzero" minimum:"1" maximum:"4294967296" example:"20" doc:"With gcra only: units at once, of which limit come back in a window; as many as limit unless said otherwise"`
	Scope     string   `json:"scope,omitzero" enum:"key,owner" doc:"Count each key alone, or all keys of the owner together; a plan's and an owner's rules count by owner unless they say otherwise, a key's count the key"`
	Overage   string   `json:"overage,omitzero" enum:"block,allow" doc:"Quotas only: refuse beyond the quota (the default), or count on"`
	Methods   []string `json:"methods,omitempty" maxItems:"16" maxLength:"16" doc:"HTTP methods the rule counts; none counts all"`
	Endpoints []string `json:"endpoints,omitempty" maxItems:"32" maxLength:"256" doc:"Globs of the endpoints the rule counts, such as /v1/users/*; none counts all"`
	Shadow    bool     `json:"shadow,omitzero" doc:"Count and report, never refuse"`
}

func (b *ruleBody) rule() (models.Rule, error) {
	r := models.Rule{
		Name: b.Name, Limit: b.Limit, Window: time.Duration(b.Window), Period: models.PeriodKind(b.Period),
		Burst: b.Burst, Scope: models.Scope(b.Scope), Overage: models.Overage(b.Overage),
		Methods: b.Methods, Endpoints: b.Endpoints, Shadow: b.Shadow,
	}
	if b.Algorithm == "" {
		return r, nil
	}
	algorithm, err := ratelimit.ParseAlgorithm(b.Algorithm)
	r.Algorithm = algorithm
	return r, err
}

func rulesOf(bodies []ruleBody) ([]models.Rule, error) {
	rules := make([]models.Rule, len(bodies))
	var v apierror.Validator
	for i := range bodies {
		rule, err := bodies[i].rule()
		v.In("rules", i).Check(err == nil, "algorithm", "must be an algorithm that is served")
		v.In("rules", i).Check(bodies[i].Period == "" || bodies[i].Algorithm == "" || rule.Algorithm == ratelimit.FixedWindow,
			"algorithm", "must be absent or fixed_window where period is given")
		rules[i] = rule
	}
	return rules, v.Err()
}

func ruleBodies(rules []models.Rule) []ruleBody {
	bodies := make([]ruleBody, len(rules))
	for i, r := range rules {
		bodies[i] = ruleBody{
			Name: r.Name, Limit: r.Limit, Window: duration(r.Window), Period: string(r.Period),
			Algorithm: r.Algorithm.String(), Burst: r.Burst, Scope: string(r.Scope), Overage: string(r.Overage),
			Methods: r.Methods, Endpoints: r.Endpoints, Shadow: r.Shadow,
		}
	}
	return bodies
}

// duration is a span of time as people write it: "30s", "1h30m".
type duration time.Duration

// UnmarshalText reads a Go duration.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// MarshalText writes the shortest form: "1h", where Go writes "1h0m0s".
func (d duration) MarshalText() ([]byte, error) {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// Schema is a string.
func (d duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: formatDuration, Examples: []any{"30s"}}
}

// milliseconds rounds up, so that waiting so long is long enough.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// utc gives times as all answers write them.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
