package redisstore

import (
	"encoding/json"
	"fmt"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// An envelope is what is kept of a decision beside its numbers, so that it can
// be given again even to a request whose rules have changed meanwhile.
type envelope struct {
	Nonce uint64
	Cost  int64
	Rules []sealedRule
	rules []ratelimit.Rule
}

// A sealedRule has its names apart, as bytes: JSON strings would not survive
// names that are not UTF-8.
type sealedRule struct {
	ratelimit.Rule
	Names [4][]byte // scope, id, name, calendar
}

func seal(req *ratelimit.Request, nonce uint64) ([]byte, error) {
	e := envelope{Nonce: nonce, Cost: req.Cost, Rules: make([]sealedRule, len(req.Rules))}
	for i, rule := range req.Rules {
		sealed := &e.Rules[i]
		sealed.Names = [4][]byte{[]byte(rule.Scope), []byte(rule.ID), []byte(rule.Name)}
		rule.Scope, rule.ID, rule.Name = "", "", ""
		if rule.Calendar != nil {
			calendar := *rule.Calendar
			sealed.Names[3], calendar.Name = []byte(calendar.Name), ""
			rule.Calendar = &calendar
		}
		sealed.Rule = rule
	}
	sealed, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("seal rules: %w", err)
	}
	return sealed, nil
}

func unseal(sealed string) (envelope, error) {
	var e envelope
	if err := json.Unmarshal([]byte(sealed), &e); err != nil {
		return e, fmt.Errorf("unseal rules: %w", err)
	}
	e.rules = make([]ratelimit.Rule, len(e.Rules))
	for i := range e.Rules {
		rule, names := &e.Rules[i].Rule, &e.Rules[i].Names
		rule.Scope, rule.ID, rule.Name = string(names[0]), string(names[1]), string(names[2])
		if rule.Calendar != nil {
			rule.Calendar.Name = string(names[3])
		}
		e.rules[i] = *rule
	}
	decided := ratelimit.Request{Group: "any", Cost: e.Cost, Rules: e.rules}
	if err := decided.Validate(); err != nil {
		return e, fmt.Errorf("unseal rules: %w", err)
	}
	return e, nil
}
