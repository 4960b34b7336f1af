package repositories

import (
	"context"
	"database/sql"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Doctor reads what tells whether a database is well. It changes nothing, and
// needs no schema but where it says so.
type Doctor struct{ db *DB }

// NewDoctor makes the repository.
func NewDoctor(db *DB) Doctor { return Doctor{db} }

const serverNoun = "database server"

// Reach is how a PostgreSQL URL leads to its servers, with what the environment
// adds to it.
type Reach struct {
	Hosts          []string // names, addresses, or folders of sockets
	User, Password string
	Plain          bool // TLS is never used
}

// ReachOf reads a PostgreSQL URL. No error repeats its password.
func ReachOf(url string) (Reach, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return Reach{}, fmt.Errorf("read the URL: %w", err)
	}
	r := Reach{Hosts: []string{c.Host}, User: c.User, Password: c.Password, Plain: c.TLSConfig == nil}
	for _, other := range c.Fallbacks {
		r.Hosts, r.Plain = append(r.Hosts, other.Host), r.Plain && other.TLSConfig == nil
	}
	return r, nil
}

// Server is what a database says of itself. All but the first two fields are
// PostgreSQL's alone.
type Server struct {
	Version        string
	Bytes          int64  // of the database
	Number         int    // of the version: 150004 is 15.4
	Standby        bool   // it follows another server, and cannot be written to
	Fsync          string // these are "on" or "off", or more than on
	FullPageWrites string
	Commit         string
	Autovacuum     string
	TimeZone       string
	Connections    int // that ordinary roles may have at once
	InUse          int
	Role           string
	Superuser      bool
	MayCreate      bool // tables, in the schema that is used
}

// Server asks the database about itself.
func (d Doctor) Server(ctx context.Context) (s Server, err error) {
	query := `SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes,
		current_setting('server_version_num')::int AS number, pg_is_in_recovery() AS standby,
		current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
		current_setting('synchronous_commit') AS commit, current_setting('autovacuum') AS autovacuum,
		current_setting('TimeZone') AS time_zone,
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
		(SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS in_use,
		current_user AS role, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
		COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create`
	if d.db.engine == SQLite {
		query = "SELECT sqlite_version() AS version, page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()"
	}
	err = d.db.do(ctx, serverNoun, func(g *gorm.DB) error { return g.Raw(query).Scan(&s).Error })
	return s, err
}

// Latency is the quickest of a few round trips, with a connection that is open.
func (d Doctor) Latency(ctx context.Context, now func() time.Time) (time.Duration, error) {
	quickest := time.Duration(-1)
	for range 5 {
		began := now()
		if err := d.db.do(ctx, serverNoun, func(g *gorm.DB) error { return execute(g, "SELECT 1") }); err != nil {
			return 0, err
		}
		if took := now().Sub(began); quickest < 0 || took < quickest {
			quickest = took
		}
	}
	return quickest, nil
}

// Clock is the clock of PostgreSQL.
func (d Doctor) Clock(ctx context.Context) (t time.Time, err error) {
	err = d.db.do(ctx, serverNoun, func(g *gorm.DB) error { return g.Raw("SELECT clock_timestamp()").Row().Scan(&t) })
	return t, err
}

// Schema is how the schema is, as [DB.Version] tells, which makes a table to keep
// that in.
type Schema struct {
	Current, Wanted int64
	Pending         []string // files of migrations that the database lacks
}

// Schema tells how the schema is.
func (d Doctor) Schema(ctx context.Context) (s Schema, err error) {
	exists := "to_regclass('goose_db_version') IS NOT NULL"
	if d.db.engine == SQLite {
		exists = "EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'goose_db_version')"
	}
	var applied []int64
	err = d.db.do(ctx, "schema", func(g *gorm.DB) error {
		var there bool
		if err := g.Raw("SELECT " + exists).Row().Scan(&there); err != nil || !there {
			return err
		}
		return g.Raw("SELECT version_id FROM goose_db_version WHERE is_applied ORDER BY version_id").Scan(&applied).Error
	})
	if len(applied) > 0 {
		s.Current = applied[len(applied)-1]
	}
	for _, step := range d.db.schema.ListSources() {
		s.Wanted = step.Version
		if _, ok := slices.BinarySearch(applied, step.Version); !ok {
			s.Pending = append(s.Pending, path.Base(step.Path))
		}
	}
	return s, err
}

// Held tells whether some process has the advisory lock of a name. It does not
// try to take it, which could keep a process that starts from it.
func (d Doctor) Held(ctx context.Context, name string) (held bool, err error) {
	if d.db.engine == SQLite {
		return false, nil
	}
	id := uint64(lockID("session", name))
	err = d.db.do(ctx, "lock", func(g *gorm.DB) error {
		return g.Raw(`SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND classid::bigint = ? AND objid::bigint = ?)`, int64(id>>32), int64(id&0xffffffff)).Row().Scan(&held)
	})
	return held, err
}

// Days is how a table of usage is divided on PostgreSQL.
type Days struct {
	Table    string
	Column   string      // that tells the day
	Owned    bool        // by the role, as who divides it must
	Made     []time.Time // days that have a partition, oldest first
	Detached []string    // partitions that were to be dropped
	Rest     int         // rows that belong to none, counted up to MaxRest
}

// MaxRest bounds what Days counts.
const MaxRest = 10_000

// Days tells how the tables of usage are divided, in a schema that is there.
func (d Doctor) Days(ctx context.Context) (list []Days, err error) {
	for _, p := range []partitioned{logDays, violationDays} {
		parts, err := p.days(ctx, d.db)
		if err != nil {
			return nil, err
		}
		days := Days{Table: p.table, Column: p.column}
		for _, part := range parts {
			if part.attached {
				days.Made = append(days.Made, part.start)
			} else {
				days.Detached = append(days.Detached, part.name)
			}
		}
		err = d.db.do(ctx, p.noun, func(g *gorm.DB) error {
			return g.Raw("SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM "+p.rest()+" LIMIT ?) AS rest),"+
				" (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = ?::regclass)", MaxRest, p.table).Row().Scan(&days.Rest, &days.Owned)
		})
		if err != nil {
			return nil, err
		}
		list = append(list, days)
	}
	return list, nil
}

// Losses are records that did not come into the database.
type Losses struct {
	Missing, MissingNew int64 // lost before they came; and those found missing lately
	Refused, RefusedNew int64 // by the database
	Reason              string
}

// Losses counts what did not come into the database, and apart what was found
// since.
func (d Doctor) Losses(ctx context.Context, since time.Time) (l Losses, err error) {
	var reason sql.NullString
	err = d.db.do(ctx, streamNoun, func(g *gorm.DB) error {
		err := g.Raw(`SELECT CAST(COALESCE(SUM(to_seq - from_seq + 1), 0) AS bigint),
			CAST(COALESCE(SUM(CASE WHEN found_at >= ? THEN to_seq - from_seq + 1 ELSE 0 END), 0) AS bigint) FROM ingest_gaps`, since).
			Row().Scan(&l.Missing, &l.MissingNew)
		if err != nil {
			return err
		}
		return g.Raw(`SELECT COUNT(*), COUNT(CASE WHEN rejected_at >= ? THEN 1 END),
			(SELECT reason FROM ingest_rejects ORDER BY rejected_at DESC LIMIT 1) FROM ingest_rejects`, since).
			Row().Scan(&l.Refused, &l.RefusedNew, &reason)
	})
	l.Reason = reason.String
	return l, err
}

// Tick is the last time that a kind of job was asked for because it was time.
type Tick struct {
	Kind models.JobKind
	Tick time.Time
	Node string // who asked
}

// Ticks gives the last tick of each kind, as far as ticks are kept.
func (d Doctor) Ticks(ctx context.Context) (ticks []Tick, err error) {
	err = d.db.do(ctx, tickNoun, func(g *gorm.DB) error {
		return g.Raw(`SELECT t.kind, t.tick, t.node FROM job_ticks t
			JOIN (SELECT kind, MAX(tick) AS tick FROM job_ticks GROUP BY kind) AS newest ON newest.kind = t.kind AND newest.tick = t.tick
			ORDER BY t.kind`).Scan(&ticks).Error
	})
	return ticks, err
}
