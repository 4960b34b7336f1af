package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/client"
)

const (
	// lateWarned and lateFailed are how long a job is due: far longer than one
	// that is retried waits for its worker.
	lateWarned = 5 * time.Minute
	lateFailed = time.Hour
	// tickSlack is how late it may be asked for what is done by the clock.
	tickSlack = 5 * time.Minute
)

// jobs looks at what is due, and whether anybody asks for what is done by the
// clock.
func (d *Doctor) jobs(ctx context.Context, r *report) error {
	stats, err := repositories.NewJobs(d.db).Stats(ctx)
	if err != nil {
		return err
	}
	due := int64(0)
	for _, s := range stats {
		due += s.Due
		if s.Failed > 0 {
			r.warn(fmt.Sprintf("viva queues tasks --kind %[1]s tells why; then viva queues retry %[1]s --all", s.Kind),
				"%d jobs %s failed and were given up", s.Failed, s.Kind)
		}
		late := fmt.Sprintf("%d jobs %s are due, the oldest for %s", s.Due, s.Kind, ago(s.OldestDue))
		switch advice := "start a worker, or see why it does not come to them: viva queues list"; {
		case s.OldestDue > lateFailed:
			r.fail(advice, "%s", late)
		case s.OldestDue > lateWarned:
			r.warn(advice, "%s", late)
		}
	}
	ticks, err := repositories.NewDoctor(d.db).Ticks(ctx)
	if err != nil {
		return err
	}
	if len(ticks) == 0 {
		r.say("%d are due; no worker has run in the last day, or ever", due)
		return nil
	}
	newest := slices.MaxFunc(ticks, func(a, b repositories.Tick) int { return a.Tick.Compare(b.Tick) })
	now := d.now()
	if silent := now.Sub(newest.Tick); silent > tickSlack {
		r.warn("start a worker, or `viva serve`", "no worker asks for periodic jobs: the last was %s, %s ago", newest.Node, ago(silent))
		return nil
	}
	every := map[models.JobKind]time.Duration{}
	for _, k := range d.kinds() {
		every[k.Name] = k.Every + k.After
	}
	for _, t := range ticks {
		if every[t.Kind] == 0 { // a kind of another version
			continue
		}
		if late := now.Sub(t.Tick) - every[t.Kind]; late > every[t.Kind]+tickSlack {
			r.warn("see the log of "+newest.Node+" for this kind", "%s was last asked for at %s, and is asked for every %s", t.Kind, instant(t.Tick), every[t.Kind])
		}
	}
	r.say("%d are due, none late, none failed; %s last asked for periodic ones %s ago", due, newest.Node, ago(max(0, now.Sub(newest.Tick))))
	return nil
}

// kinds are all jobs, made as workers make them, and never run.
func (d *Doctor) kinds() []queue.Kind {
	work := handlers{upkeep: newUsageUpkeep(d.cfg, d.db)}
	return slices.Concat(work.kinds(), notificationKinds(nil), alertKinds(nil), violationKinds(d.cfg, &engines{db: d.db}, zap.NewNop()))
}

// processes looks at locks in PostgreSQL. That of the data folder is looked at
// with the folder.
func (d *Doctor) processes(ctx context.Context, r *report) error {
	alone, err := repositories.NewDoctor(d.db).Held(ctx, serveLock)
	if err != nil {
		return err
	}
	sweeping, err := repositories.NewDoctor(d.db).Held(ctx, sweepLock)
	if err != nil {
		return err
	}
	if alone && d.cfg.Redis.URL != "" {
		r.fail("stop it, or give it this redis.url: psql -c \"SELECT client_addr, pid FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory'\"",
			"a `viva serve` without redis.url uses this database, and counts limits by itself")
	}
	switch {
	case alone:
		r.say("a `viva serve` has this database for itself")
	case sweeping:
		r.say("a worker hands out jobs")
	default:
		r.say("no worker hands out jobs at the moment")
	}
	return nil
}

// tokens looks for access tokens that stop working.
func (d *Doctor) tokens(ctx context.Context, r *report) error {
	const soon = 14 * 24 * time.Hour
	now, valid, admins := d.now(), 0, 0
	page := models.Page{Limit: models.MaxPageLimit, Sort: "-created_at"}
	for {
		list, err := repositories.NewTokens(d.db).List(ctx, page)
		if err != nil {
			return err
		}
		for i := range list {
			t := &list[i]
			replace := fmt.Sprintf("viva tokens create %q with the same scopes, give it to who uses this one, then viva tokens revoke %s", t.Name, t.ID)
			switch {
			case t.RevokedAt != nil:
			case !t.Valid(now):
				r.warn(replace, "the token %q (%s) has ended %s ago", t.Name, t.Mask, ago(now.Sub(*t.ExpiresAt)))
			case t.ExpiresAt != nil && t.ExpiresAt.Sub(now) < soon:
				r.warn(replace, "the token %q (%s) ends in %s", t.Name, t.Mask, ago(t.ExpiresAt.Sub(now)))
			}
			if t.Valid(now) {
				valid++
				if t.Holds(models.ScopeAdmin) {
					admins++
				}
			}
		}
		if len(list) < page.Limit {
			break
		}
		last := list[len(list)-1]
		page.After = &models.Position{Value: last.CreatedAt.Format(time.RFC3339Nano), ID: string(last.ID)}
	}
	opened, err := repositories.NewTokens(d.db).Any(ctx)
	if err != nil {
		return err
	}
	if opened && admins == 0 {
		r.fail("viva tokens create admin --role admin", "no token with the scope admin is valid: nobody can make another by the API")
	}
	r.say("%d are valid, %d of them with the scope admin", valid, admins)
	return nil
}

// service asks the API on this machine whether it is ready.
func (d *Doctor) service(ctx context.Context, r *report) error {
	host, port, err := net.SplitHostPort(d.cfg.Server.Addr)
	if err != nil {
		return err
	}
	if port == "0" {
		r.say("server.addr takes any free port: `viva health --server URL` asks it")
		return nil
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	url := "http://" + net.JoinHostPort(host, port)
	if d.cfg.Server.TLS.CertFile != "" {
		url = "https" + strings.TrimPrefix(url, "http")
	}
	// The certificate is for the name that callers know, which this is not.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	c, err := client.New(url, client.WithHTTPClient(&http.Client{Transport: transport}), client.WithTimeout(d.timeout))
	if err != nil {
		return err
	}
	defer c.CloseIdleConnections()
	r.remedy = "see what answers at " + url
	ready, err := c.Ready(ctx)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		r.say("nothing listens at %s: no API runs on this machine", url)
		return nil
	case err != nil:
		return err
	}
	parts := make([]string, len(ready.Dependencies))
	for i, dependency := range ready.Dependencies {
		parts[i] = fmt.Sprintf("%s %s (%d ms)", dependency.Name, dependency.Status, dependency.LatencyMS)
	}
	told := strings.Join(parts, ", ")
	if ready.Status != client.Up {
		r.fail("see the findings above, and the log of the service for \"not ready\"", "%s is %s: %s", url, ready.Status, told)
	}
	r.say("%s is ready: %s", url, told)
	return nil
}
