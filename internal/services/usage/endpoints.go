package usage

import (
	"context"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
)

// endpoints remembers which endpoints of each key are counted apart. The
// database decides which: at most so many of a key, whoever comes first.
type endpoints struct {
	most  int
	known map[models.KeyID][]string
}

// maxKnown bounds the keys that are remembered; beyond it all are forgotten.
const maxKnown = 100_000

// claim asks for the endpoints of the records that are not known. It gives all
// that are counted apart now of the keys it asked about.
func (e *endpoints) claim(ctx context.Context, store Store, records []*models.Record) (map[models.KeyID][]string, error) {
	want := map[models.KeyID][]string{}
	for _, r := range records {
		if r.Kind == models.RecordLimitCheck || !separable(r.Endpoint) {
			continue
		}
		known := e.known[r.KeyID]
		if slices.Contains(known, r.Endpoint) || len(known) >= e.most || slices.Contains(want[r.KeyID], r.Endpoint) {
			continue
		}
		want[r.KeyID] = append(want[r.KeyID], r.Endpoint)
	}
	if len(want) == 0 {
		return nil, nil
	}
	return store.ClaimEndpoints(ctx, want, e.most)
}

// separable tells whether an endpoint can be counted apart; none at all always
// is, and one that is too long for an index never.
func separable(endpoint string) bool { return endpoint != "" && len(endpoint) <= maxEndpoint }

// name is what an endpoint is counted as.
func (e *endpoints) name(claimed map[models.KeyID][]string, key models.KeyID, endpoint string) string {
	if endpoint == "" || slices.Contains(e.known[key], endpoint) || slices.Contains(claimed[key], endpoint) {
		return endpoint
	}
	return models.OtherEndpoint
}

// learn remembers what was claimed by a transaction that is committed.
func (e *endpoints) learn(claimed map[models.KeyID][]string) {
	if e.known == nil || len(e.known) > maxKnown {
		e.known = map[models.KeyID][]string{}
	}
	for key, list := range claimed {
		e.known[key] = list
	}
}
