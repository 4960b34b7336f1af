package models

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Snapshot is all that a check needs to know of one secret, as read from the
// database in one statement and compiled once. It is immutable after Compile
// and shared by every check of that secret.
type Snapshot struct {
	Key      APIKey
	Secret   Secret
	Keyspace Keyspace
	Owner    Owner
	Plan     Plan
	// PlanVersion is the number of the plan's version in force, and
	// VersionSince when that was made.
	PlanVersion  int
	VersionSince time.Time
	// PlanRules are that version's rules.
	PlanRules []Rule

	compiled compiled
}

// compiled is what Compile derives from the rest.
type compiled struct {
	rules      []CompiledRule
	allowedIPs []netip.Prefix
	deps       []Dependency
	segment    Segment
	identity   []byte // what records begin with
}

// CompiledRule is a rule in force and the limit it puts on the limit store.
type CompiledRule struct {
	Rule
	limit    ratelimit.Rule
	calendar atomic.Pointer[ratelimit.Calendar]
	zone     *time.Location
	anchor   int
}

// Compile derives what checks use. It fails where stored text no longer
// parses, which only a newer version or a hand in the database can cause.
func (s *Snapshot) Compile() error {
	zone, err := LoadZone(s.Owner.TimeZone)
	if err != nil {
		return fmt.Errorf("compile key %s: time zone: %w", s.Key.ID, err)
	}
	var c compiled
	for _, text := range s.Key.AllowedIPs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("compile key %s: allowed IPs: %w", s.Key.ID, err)
		}
		c.allowedIPs = append(c.allowedIPs, prefix)
	}
	merged := MergeRules(s.PlanRules, s.Owner.Rules, s.Key.Rules)
	c.rules = make([]CompiledRule, len(merged))
	for i, r := range merged {
		id := string(s.Owner.ID)
		if r.Scope == ScopeKey {
			id = string(s.Key.ID)
		}
		c.rules[i].Compile(r, id, zone, s.Owner.AnchorDay)
	}
	c.deps = []Dependency{
		{SubjectOf("key", s.Key.ID), s.Key.Version},
		{SubjectOf("owner", s.Owner.ID), s.Owner.Version},
		{SubjectOf("plan", s.Plan.ID), s.Plan.Version},
		{SubjectOf("keyspace", s.Keyspace.ID), s.Keyspace.Version},
	}
	c.segment = Segment{OwnerID: s.Owner.ID, PlanID: s.Plan.ID, PlanVersion: s.PlanVersion, Since: s.Owner.PlanSince}
	if s.Owner.PlanVersion == nil && s.VersionSince.After(c.segment.Since) {
		c.segment.Since = s.VersionSince // the plan moved on beneath the owner
	}
	c.segment.Identify()
	c.identity = appendIdentity(nil, s.Key.ID, &c.segment)
	s.compiled = c
	return nil
}

// Segment gives the assignment that the key's usage is rated by.
func (s *Snapshot) Segment() *Segment { return &s.compiled.segment }

// Compile makes the rule ready to be taken from: id is whom its scope counts,
// zone and anchor place its calendar periods.
func (c *CompiledRule) Compile(r Rule, id string, zone *time.Location, anchor int) {
	c.Rule, c.zone, c.anchor = r, zone, anchor
	c.limit = ratelimit.Rule{
		Scope: string(r.Scope), ID: id, Name: r.Name,
		Algorithm: r.Algorithm, Limit: r.Limit, Burst: r.Burst, Window: r.Window, Shadow: r.Shadow,
	}
	if r.Quota() && r.Overage == OverageAllow {
		// The quota is counted beyond its limit, which the answer states.
		c.limit.Limit = MaxFixedLimit
	}
}

// LimitAt gives the limit to take from at now; quotas carry the calendar of now.
func (c *CompiledRule) LimitAt(now time.Time) ratelimit.Rule {
	limit := c.limit
	if c.Quota() {
		limit.Calendar = c.calendarAt(now)
	}
	return limit
}

// calendarAt keeps the calendar of the current period: zone arithmetic costs
// more than the rest of a check.
func (c *CompiledRule) calendarAt(now time.Time) *ratelimit.Calendar {
	if cal := c.calendar.Load(); cal != nil && !now.Before(cal.Current.Start) && now.Before(cal.Current.End) {
		return cal
	}
	cal := CalendarAt(c.Period, c.zone, c.anchor, now)
	c.calendar.Store(&cal)
	return &cal
}

// Rules gives the rules in force. The slice is shared: do not change it.
func (s *Snapshot) Rules() []CompiledRule { return s.compiled.rules }

// Dependencies gives the versions the snapshot was made from.
func (s *Snapshot) Dependencies() []Dependency { return s.compiled.deps }

// AllowsIP tells whether the key may be used from an address. An unknown
// address passes only where all are allowed.
func (s *Snapshot) AllowsIP(ip netip.Addr) bool {
	if len(s.compiled.allowedIPs) == 0 {
		return true
	}
	ip = ip.Unmap()
	return slices.ContainsFunc(s.compiled.allowedIPs, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// AllowsEndpoint tells whether the key may call an endpoint.
func (s *Snapshot) AllowsEndpoint(method, endpoint string) bool {
	return matches(s.Key.Methods, s.Key.Endpoints, method, endpoint)
}

// Status tells what the key is at now, seen through the secret presented: one
// whose grace has ended is expired.
func (s *Snapshot) Status(now time.Time) KeyStatus {
	status := s.Key.Status(now)
	if status != KeyRevoked && !s.Secret.Valid(now) {
		return KeyExpired
	}
	return status
}

// Encode writes the snapshot for a shared cache.
func (s *Snapshot) Encode() ([]byte, error) { return json.Marshal(s) }

// DecodeSnapshot reads what Encode wrote, and compiles it.
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	s := new(Snapshot)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	if err := s.Compile(); err != nil {
		return nil, err
	}
	return s, nil
}
