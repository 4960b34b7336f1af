package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/cache"
	"github.com/viva/rate-limiter/internal/repositories"
)

const (
	minPostgres = 15
	// slowDatabase is a round trip that a key which is not cached is slow by.
	slowDatabase = 50 * time.Millisecond
	// doctorConnections are enough for one who does one thing at a time.
	doctorConnections = 2
)

// database opens the database for what comes after.
func (d *Doctor) database(ctx context.Context, r *report) error {
	o := databaseOptions(d.cfg, zap.NewNop())
	o.ReadOnly, o.MaxOpenConns, o.MaxIdleConns, o.QueryTimeout = true, doctorConnections, doctorConnections, d.timeout
	open := func() (*repositories.DB, error) { return repositories.OpenPostgres(ctx, string(d.cfg.Database.URL), o) }
	r.remedy = "start PostgreSQL, or set database.url (now " + d.cfg.Database.URL.String() + ")"
	if file := databaseFile(d.cfg); d.cfg.Database.URL == "" {
		r.remedy = "see what has become of " + file
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			r.missing = "there is no database yet"
			r.say("there is no %s yet: `viva serve` makes it when it starts", file)
			return nil
		}
		open = func() (*repositories.DB, error) { return repositories.OpenSQLite(ctx, file, o) }
	}
	db, err := open()
	if err != nil {
		r.missing = "the database is out of reach"
		return err
	}
	d.db = db
	if d.server, err = repositories.NewDoctor(db).Server(ctx); err != nil {
		return err
	}
	server := &d.server
	took, err := repositories.NewDoctor(db).Latency(ctx, d.now)
	if err != nil {
		return err
	}
	if took > slowDatabase {
		r.warn("move the service and PostgreSQL closer together, or see what keeps it busy", "a round trip to the database takes %s", took)
	}
	size := bytesText(uint64(server.Bytes))
	if db.Engine() == repositories.SQLite {
		r.say("SQLite %s at %s, %s, answers in %s", server.Version, databaseFile(d.cfg), size, took.Round(time.Microsecond))
		return nil
	}
	if server.Number/10_000 < minPostgres {
		r.fail(fmt.Sprintf("upgrade to PostgreSQL %d or newer", minPostgres), "the server is PostgreSQL %s", server.Version)
	}
	if server.Standby {
		r.fail("name the primary in database.url", "the server is a standby, which cannot be written to")
	}
	r.say("PostgreSQL %s at %s, %s, answers in %s", server.Version, d.cfg.Database.URL, size, took.Round(time.Microsecond))
	return nil
}

// postgres looks at settings that promises rest on.
func (d *Doctor) postgres(_ context.Context, r *report) error {
	s := &d.server
	for _, off := range []struct{ name, value, found string }{
		{"fsync", s.Fsync, "a loss of power can destroy the database"},
		{"full_page_writes", s.FullPageWrites, "a loss of power can destroy pages of the database"},
		{"synchronous_commit", s.Commit, "a loss of power takes back what was said to be done, and the usage that was counted"},
	} {
		if off.value == "off" {
			r.fail("ALTER SYSTEM SET "+off.name+" = on; SELECT pg_reload_conf()", "%s is off: %s", off.name, off.found)
		}
	}
	if s.Autovacuum == "off" {
		r.warn("ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()", "autovacuum is off: tables of usage grow without end")
	}
	if !s.MayCreate {
		r.fail("GRANT CREATE ON SCHEMA public TO "+s.Role, "the role %s may not make tables: neither migrations nor partitions of days", s.Role)
	}
	r.say("fsync %s, full_page_writes %s, synchronous_commit %s, autovacuum %s, time zone %s; role %s may make tables",
		s.Fsync, s.FullPageWrites, s.Commit, s.Autovacuum, s.TimeZone, s.Role)
	return nil
}

// connections looks whether the pools of all processes fit.
func (d *Doctor) connections(ctx context.Context, r *report) error {
	s := &d.server
	streams, err := repositories.NewStreams(d.db).List(ctx)
	if err != nil {
		return err
	}
	nodes := 0
	for i := range streams {
		if d.now().Sub(streams[i].UpdatedAt) < signOfLife {
			nodes++
		}
	}
	// Beside those with a stream there is a worker; each has locks of its own.
	processes := max(nodes, 1)
	if d.cfg.Redis.URL != "" {
		processes++
	}
	most := processes * (d.cfg.Database.MaxOpenConns + 2)
	advice := fmt.Sprintf("ALTER SYSTEM SET max_connections = %d, and restart PostgreSQL; or lower database.max_open_conns", max(most, s.Connections)+20)
	switch {
	case s.InUse*10 >= s.Connections*9:
		r.fail(advice, "%d of %d connections are in use", s.InUse, s.Connections)
	case most > s.Connections:
		r.warn(advice, "%d processes may open %d connections, and PostgreSQL has %d", processes, most, s.Connections)
	}
	r.say("%d of %d are in use; %d processes may open %d", s.InUse, s.Connections, processes, most)
	return nil
}

const (
	// skewWarned is what times in lists are wrong by before people notice.
	skewWarned = time.Second
	// skewFailed is how far ahead of the database a record may be: of more, its
	// time is changed.
	skewFailed = 5 * time.Minute
)

// judgeClock judges how far a clock is from that of this machine.
func judgeClock(r *report, whose string, s cache.Skew) string {
	off := max(s.Ahead.Abs()-s.Within, 0)
	way := "ahead of"
	if s.Ahead < 0 {
		way = "behind"
	}
	const advice = "let one time service set both clocks: timedatectl set-ntp true, then chronyc tracking"
	switch text := fmt.Sprintf("%s is %s %s this machine", whose, off.Round(time.Millisecond), way); {
	case off > skewFailed:
		r.fail(advice, "%s: times of usage are wrong, or changed to what the database allows", text)
	case off > skewWarned:
		r.warn(advice, "%s", text)
	}
	return fmt.Sprintf("%s, to within %s", off.Round(time.Millisecond), s.Within.Round(time.Microsecond))
}

func (d *Doctor) postgresClock(ctx context.Context, r *report) error {
	asked := d.now()
	told, err := repositories.NewDoctor(d.db).Clock(ctx)
	if err != nil {
		return err
	}
	r.say("the difference is %s", judgeClock(r, "the clock of PostgreSQL", cache.SkewOf(asked, told, d.now())))
	return nil
}

// migrations compares the schema with this program's.
func (d *Doctor) migrations(ctx context.Context, r *report) error {
	s, err := repositories.NewDoctor(d.db).Schema(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(s.Pending) > 0:
		r.missing = "the schema is not that of this program"
		advice := "viva migrate up"
		if d.cfg.Database.Migrate {
			advice += "; the next start of a process does it, too"
		}
		r.fail(advice, "the schema is at version %d of %d; pending: %s", s.Current, s.Wanted, strings.Join(s.Pending, ", "))
		return nil
	case s.Current > s.Wanted:
		r.warn("replace this program by the version that migrated", "the schema is at version %d, and this program knows %d", s.Current, s.Wanted)
	}
	d.schema = true
	r.say("version %d, as this program needs it", s.Current)
	return nil
}

const (
	// fewDays is when partitions should be made, and are made ahead long before.
	fewDays = 3
	aDay    = 24 * time.Hour
)

// partitions looks at days to come, and at rows that have no day.
func (d *Doctor) partitions(ctx context.Context, r *report) error {
	list, err := repositories.NewDoctor(d.db).Days(ctx)
	if err != nil {
		return err
	}
	least := math.MaxInt
	for _, days := range list {
		ahead := 0
		for day := d.now().UTC().Truncate(aDay); slices.ContainsFunc(days.Made, day.Equal); day = day.Add(aDay) {
			ahead++
		}
		least = min(least, ahead)
		if ahead < fewDays {
			r.warn("start a worker, which makes them: the job is usage:partitions; `viva queues tasks` says why it failed",
				"%s has partitions for %d days from today: later rows go where they cannot be dropped by day", days.Table, ahead)
		}
		if days.Rest > 0 {
			count := fmt.Sprint(days.Rest)
			if days.Rest == repositories.MaxRest {
				count += " or more"
			}
			r.warn("see of which days they are: SELECT date_trunc('day', "+days.Column+"), COUNT(*) FROM "+days.Table+"_default GROUP BY 1",
				"%s rows of %s are in no partition of a day", count, days.Table)
		}
		if len(days.Detached) > 0 {
			r.warn("they are dropped with the next usage:retention; if not, DROP TABLE "+strings.Join(days.Detached, ", "),
				"%s has %d partitions that were to be dropped", days.Table, len(days.Detached))
		}
		if !days.Owned {
			r.fail("ALTER TABLE "+days.Table+" OWNER TO the role in database.url, and so for the other tables",
				"%s belongs to another role: no partitions can be made", days.Table)
		}
	}
	r.say("made for %d days from today, and no row is outside", least)
	return nil
}
