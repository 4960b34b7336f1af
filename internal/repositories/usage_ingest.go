package repositories

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Ingest keeps what journals bring in. All of a batch, and how far the journal
// has come by it, go into one transaction.
//
// Its methods lock rows in the order of their keys. Where two transactions yet
// wait for each other, the database gives one up and InTx runs it again.
type Ingest struct{ db *DB }

// NewIngest makes the repository.
func NewIngest(db *DB) Ingest { return Ingest{db} }

// InTx runs fn in a transaction: see [DB.InTx].
func (r Ingest) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	return r.db.InTx(ctx, fn)
}

// ClaimIDs stores the ids and tells which of them were not there before. Of
// transactions that claim an id at once, one gets it, and the others wait until
// that one has ended.
func (r Ingest) ClaimIDs(ctx context.Context, ids []models.EventID, at time.Time) (fresh map[models.EventID]bool, err error) {
	fresh = make(map[models.EventID]bool, len(ids))
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b models.EventID) int { return bytes.Compare(a[:], b[:]) })
	sorted = slices.Compact(sorted)
	err = r.db.InTx(ctx, func(ctx context.Context) error {
		clear(fresh) // of an attempt that was given up
		for part := range slices.Chunk(sorted, bulkRows) {
			if err := r.claim(ctx, part, at, fresh); err != nil {
				return err
			}
		}
		return nil
	})
	return fresh, err
}

func (r Ingest) claim(ctx context.Context, ids []models.EventID, at time.Time, fresh map[models.EventID]bool) error {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = uuid.UUID(id).String()
	}
	statement := `INSERT INTO usage_event_ids (id, at) SELECT id, $2 FROM unnest($1::uuid[]) AS r (id)
		ON CONFLICT DO NOTHING RETURNING id`
	if r.db.engine == SQLite {
		// Without WHERE, SQLite takes the ON for that of a join.
		statement = `INSERT INTO usage_event_ids (id, at) SELECT value, ? FROM json_each(?) WHERE true
			ON CONFLICT DO NOTHING RETURNING id`
	}
	return r.db.do(ctx, "event", func(g *gorm.DB) error {
		args := []any{names, at}
		if r.db.engine == SQLite {
			args = []any{at, among(r.db, names)}
		}
		stored, err := texts(g, statement, args...)
		for _, name := range stored {
			id, err := uuid.Parse(name)
			if err != nil {
				return err
			}
			fresh[models.EventID(id)] = true
		}
		return err
	})
}

var segmentsBulk = bulk[models.Segment]{
	table: "usage_segments", noun: "segment",
	columns: []bulkColumn[models.Segment]{
		idOf("id", func(s *models.Segment) string { return string(s.ID) }),
		idOf("owner_id", func(s *models.Segment) string { return string(s.OwnerID) }),
		idOf("plan_id", func(s *models.Segment) string { return string(s.PlanID) }),
		numberOf("plan_version", func(s *models.Segment) int64 { return int64(s.PlanVersion) }),
		instantOf("since", func(s *models.Segment) time.Time { return s.Since }),
	},
	conflict: kept,
	compare:  func(a, b *models.Segment) int { return cmp.Compare(a.ID, b.ID) },
}

// AddSegments stores those that are not there yet.
func (r Ingest) AddSegments(ctx context.Context, rows []models.Segment) error {
	return segmentsBulk.write(ctx, r.db, rows)
}

var installationBulk = bulk[models.InstallationUsage]{
	table: "installation_usage", noun: "usage",
	columns: []bulkColumn[models.InstallationUsage]{
		instantOf("bucket", func(u *models.InstallationUsage) time.Time { return u.Bucket }),
		textOf("kind", func(u *models.InstallationUsage) string { return u.Kind }),
		numberOf("requests", func(u *models.InstallationUsage) int64 { return u.Requests }),
		numberOf("allowed", func(u *models.InstallationUsage) int64 { return u.Allowed }),
	},
	conflict: added("installation_usage", "bucket, kind", "requests", "allowed"),
	compare: func(a, b *models.InstallationUsage) int {
		return cmp.Or(a.Bucket.Compare(b.Bucket), cmp.Compare(a.Kind, b.Kind))
	},
	merge: func(into, u *models.InstallationUsage) {
		into.Requests += u.Requests
		into.Allowed += u.Allowed
	},
}

// AddInstallation adds to the checks that belong to no key.
func (r Ingest) AddInstallation(ctx context.Context, rows []models.InstallationUsage) error {
	return installationBulk.write(ctx, r.db, rows)
}

var gapsBulk = bulk[models.IngestGap]{
	table: "ingest_gaps", noun: "gap",
	columns: []bulkColumn[models.IngestGap]{
		idOf("stream_id", func(p *models.IngestGap) string { return string(p.StreamID) }),
		numberOf("from_seq", func(p *models.IngestGap) int64 { return p.FromSeq }),
		numberOf("to_seq", func(p *models.IngestGap) int64 { return p.ToSeq }),
		instantOf("found_at", func(p *models.IngestGap) time.Time { return p.FoundAt }),
	},
	conflict: kept, // found before, by a transaction whose outcome was not known
	compare: func(a, b *models.IngestGap) int {
		return cmp.Or(cmp.Compare(a.StreamID, b.StreamID), cmp.Compare(a.FromSeq, b.FromSeq))
	},
}

// AddGaps stores gaps that are not known yet.
func (r Ingest) AddGaps(ctx context.Context, rows []models.IngestGap) error {
	return gapsBulk.write(ctx, r.db, rows)
}

var rejectsBulk = bulk[models.IngestReject]{
	table: "ingest_rejects", noun: "rejected record",
	columns: []bulkColumn[models.IngestReject]{
		idOf("stream_id", func(j *models.IngestReject) string { return string(j.StreamID) }),
		numberOf("seq", func(j *models.IngestReject) int64 { return j.Seq }),
		// A reason may quote what the record was refused for.
		textOf("reason", func(j *models.IngestReject) string {
			return strings.ReplaceAll(strings.ToValidUTF8(j.Reason, "\uFFFD"), "\x00", "\uFFFD")
		}),
		columnOf("payload", "bytea[]", "", func(j *models.IngestReject) []byte { return append([]byte{}, j.Payload...) }),
		instantOf("rejected_at", func(j *models.IngestReject) time.Time { return j.RejectedAt }),
	},
	conflict: kept,
	compare: func(a, b *models.IngestReject) int {
		return cmp.Or(cmp.Compare(a.StreamID, b.StreamID), cmp.Compare(a.Seq, b.Seq))
	},
}

// AddRejects stores records that the database refused.
func (r Ingest) AddRejects(ctx context.Context, rows []models.IngestReject) error {
	return rejectsBulk.write(ctx, r.db, rows)
}

// Add stores all of a batch, in the order that every transaction keeps.
func (r Ingest) Add(ctx context.Context, b *models.UsageBatch) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		for _, add := range []func() error{
			func() error { return r.AddSegments(ctx, b.Segments) },
			func() error { return r.AddLogs(ctx, b.Logs) },
			func() error { return r.AddViolations(ctx, b.Violations) },
			func() error { return r.AddRollups(ctx, b.Rollups) },
			func() error { return r.AddLatencies(ctx, b.Latencies) },
			func() error { return r.AddQuotas(ctx, b.Quotas) },
			func() error { return r.AddGaps(ctx, b.Gaps) },
			func() error { return r.AddRejects(ctx, b.Rejects) },
			func() error { return r.askExceeded(ctx, b.Exceeded) },
			// Last what transactions of all nodes add to, so that they hold it shortly.
			func() error { return r.AddInstallation(ctx, b.Installation) },
			func() error { return r.AddSums(ctx, b.Sums) },
		} {
			if err := add(); err != nil {
				return err
			}
		}
		return nil
	})
}

// exceededAfter is how long refusals of a key gather before they are looked at:
// however many there are, it is done about once in this time.
const exceededAfter = time.Second

func (r Ingest) askExceeded(ctx context.Context, keys []models.KeyID) error {
	subjects := make([]string, len(keys))
	for i, key := range keys {
		subjects[i] = string(key)
	}
	return Jobs(r).TouchMany(ctx, models.JobRateLimitExceeded, subjects, exceededAfter)
}

// Refused is the function [Refused], for those who know the repository alone.
func (r Ingest) Refused(err error) bool { return Refused(err) }
