package repositories

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// endpointSlot is one of the numbered places that a key has for endpoints.
type endpointSlot struct {
	APIKeyID models.KeyID
	Slot     int
	Endpoint string
}

// TableName is the name of its table.
func (endpointSlot) TableName() string { return "usage_endpoints" }

var endpointSlotsBulk = bulk[endpointSlot]{
	table: "usage_endpoints", noun: "endpoint",
	columns: []bulkColumn[endpointSlot]{
		idOf("api_key_id", func(e *endpointSlot) string { return string(e.APIKeyID) }),
		numberOf("slot", func(e *endpointSlot) int64 { return int64(e.Slot) }),
		textOf("endpoint", func(e *endpointSlot) string { return e.Endpoint }),
	},
	conflict: kept,
	compare: func(a, b *endpointSlot) int {
		return cmp.Or(cmp.Compare(a.APIKeyID, b.APIKeyID), cmp.Compare(a.Slot, b.Slot))
	},
}

func endpointsOf(slots map[models.KeyID][]endpointSlot) map[models.KeyID][]string {
	endpoints := make(map[models.KeyID][]string, len(slots))
	for key, list := range slots {
		for _, slot := range list {
			endpoints[key] = append(endpoints[key], slot.Endpoint)
		}
	}
	return endpoints
}

func (r Ingest) slots(ctx context.Context, keys []models.KeyID) (map[models.KeyID][]endpointSlot, error) {
	slots := make(map[models.KeyID][]endpointSlot, len(keys))
	for part := range slices.Chunk(keys, insertRows) {
		var rows []endpointSlot
		err := r.db.do(ctx, "endpoint", func(g *gorm.DB) error {
			return g.Where("api_key_id "+r.db.among, among(r.db, part)).Order("api_key_id").Order("slot").Find(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			slots[row.APIKeyID] = append(slots[row.APIKeyID], row)
		}
	}
	return slots, nil
}

// ClaimEndpoints has wanted endpoints counted apart, as long as their key has
// at most so many, and gives all that are. Two that claim for the same key at
// once want the same next slot: the one waits for the other's transaction, and
// then sees what is left.
func (r Ingest) ClaimEndpoints(ctx context.Context, want map[models.KeyID][]string, most int) (all map[models.KeyID][]string, err error) {
	keys := slices.Sorted(maps.Keys(want))
	err = r.db.InTx(ctx, func(ctx context.Context) error {
		for {
			slots, err := r.slots(ctx, keys)
			if err != nil {
				return err
			}
			var claims []endpointSlot
			for _, key := range keys {
				claims = append(claims, claimSlots(key, slots[key], want[key], most)...)
			}
			if len(claims) == 0 {
				all = endpointsOf(slots)
				return nil
			}
			// Whatever of it does not succeed is taken by now, and read as such in the
			// next round: so there is a last one.
			if err := endpointSlotsBulk.write(ctx, r.db, claims); err != nil {
				return err
			}
		}
	})
	return all, err
}

// claimSlots gives the endpoints that are not counted apart yet those slots
// below most that are free.
func claimSlots(key models.KeyID, have []endpointSlot, want []string, most int) (claims []endpointSlot) {
	taken, counted := make(map[int]bool, len(have)), make(map[string]bool, len(have))
	for _, slot := range have {
		taken[slot.Slot], counted[slot.Endpoint] = true, true
	}
	next := 0
	for _, endpoint := range slices.Sorted(slices.Values(want)) {
		if counted[endpoint] {
			continue
		}
		for taken[next] {
			next++
		}
		if next >= most || len(have)+len(claims) >= most {
			break
		}
		claims = append(claims, endpointSlot{key, next, endpoint})
		taken[next], counted[endpoint] = true, true
	}
	return claims
}
