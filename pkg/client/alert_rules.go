package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// AlertRules say what is an alert. Where one is named, its id or its name will
// do.
type AlertRules struct{ client *Client }

// AlertParams are what a rule looks for; those of other kinds than its own are
// zero.
type AlertParams struct {
	Percent              float64       `json:"percent,omitzero"` // quota, error_rate
	Quota                string        `json:"quota,omitzero"`   // quota: only those of this name
	Window               time.Duration `json:"-"`                // violations, error_rate; system: of losses
	Per                  string        `json:"per,omitzero"`     // violations, error_rate, anomaly: key or owner
	Count                int64         `json:"count,omitzero"`   // violations
	MinReports           int64         `json:"min_reports,omitzero"`
	ClientErrors         bool          `json:"client_errors,omitzero"` // error_rate: 4xx as well
	Factor               float64       `json:"factor,omitzero"`        // anomaly
	Weeks                int           `json:"weeks,omitzero"`
	MinUnits             int64         `json:"min_units,omitzero"`
	Drop                 bool          `json:"drop,omitzero"`
	FailedJobs           bool          `json:"failed_jobs,omitzero"` // system
	IngestionLag         time.Duration `json:"-"`
	IngestLosses         bool          `json:"ingest_losses,omitzero"`
	DestinationsDisabled bool          `json:"destinations_disabled,omitzero"`
}

// plainAlertParams has the fields of AlertParams and not its methods.
type plainAlertParams AlertParams

// MarshalJSON writes durations as the API reads them.
func (p AlertParams) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		*plainAlertParams
		Window       string `json:"window,omitzero"`
		IngestionLag string `json:"ingestion_lag,omitzero"`
	}{(*plainAlertParams)(&p), optionalDuration(p.Window), optionalDuration(p.IngestionLag)})
}

// UnmarshalJSON reads durations as the API writes them.
func (p *AlertParams) UnmarshalJSON(data []byte) error {
	wire := struct {
		*plainAlertParams
		WindowMS       int64  `json:"window_ms"`
		IngestionLagMS int64  `json:"ingestion_lag_ms"`
		Window         string `json:"window"` // as in a file that a rule is made from
		IngestionLag   string `json:"ingestion_lag"`
	}{plainAlertParams: (*plainAlertParams)(p)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	p.Window, p.IngestionLag = time.Duration(wire.WindowMS)*time.Millisecond, time.Duration(wire.IngestionLagMS)*time.Millisecond
	for text, into := range map[string]*time.Duration{wire.Window: &p.Window, wire.IngestionLag: &p.IngestionLag} {
		if text == "" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		*into = d
	}
	return nil
}

func optionalDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return FormatDuration(d)
}

// AlertRule says when people are to be alerted.
type AlertRule struct {
	ID             string      `json:"id"`
	Name           string      `json:"name"`
	Kind           string      `json:"kind"`
	Severity       string      `json:"severity"`
	Enabled        bool        `json:"enabled"`
	Params         AlertParams `json:"params"`
	OwnerID        *string     `json:"owner_id"`
	KeyID          *string     `json:"key_id"`
	PlanID         *string     `json:"plan_id"`
	ForMS          int64       `json:"for_ms"`
	ResolveAfterMS int64       `json:"resolve_after_ms"`
	RepeatEveryMS  int64       `json:"repeat_every_ms"` // 0 is never
	Destinations   []string    `json:"destinations"`    // none: whoever wants it
	CreatedAt      time.Time   `json:"created_at"`
	UpdatedAt      time.Time   `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (r *AlertRule) tag(etag ETag) { r.ETag = etag }

// NewAlertRule describes a rule to make. Durations are such as "5m" or "0s";
// empty ones, and the severity, take the defaults of the kind.
type NewAlertRule struct {
	Name         string      `json:"name,omitzero"`
	Kind         string      `json:"kind"` // quota, violations, error_rate, anomaly or system
	Severity     string      `json:"severity,omitzero"`
	Enabled      *bool       `json:"enabled,omitempty"` // true unless said otherwise
	Params       AlertParams `json:"params"`
	Owner        string      `json:"owner,omitzero"` // id or external id
	Key          string      `json:"key,omitzero"`   // id
	Plan         string      `json:"plan,omitzero"`  // id or name
	For          string      `json:"for,omitzero"`
	ResolveAfter string      `json:"resolve_after,omitzero"`
	RepeatEvery  string      `json:"repeat_every,omitzero"`
	Destinations []string    `json:"destinations,omitempty"` // ids
}

// Create makes a rule.
func (r AlertRules) Create(ctx context.Context, rule NewAlertRule, opts ...CallOption) (*AlertRule, error) {
	return object[AlertRule](ctx, r.client, create("create alert rule", rule, opts, "alert-rules"))
}

// List yields rules. It sorts by created_at, updated_at or name.
func (r AlertRules) List(ctx context.Context, page Page) iter.Seq2[AlertRule, error] {
	op := get("list alert rules", "alert-rules")
	op.query = page.query(nil)
	return list[AlertRule](ctx, r.client, op)
}

// Get reads a rule.
func (r AlertRules) Get(ctx context.Context, ref string) (*AlertRule, error) {
	return object[AlertRule](ctx, r.client, get("get alert rule", "alert-rules", ref))
}

// AlertRulePatch changes a rule.
type AlertRulePatch struct {
	Name         *string          `json:"name,omitempty"`
	Severity     *string          `json:"severity,omitempty"`
	Enabled      *bool            `json:"enabled,omitempty"`
	Params       *AlertParams     `json:"params,omitempty"` // all of them
	Owner        Change[string]   `json:"owner,omitzero"`
	Key          Change[string]   `json:"key,omitzero"`
	Plan         Change[string]   `json:"plan,omitzero"`
	For          *string          `json:"for,omitempty"`
	ResolveAfter *string          `json:"resolve_after,omitempty"`
	RepeatEvery  *string          `json:"repeat_every,omitempty"`
	Destinations Change[[]string] `json:"destinations,omitzero"`
}

// Update changes a rule that is still at the version given. One that is disabled
// has its alerts resolved.
func (r AlertRules) Update(ctx context.Context, ref string, version ETag, p AlertRulePatch) (*AlertRule, error) {
	return object[AlertRule](ctx, r.client, patch("update alert rule", p, version, "alert-rules", ref))
}

// Delete erases a rule, and resolves its alerts.
func (r AlertRules) Delete(ctx context.Context, ref string) error {
	_, err := r.client.do(ctx, erase("delete alert rule", "alert-rules", ref), nil)
	return err
}

// AlertPreview is what a rule would have done.
type AlertPreview struct {
	From      time.Time     `json:"from"`
	To        time.Time     `json:"to"`
	Truncated bool          `json:"truncated"` // there is more than is listed
	Estimated bool          `json:"estimated"` // the times are estimates
	Data      []AlertFiring `json:"data"`
}

// AlertFiring is an alert that a rule would have made.
type AlertFiring struct {
	At         time.Time  `json:"at"`
	Subject    string     `json:"subject"`
	OwnerID    string     `json:"owner_id"`
	KeyID      string     `json:"key_id"`
	Quota      string     `json:"quota"`
	Value      float64    `json:"value"`
	Threshold  float64    `json:"threshold"`
	Text       string     `json:"text"`
	ResolvedAt *time.Time `json:"resolved_at"`
	Resolution string     `json:"resolution"`
}

// Preview tells what a rule would have done in [from, to], at most 31 days; zero
// times are the past week.
func (r AlertRules) Preview(ctx context.Context, rule NewAlertRule, from, to time.Time) (*AlertPreview, error) {
	body := struct {
		Rule NewAlertRule `json:"rule"`
		From time.Time    `json:"from,omitzero"`
		To   time.Time    `json:"to,omitzero"`
	}{rule, from, to}
	var preview AlertPreview
	if _, err := r.client.do(ctx, post("preview alert rule", body, "alert-rules", "preview"), &preview); err != nil {
		return nil, err
	}
	return &preview, nil
}
