package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/repositories"
)

// Health is how a check found something.
type Health string

// The ways things can be.
const (
	Well       Health = "ok"
	Warning    Health = "warning"     // it works, and may not for long or not for everybody
	Failed     Health = "failed"      // a promise is not kept, or will not be
	NotChecked Health = "not_checked" // something it needs is missing
)

// Finding is what a check found, and what to do about it: a command, or a
// setting. It holds no secret.
type Finding struct {
	Name   string `json:"name"` // of the check
	Status Health `json:"status"`
	Found  string `json:"found"`
	Advice string `json:"advice"` // empty where all is well
}

// DoctorCheck names a check.
type DoctorCheck struct{ Name, About string }

// DoctorChecks lists what can be checked, in the order it is.
func DoctorChecks() []DoctorCheck {
	list := make([]DoctorCheck, len(checks))
	for i, c := range checks {
		list[i] = DoctorCheck{c.name, c.about}
	}
	return list
}

// Doctor examines an installation from outside of its processes, whether they
// run or not. It changes nothing. It is for one goroutine at a time.
type Doctor struct {
	cfg     *config.Config
	timeout time.Duration
	now     func() time.Time
	space   func(folder string) (room, error)

	db     *repositories.DB      // once it answers
	server repositories.Server   // what that says of itself
	schema bool                  // it has the tables of this program
	redis  redis.UniversalClient // once it answers; nil where none is set
	queue  redis.UniversalClient // where queue.redis_url is set, once it answers
}

// NewDoctor makes a doctor who gives each check the time given.
func NewDoctor(cfg *config.Config, timeout time.Duration) *Doctor {
	redis.SetLogger(redisLog{zap.NewNop()}) // what it has to say is in errors, too
	return &Doctor{cfg: cfg, timeout: timeout, now: time.Now, space: roomOf}
}

// check is one thing to look at.
type check struct {
	name, about string
	// needs names an earlier check that has to open what this one looks into;
	// wants one whose failure is no obstacle. Both are made, asked for or not.
	needs, wants string
	// sqlite is said in place of looking where the database is a SQLite file.
	sqlite string
	// run reports what is wrong. An error says that it could not look.
	run func(d *Doctor, ctx context.Context, r *report) error
}

var checks = []check{
	{name: "config", about: "settings that are valid, and unwise", run: (*Doctor).configuration},
	{name: "data", about: "the data folder: who can read it, and whether a service has it", run: (*Doctor).dataFolder},
	{name: "disk", about: "free space and inodes for the journal and the data", run: (*Doctor).disk},
	{name: "tls", about: "the certificate of the API", run: (*Doctor).certificate},
	{name: "database", about: "whether it answers, how quickly, and its version", run: (*Doctor).database},
	{name: "postgres", about: "settings of PostgreSQL, and the rights of the role", needs: "database", sqlite: "the database is a SQLite file", run: (*Doctor).postgres},
	{name: "clock-postgres", about: "its clock against that of this machine", needs: "database", sqlite: "the clock of a SQLite file is that of this machine", run: (*Doctor).postgresClock},
	{name: "migrations", about: "whether the schema is that of this program", needs: "database", run: (*Doctor).migrations},
	{name: "connections", about: "connections of PostgreSQL against the pools of all processes", needs: "migrations", sqlite: "the database is a SQLite file", run: (*Doctor).connections},
	{name: "partitions", about: "days that usage goes into, and rows of no day", needs: "migrations", sqlite: "a SQLite file has none", run: (*Doctor).partitions},
	{name: "redis", about: "each master: its version, eviction, memory", run: (*Doctor).limitStore},
	{name: "clock-redis", about: "its clocks against that of this machine", needs: "redis", run: (*Doctor).redisClock},
	{name: "queue", about: "the Redis that jobs stand in, and queues that are paused", wants: "redis", run: (*Doctor).queues},
	{name: "processes", about: "locks that processes hold in the database", needs: "database", sqlite: "processes lock the data folder", run: (*Doctor).processes},
	{name: "journal", about: "folders of the journal: damage, and records that no process brings in", wants: "migrations", run: (*Doctor).journals},
	{name: "ingestion", about: "streams of all nodes, how complete usage is, lost records", needs: "migrations", run: (*Doctor).ingestion},
	{name: "jobs", about: "jobs that failed or are late, and periodic ones that were not asked for", needs: "migrations", run: (*Doctor).jobs},
	{name: "tokens", about: "access tokens that have ended or will soon", needs: "migrations", run: (*Doctor).tokens},
	{name: "service", about: "whether the service at server.addr is ready", run: (*Doctor).service},
}

// Examine makes the checks that are named, or all, and tells each finding at
// once. What a check depends on is told unasked where it failed.
func (d *Doctor) Examine(ctx context.Context, only []string, each func(Finding) error) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	made := map[string]bool{}
	for _, c := range slices.Backward(checks) {
		if made[c.name] || len(only) == 0 || slices.Contains(only, c.name) {
			made[c.name], made[c.needs], made[c.wants] = true, true, true
		}
	}
	missing := map[string]string{}
	for _, c := range checks {
		if !made[c.name] {
			continue
		}
		r := report{name: c.name}
		if why := missing[c.needs]; why != "" {
			r.missing = why
			r.add(NotChecked, "", "not checked: "+why)
		} else if err := d.look(ctx, c, &r); err != nil {
			return err
		}
		missing[c.name] = r.missing
		for _, f := range r.findings {
			if len(only) == 0 || slices.Contains(only, c.name) || f.Status == Failed {
				if err := each(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// close closes what checks have opened.
func (d *Doctor) close() (err error) {
	if d.db != nil {
		err = d.db.Close()
	}
	for _, client := range []redis.UniversalClient{d.redis, d.queue} {
		if client != nil {
			err = errors.Join(err, client.Close())
		}
	}
	d.db, d.schema, d.redis, d.queue = nil, false, nil, nil
	return err
}

// look makes a check in the time it is given. It fails where ctx has ended.
func (d *Doctor) look(ctx context.Context, c check, r *report) error {
	bounded, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var err error
	if c.sqlite != "" && d.db.Engine() == repositories.SQLite {
		r.say("not in use: %s", c.sqlite)
	} else {
		err = c.run(d, bounded, r)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if bounded.Err() != nil {
			err = fmt.Errorf("it did not end within %s (--timeout): %w", d.timeout, err)
		}
		r.add(Failed, r.remedy, err.Error())
		if r.missing == "" {
			r.missing = c.name + " failed"
		}
	}
	if len(r.findings) == 0 {
		r.add(Well, "", r.found)
	}
	return nil
}

// report is what a check has to say.
type report struct {
	name     string
	found    string // where nothing is wrong
	remedy   string // for an error
	missing  string // why what needs this check cannot be checked; empty where it can
	findings []Finding
}

// say tells what was found where nothing is wrong.
func (r *report) say(format string, args ...any) { r.found = fmt.Sprintf(format, args...) }

func (r *report) warn(advice, format string, args ...any) {
	r.add(Warning, advice, fmt.Sprintf(format, args...))
}

func (r *report) fail(advice, format string, args ...any) {
	r.add(Failed, advice, fmt.Sprintf(format, args...))
}

func (r *report) add(status Health, advice, found string) {
	// Errors of drivers have several lines.
	found = strings.Join(strings.Fields(found), " ")
	r.findings = append(r.findings, Finding{Name: r.name, Status: status, Found: found, Advice: advice})
}
