package ratelimit

import "time"

// kept is the decision about a request that had an ID, with copies of the rules
// it points to.
type kept struct {
	fingerprint uint64
	decision    Decision
	rules       []Rule
	calendars   []Calendar
}

// fill makes k the decision about req. It reuses what k held before, unless
// answers still point there.
func (k *kept) fill(req *Request, dec *Decision) {
	results := k.decision.Results
	if k.decision.Replayed {
		k.rules, k.calendars = nil, nil
	}
	k.fingerprint, k.decision = req.Fingerprint, *dec
	k.decision.Results = append(results[:0], dec.Results...)
	k.rules = append(k.rules[:0], req.Rules...)
	k.calendars = k.calendars[:0]
	for i := range k.rules {
		if c := k.rules[i].Calendar; c != nil {
			k.calendars = append(k.calendars, *c)
		}
	}
	var next int
	for i := range k.rules {
		if rule := &k.rules[i]; rule.Calendar != nil {
			rule.Calendar = &k.calendars[next]
			next++
		}
		k.decision.Results[i].Rule = &k.rules[i]
	}
}

// keeps tells whether a decision of an instant is still given again. A clock
// that went back by more than the time of Replay has left it behind.
func keeps(at, now int64) bool {
	const window = int64(Replay / time.Microsecond)
	return now-at < window && at-now <= window
}

// replay gives the decision again, or refuses to: the ID was used for a call
// with another content.
func (k *kept) replay(req *Request, dec *Decision) error {
	if k.fingerprint != req.Fingerprint {
		return ErrIDConflict
	}
	k.decision.Replayed = true
	results := append(dec.Results[:0], k.decision.Results...)
	*dec = k.decision
	dec.Results = results
	return nil
}
