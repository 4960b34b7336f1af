package ratelimit

import (
	"slices"
	"time"
)

// kept is the decision about a request that had an ID.
type kept struct {
	at          int64
	fingerprint uint64
	decision    Decision
}

// keep copies the decision and the rules it points to.
func keep(req *Request, dec *Decision, now int64) *kept {
	k := &kept{at: now, fingerprint: req.Fingerprint, decision: *dec}
	rules := slices.Clone(req.Rules)
	k.decision.Results = slices.Clone(dec.Results)
	for i := range k.decision.Results {
		k.decision.Results[i].Rule = &rules[i]
	}
	return k
}

// counts tells whether the decision is still given again. A clock that went
// back by more than the time of Replay has left it behind.
func (k *kept) counts(now int64) bool {
	const window = int64(Replay / time.Microsecond)
	return k != nil && now-k.at < window && k.at-now <= window
}

func (k *kept) replay(req *Request, dec *Decision) error {
	if k.fingerprint != req.Fingerprint {
		return ErrIDConflict
	}
	results := append(dec.Results[:0], k.decision.Results...)
	*dec = k.decision
	dec.Results, dec.Replayed = results, true
	return nil
}
