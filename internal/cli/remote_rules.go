package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// addRuleFlags lets a command take rules, in the order of their flags.
func addRuleFlags(cmd *cobra.Command, rules *[]client.Rule) {
	cmd.Flags().Var(&ruleFlag{rules: rules}, "rule",
		"a limit, such as name=per-second,limit=10,window=1s; repeat for more. It may also say\n"+
			"algorithm=sliding_window|fixed_window|gcra|sliding_log, burst=20 (with gcra), scope=key|owner,\n"+
			"method=GET, endpoint=/v1/** (repeat for more) and shadow")
	cmd.Flags().Var(&ruleFlag{rules: rules, quota: true}, "quota",
		"a quota, such as name=monthly,limit=10000,period=month; repeat for more. It may also say\n"+
			"overage=allow, and what a rule may")
}

// ruleFlag adds a rule each time it is given.
type ruleFlag struct {
	rules *[]client.Rule
	quota bool
}

func (f *ruleFlag) Type() string   { return "rule" }
func (f *ruleFlag) String() string { return "" }

func (f *ruleFlag) Set(text string) error {
	rule, err := parseRule(text)
	switch {
	case err != nil:
		return err
	case f.quota && rule.Period == "":
		return errors.New("a quota says period=day or period=month")
	case !f.quota && rule.Period != "":
		return errors.New("what has a period is a quota: use --quota")
	case !f.quota && rule.Window == 0:
		return errors.New("a rule says window=, such as window=1m")
	}
	*f.rules = append(*f.rules, rule)
	return nil
}

// parseRule reads name=value pairs separated by commas. Which values go
// together, the service knows.
func parseRule(text string) (client.Rule, error) {
	var rule client.Rule
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, valued := strings.Cut(strings.TrimSpace(pair), "=")
		if seen[name] && name != "method" && name != "endpoint" {
			return rule, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if name == "shadow" && !valued {
			value = "true"
		}
		if err := setRule(&rule, name, value); err != nil {
			return rule, err
		}
	}
	if rule.Name == "" || rule.Limit == 0 {
		return rule, errors.New("it says name= and limit=")
	}
	return rule, nil
}

func setRule(rule *client.Rule, name, value string) (err error) {
	switch name {
	case "name":
		rule.Name = value
	case "limit":
		rule.Limit, err = units(name, value)
	case "burst":
		rule.Burst, err = units(name, value)
	case "window":
		if rule.Window, err = time.ParseDuration(value); err != nil || rule.Window <= 0 {
			return errors.New("window must be a duration such as 30s or 1h")
		}
	case "period":
		rule.Period = client.Period(value)
	case "algorithm":
		rule.Algorithm = client.Algorithm(value)
	case "scope":
		rule.Scope = client.Scope(value)
	case "overage":
		rule.Overage = client.Overage(value)
	case "method":
		rule.Methods = append(rule.Methods, value)
	case "endpoint":
		rule.Endpoints = append(rule.Endpoints, value)
	case "shadow":
		if rule.Shadow, err = strconv.ParseBool(value); err != nil {
			return errors.New("shadow must be true or false")
		}
	default:
		return errors.New("it may say name, limit, window or period, algorithm, burst, scope, overage, " +
			"method, endpoint and shadow")
	}
	return err
}

func units(name, value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s must be a whole number from 1", name)
	}
	return n, nil
}

// formatRule writes a rule as parseRule reads it.
func formatRule(r *client.Rule) string {
	var pairs []string
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, name+"="+value)
		}
	}
	add("name", r.Name)
	add("limit", strconv.FormatInt(r.Limit, 10))
	if r.Window != 0 {
		add("window", client.FormatDuration(r.Window))
	}
	add("period", string(r.Period))
	add("algorithm", string(r.Algorithm))
	if r.Burst != 0 {
		add("burst", strconv.FormatInt(r.Burst, 10))
	}
	add("scope", string(r.Scope))
	add("overage", string(r.Overage))
	for _, method := range r.Methods {
		add("method", method)
	}
	for _, endpoint := range r.Endpoints {
		add("endpoint", endpoint)
	}
	if r.Shadow {
		pairs = append(pairs, "shadow")
	}
	return strings.Join(pairs, ",")
}

// formatRules describes rules, a line each.
func formatRules(rules []client.Rule) string {
	lines := make([]string, len(rules))
	for i := range rules {
		lines[i] = formatRule(&rules[i])
	}
	return strings.Join(lines, "\n")
}

// summarizeRules names rules for a list: per-minute 60/1m, or with a burst
// per-minute 60/1m burst 100.
func summarizeRules(rules []client.Rule) string {
	terms := make([]string, len(rules))
	for i, r := range rules {
		per := string(r.Period)
		if r.Window != 0 {
			per = client.FormatDuration(r.Window)
		}
		terms[i] = fmt.Sprintf("%s %d/%s", r.Name, r.Limit, per)
		if r.Burst != 0 && r.Burst != r.Limit {
			terms[i] += fmt.Sprintf(" burst %d", r.Burst)
		}
	}
	return words(terms)
}
