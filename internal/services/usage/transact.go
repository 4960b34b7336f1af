package usage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// item is one entry on its way into the database.
type item struct {
	Entry
	record models.Record
	reason string // why the payload is no record; empty for one
}

// decode reads entries into items, whose memory is used again for the next batch.
func (i *Ingester) decode(entries []Entry, now time.Time) []item {
	i.items = slices.Grow(i.items[:0], len(entries))[:len(entries)]
	items, forget := i.items, i.options.Forget
	var decoder models.RecordDecoder
	for n, e := range entries {
		items[n].Entry, items[n].reason = e, ""
		r := &items[n].record
		if err := decoder.Decode(e.Payload, r); err != nil {
			items[n].reason = reasonOf(err)
			continue
		}
		r.At = clamp(r.At, now)
		if forget != nil && forget(r) {
			items[n].Payload = r.Append(nil) // where the database refuses the record, it is kept
		}
	}
	return items
}

// maxAhead is how far ahead of the clock a record may be: clocks that are wrong
// must not open months that have not begun.
const maxAhead = 5 * time.Minute

func clamp(at, now time.Time) time.Time {
	if at.After(now.Add(maxAhead)) {
		return now
	}
	return at
}

// treatment says what becomes of the records of a batch.
type treatment struct {
	counts bool // they are added up
	rows   bool // they are kept one by one, and as violations
	reason string
}

var whole = treatment{counts: true, rows: true}

// countsOnly is for one record that was refused, likely for its text.
func countsOnly(why error) treatment { return treatment{counts: true, reason: reasonOf(why)} }

// setAside is for one record that cannot even be added up.
func setAside(why error) treatment { return treatment{reason: reasonOf(why)} }

const maxReason = 500

func reasonOf(why error) string {
	text := strings.ReplaceAll(why.Error(), "\x00", "")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// transact brings items of a stream in, and moves its cursor over them, in one
// transaction. What it changes in memory it changes after the commit.
func (i *Ingester) transact(ctx context.Context, stream models.StreamID, items []item, t treatment) error {
	var effects effects
	err := i.store.InTx(ctx, func(ctx context.Context) error {
		effects = i.effects() // the transaction may be tried several times
		cursor, err := i.cursors.LockCursor(ctx, stream, i.options.Node)
		if err != nil {
			return err
		}
		if items[0].Seq > cursor.LastSeq+1 && i.positions[stream] > cursor.LastSeq {
			return errRewound
		}
		batch := new(models.UsageBatch)
		records := i.advance(&cursor, items, batch, t)
		if t.counts {
			if err := i.count(ctx, records, batch, &effects, t.rows); err != nil {
				return err
			}
		}
		if err := i.store.Add(ctx, batch); err != nil {
			return err
		}
		effects.quotas, effects.segments = len(batch.Quotas) > 0, batch.Segments
		effects.records, effects.rejected = int64(len(records)), int64(len(batch.Rejects))
		for _, gap := range batch.Gaps {
			effects.lost += gap.ToSeq - gap.FromSeq + 1
		}
		return i.cursors.SaveCursor(ctx, &cursor)
	})
	if err != nil {
		return err
	}
	i.apply(&effects)
	return nil
}

// advance moves the cursor over the items, and gives the records that it did
// not know yet.
func (i *Ingester) advance(cursor *models.IngestCursor, items []item, batch *models.UsageBatch, t treatment) []*models.Record {
	now := i.options.Now()
	records := make([]*models.Record, 0, len(items))
	for n := range items {
		it := &items[n]
		if it.Seq <= cursor.LastSeq {
			continue // brought in by a transaction whose end was not heard of
		}
		if lost := it.Seq - cursor.LastSeq - 1; lost > 0 {
			cursor.Gaps += lost
			batch.Gaps = append(batch.Gaps, models.IngestGap{
				StreamID: cursor.StreamID, FromSeq: cursor.LastSeq + 1, ToSeq: it.Seq - 1, FoundAt: now,
			})
			i.options.Report("records of the journal are lost",
				fmt.Errorf("%d of stream %s, from %d", lost, cursor.StreamID, cursor.LastSeq+1))
		}
		cursor.LastSeq = it.Seq
		reason := it.reason
		if reason == "" {
			reason = t.reason
			records = append(records, &it.record)
		}
		if reason != "" {
			batch.Rejects = append(batch.Rejects, models.IngestReject{
				StreamID: cursor.StreamID, Seq: it.Seq, Reason: reason, Payload: it.Payload, RejectedAt: now,
			})
		}
	}
	return records
}

// count adds up those of the records that were not counted before.
func (i *Ingester) count(ctx context.Context, records []*models.Record, batch *models.UsageBatch, e *effects, rows bool) error {
	if err := i.recognize(ctx, records); err != nil {
		return err
	}
	var err error
	if e.endpoints, err = i.endpoints.claim(ctx, i.store, records); err != nil {
		return err
	}
	f := newFold(func(key models.KeyID, endpoint string) string { return i.endpoints.name(e.endpoints, key, endpoint) }, i.segments)
	for _, r := range records {
		f.add(r)
	}
	f.into(batch)
	e.used = f.used()
	if rows {
		batch.Logs = e.sampler.rows(records, f)
	} else {
		batch.Violations, batch.Exceeded = nil, nil
	}
	return nil
}

// recognize marks the records that were counted before, under another request
// or by another node, as replayed; the first of those that are new is not.
func (i *Ingester) recognize(ctx context.Context, records []*models.Record) error {
	var ids []models.EventID
	for _, r := range records {
		if r.Once != (models.EventID{}) {
			ids = append(ids, r.Once)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	fresh, err := i.store.ClaimIDs(ctx, ids, i.options.Now())
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Once != (models.EventID{}) {
			r.Replayed = !fresh[r.Once]
			delete(fresh, r.Once)
		}
	}
	return nil
}

// counted tells whether a record counts. A replay whose first answer was never
// recorded, for its process died, has been recognized as the first.
func counted(r *models.Record) bool { return r.Once == (models.EventID{}) || !r.Replayed }

// effects are what a transaction changes in memory once it is committed.
type effects struct {
	sampler   *sampler
	endpoints map[models.KeyID][]string
	segments  []models.Segment // stored
	used      map[models.KeyID]time.Time
	quotas    bool // units of some moved

	records, lost, rejected int64
}

func (i *Ingester) effects() effects {
	return effects{sampler: i.sampler.clone()}
}

func (i *Ingester) apply(e *effects) {
	i.sampler = e.sampler
	i.endpoints.learn(e.endpoints)
	if len(i.segments) > maxKnown {
		clear(i.segments)
	}
	for n := range e.segments {
		i.segments[e.segments[n].ID] = true
	}
	i.activity.note(e.used)
	i.moved = i.moved || e.quotas
	if i.options.Observer != nil {
		i.options.Observer.Brought(e.records, e.lost, e.rejected)
	}
}
