package app

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// patient is a doctor and the database it looks into, which can be changed.
type patient struct {
	*Doctor
	store *repositories.DB
	run   func(statement string, args ...any)
}

// patientOn makes the database in which nothing is wrong.
func patientOn(t *testing.T, environ ...string) patient {
	t.Helper()
	d := doctorFor(t, environ...)
	db, err := OpenDatabase(t.Context(), d.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.MigrateUp(t.Context()))
	driver, source := "sqlite", databaseFile(d.cfg)
	if d.cfg.Database.URL != "" {
		driver, source = "pgx", string(d.cfg.Database.URL)
	}
	raw, err := sql.Open(driver, source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	return patient{d, db.db, func(statement string, args ...any) {
		t.Helper()
		_, err := raw.ExecContext(context.WithoutCancel(t.Context()), statement, args...)
		require.NoError(t, err)
	}}
}

// eachPatient runs a test on both databases.
func eachPatient(t *testing.T, test func(t *testing.T, p patient)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, patientOn(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t))) })
}

func TestDoctorFindsMigrationsThatWait(t *testing.T) {
	for name, environ := range map[string]func(t *testing.T) []string{
		"sqlite":   func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string { return []string{"VIVA_DATABASE_URL=" + testenv.Postgres(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			given := environ(t)
			d := doctorFor(t, given...)
			db, err := OpenDatabase(t.Context(), d.cfg)
			require.NoError(t, err)
			defer db.Close()
			finds(t, d, "migrations", Failed, "viva migrate up", "at version 0 of", "00001_catalog.sql")
			require.Equal(t, NotChecked, examined(t, d, "jobs")[1].Status, "after the cause")
			s, err := repositories.NewDoctor(db.db).Schema(t.Context())
			require.NoError(t, err)
			require.Zero(t, s.Current, "it has changed nothing")

			require.NoError(t, db.MigrateUp(t.Context()))
			finds(t, d, "migrations", Well)
			require.NoError(t, db.MigrateDown(t.Context(), 1))
			finds(t, d, "migrations", Failed, fmt.Sprintf("%05d_", s.Wanted))
		})
	}
	eachPatient(t, func(t *testing.T, p patient) {
		p.run("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
		finds(t, p.Doctor, "migrations", Warning, "at version 999")
	})
}

func TestDoctorChangesNothing(t *testing.T) {
	eachPatient(t, func(t *testing.T, p patient) {
		require.NoError(t, p.database(t.Context(), &report{}))
		defer func() { require.NoError(t, p.close()) }()
		err := repositories.NewTokens(p.db).Create(t.Context(), &models.AccessToken{ID: models.NewID[models.TokenID](), Version: 1})
		require.ErrorContains(t, err, "read")
	})
}

func TestDoctorKnowsWhatPostgresShouldBe(t *testing.T) {
	url := testenv.Postgres(t)
	p := patientOn(t, "VIVA_DATABASE_URL="+url)
	finds(t, p.Doctor, "database", Well, "PostgreSQL 1", "answers in")
	list := examined(t, p.Doctor, "postgres")
	require.Len(t, list, 2, "the server of the tests does not keep what it is told: %+v", list)
	for i, setting := range []string{"fsync", "full_page_writes"} {
		require.Equal(t, Failed, list[i].Status)
		require.Contains(t, list[i].Advice, "ALTER SYSTEM SET "+setting+" = on")
	}

	role := "visitor_" + strings.ReplaceAll(string(models.NewID[models.TokenID]()), "-", "")
	p.run("CREATE ROLE " + role + " LOGIN IN ROLE pg_read_all_data")
	t.Cleanup(func() { p.run("DROP ROLE " + role) })
	p.run("ALTER ROLE " + role + " SET synchronous_commit = off")
	visitor := doctorFor(t, "VIVA_DATABASE_URL="+as(t, url, role))
	texts := fmt.Sprint(examined(t, visitor, "postgres"))
	require.Contains(t, texts, "synchronous_commit is off")
	require.Contains(t, texts, "GRANT CREATE ON SCHEMA public TO "+role)
	require.Contains(t, fmt.Sprint(examined(t, visitor, "partitions")), "usage_logs belongs to another role")

	finds(t, p.Doctor, "connections", Well, "1 processes may open 22")
	many := doctorFor(t, "VIVA_DATABASE_URL="+url, "VIVA_DATABASE_MAX_OPEN_CONNS=500")
	finds(t, many, "connections", Warning, "502", "max_connections = 522", "database.max_open_conns")
}

// as is the URL of a database for another role.
func as(t *testing.T, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.User = url.User(role)
	return u.String()
}

func TestDoctorLooksAtPartitions(t *testing.T) {
	p := patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t))
	require.Len(t, examined(t, p.Doctor, "partitions"), 2, "no worker has made any")
	upkeep := newUsageUpkeep(p.cfg, p.store)
	require.NoError(t, upkeep.partitions(t.Context(), time.Now()))
	finds(t, p.Doctor, "partitions", Well, fmt.Sprintf("made for %d days", partitionsAhead+1))

	later := time.Now().AddDate(0, 0, partitionsAhead-1)
	p.now = func() time.Time { return later }
	list := examined(t, p.Doctor, "partitions")
	require.Len(t, list, 2)
	require.Contains(t, list[0].Found, "usage_logs has partitions for 2 days")
	require.Contains(t, list[0].Advice, "usage:partitions")
	p.now = time.Now

	day := "usage_logs_" + time.Now().UTC().AddDate(0, 0, 3).Format("20060102")
	p.run("ALTER TABLE usage_logs DETACH PARTITION " + day)
	require.NoError(t, repositories.NewIngest(p.store).AddLogs(t.Context(), []models.UsageLog{{
		At: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), RequestID: "r", APIKeyID: models.NewID[models.KeyID](), OwnerID: models.NewID[models.OwnerID](),
		SegmentID: models.NewID[models.SegmentID](),
	}}))
	list = examined(t, p.Doctor, "partitions")
	require.Len(t, list, 2, "%+v", list)
	require.Contains(t, list[0].Found, "1 rows of usage_logs are in no partition")
	require.Contains(t, list[1].Advice, "DROP TABLE "+day)
}

func TestDoctorComparesClocks(t *testing.T) {
	p := patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+testenv.Redis(t))
	for _, check := range []string{"clock-postgres", "clock-redis"} {
		p.now = time.Now
		finds(t, p.Doctor, check, Well, "the difference is")
		p.now = func() time.Time { return time.Now().Add(5 * time.Second) }
		finds(t, p.Doctor, check, Warning, "behind this machine")
		p.now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
		finds(t, p.Doctor, check, Failed, "ahead of this machine", "timedatectl")
	}
}

func TestDoctorJudgesRedis(t *testing.T) {
	url := testenv.RedisServer(t).URL()
	p := patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+url)
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	admin := redis.NewClient(options)
	defer admin.Close()
	set := func(name, value string) { require.NoError(t, admin.ConfigSet(t.Context(), name, value).Err()) }

	finds(t, p.Doctor, "redis", Well, "Redis 7", "noeviction", "appendonly yes")
	set("appendonly", "no")
	finds(t, p.Doctor, "redis", Well, "appendonly no")
	set("maxmemory-policy", "allkeys-lru")
	finds(t, p.Doctor, "redis", Failed, "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")
	require.Equal(t, "redis", examined(t, p.Doctor, "queue")[0].Name, "told unasked")
	set("maxmemory-policy", "noeviction")
	used, err := admin.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	var bytes int64
	_, err = fmt.Sscanf(used[strings.Index(used, "used_memory:"):], "used_memory:%d", &bytes)
	require.NoError(t, err)
	set("maxmemory", fmt.Sprint(bytes*100/85))
	finds(t, p.Doctor, "redis", Warning, "%", "CONFIG SET maxmemory")
	set("maxmemory", fmt.Sprint(bytes))
	finds(t, p.Doctor, "redis", Failed, "limits can soon not be counted")
}

func TestDoctorAsksEveryMasterOfACluster(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	p := patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL=redis+cluster://"+strings.Join(cluster.Addrs(), ","))
	f := finds(t, p.Doctor, "redis", Well)
	require.Equal(t, 3, strings.Count(f.Found, "noeviction"))
	f = finds(t, p.Doctor, "clock-redis", Well)
	require.Equal(t, 3, strings.Count(f.Found, "to within"))
	one := cluster.Master(0)
	admin := redis.NewClient(&redis.Options{Addr: one})
	defer admin.Close()
	require.NoError(t, admin.ConfigSet(t.Context(), "maxmemory-policy", "volatile-ttl").Err())
	finds(t, p.Doctor, "redis", Failed, one, "volatile-ttl")
}

func TestDoctorFindsQueuesThatArePaused(t *testing.T) {
	url := testenv.Redis(t)
	p := patientOn(t, "VIVA_DATABASE_URL="+testenv.Postgres(t), "VIVA_REDIS_URL="+url, "VIVA_REDIS_NAMESPACE="+namespace(t))
	finds(t, p.Doctor, "queue", Well)
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	admin := redis.NewClient(options)
	defer admin.Close()
	require.Zero(t, admin.DBSize(t.Context()).Val(), "nothing was written")
	jobs := newJobs(p.cfg, &engines{db: p.store, queue: admin}, (&Database{db: p.store}).changes())
	require.NoError(t, jobs.SetPaused((&Database{}).Actor(t.Context()), "low", true))
	finds(t, p.Doctor, "queue", Warning, "viva queues resume low")

	apart := doctorFor(t, "VIVA_DATABASE_URL=postgres://127.0.0.1:1/viva", "VIVA_REDIS_URL="+url, "VIVA_QUEUE_REDIS_URL=redis://127.0.0.1:1/0")
	finds(t, apart, "queue", Failed, "queue.redis_url")
}

func TestDoctorFindsProcesses(t *testing.T) {
	database := testenv.Postgres(t)
	p := patientOn(t, "VIVA_DATABASE_URL="+database)
	finds(t, p.Doctor, "processes", Well, "no worker")
	lock, ok, err := p.store.AdvisoryLock(t.Context(), serveLock)
	require.NoError(t, err)
	require.True(t, ok)
	finds(t, p.Doctor, "processes", Well, "for itself")
	sharing := doctorFor(t, "VIVA_DATABASE_URL="+database, "VIVA_REDIS_URL="+testenv.Redis(t))
	finds(t, sharing, "processes", Failed, "without redis.url")
	lock.Release()
	lock, _, err = p.store.AdvisoryLock(t.Context(), sweepLock)
	require.NoError(t, err)
	finds(t, sharing, "processes", Well, "a worker hands out jobs")
	lock.Release()
}

func TestDoctorLooksIntoJournals(t *testing.T) {
	p := patientOn(t)
	dir := JournalDir(p.cfg)
	finds(t, p.Doctor, "journal", Well, "does not exist yet")
	j, err := journal.Open(journal.Options{Dir: dir, SegmentBytes: 64 << 10, Keep: -1})
	require.NoError(t, err)
	for range 10 {
		require.NoError(t, j.Append([]byte("no record of ours, but a record")))
	}
	finds(t, p.Doctor, "journal", Well, "1 streams", "a process writes it")
	require.NoError(t, j.Close())
	finds(t, p.Doctor, "journal", Warning, "10 records of 1 streams", "viva journal replay --dir "+dir)
	require.NoError(t, p.store.InTx(t.Context(), func(ctx context.Context) error {
		cursor, err := repositories.NewStreams(p.store).LockCursor(ctx, j.Stream(), "n")
		require.NoError(t, err)
		cursor.LastSeq = 10
		return repositories.NewStreams(p.store).SaveCursor(ctx, &cursor)
	}))
	finds(t, p.Doctor, "journal", Well, "no process has it")

	require.NoError(t, os.Chmod(dir, 0o755))
	finds(t, p.Doctor, "journal", Warning, "chmod 700 "+dir)
	require.NoError(t, os.Chmod(dir, 0o700))
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	require.Len(t, segments, 1)
	content, err := os.ReadFile(segments[0])
	require.NoError(t, err)
	at := strings.Index(string(content), "no record of ours")
	content[at+3] ^= 1
	require.NoError(t, os.WriteFile(segments[0], content, 0o600))
	finds(t, p.Doctor, "journal", Failed, segments[0], "damaged at 1 places")
}

func TestDoctorLooksForWhatDidNotComeIn(t *testing.T) {
	eachPatient(t, func(t *testing.T, p patient) {
		finds(t, p.Doctor, "ingestion", Well, "no process meters")
		streams, id := repositories.NewStreams(p.store), models.NewID[models.StreamID]()
		require.NoError(t, streams.Watermark(t.Context(), id, "node-3", time.Now()))
		finds(t, p.Doctor, "ingestion", Well, "1 streams")
		p.now = func() time.Time { return time.Now().Add(3 * time.Hour) }
		finds(t, p.Doctor, "ingestion", Warning, string(id), "node-3", "3h0m0s ago", "viva journal lost "+string(id))
		p.now = time.Now

		old := models.NewID[models.StreamID]()
		require.NoError(t, streams.Watermark(t.Context(), old, "node-4", time.Now().Add(-20*time.Minute)))
		finds(t, p.Doctor, "ingestion", Failed, "20m0s ago")
		require.NoError(t, streams.Drained(t.Context(), old, time.Now()))

		require.NoError(t, repositories.NewIngest(p.store).AddGaps(t.Context(), []models.IngestGap{{StreamID: id, FromSeq: 3, ToSeq: 7, FoundAt: time.Now()}}))
		finds(t, p.Doctor, "ingestion", Warning, "5 records were found missing", "ingest_gaps")
		require.NoError(t, repositories.NewIngest(p.store).AddRejects(t.Context(), []models.IngestReject{
			{StreamID: id, Seq: 9, Reason: "too long", Payload: []byte("x"), RejectedAt: time.Now()},
		}))
		require.Contains(t, fmt.Sprint(examined(t, p.Doctor, "ingestion")), "the database refused 1 records in the last 7 days, the last because: too long")
		p.now = func() time.Time { return time.Now().AddDate(0, 0, 30) }
		require.NoError(t, streams.Drained(t.Context(), id, time.Now()))
		finds(t, p.Doctor, "ingestion", Well, "5 records missing and 1 refused, all long ago")
		p.now = time.Now
	})
}

func TestDoctorLooksAtJobs(t *testing.T) {
	eachPatient(t, func(t *testing.T, p patient) {
		ctx, store := t.Context(), repositories.NewJobs(p.store)
		finds(t, p.Doctor, "jobs", Well, "no worker has run")
		require.NoError(t, store.Touch(ctx, models.JobNotifyDeliver, "d", 0))
		job, err := store.Load(ctx, models.JobNotifyDeliver, "d")
		require.NoError(t, err)
		p.now = time.Now
		require.NoError(t, store.Fail(ctx, job, "no", true))
		finds(t, p.Doctor, "jobs", Warning, "1 jobs notify:deliver failed", "viva queues retry notify:deliver --all")
		_, err = store.Delete(ctx, models.JobNotifyDeliver, nil)
		require.NoError(t, err)

		_, err = store.Tick(ctx, models.JobAlertCheck, time.Now().UTC().Truncate(alertEvery), "node-3")
		require.NoError(t, err)
		_, err = store.Tick(ctx, models.JobUsageRetention, time.Now().UTC().Truncate(time.Hour), "node-3")
		require.NoError(t, err)
		finds(t, p.Doctor, "jobs", Well, "node-3")
		p.now = func() time.Time { return time.Now().Add(3 * time.Hour) }
		finds(t, p.Doctor, "jobs", Warning, "no worker asks for periodic jobs", "node-3")
		_, err = store.Tick(ctx, models.JobAlertCheck, p.now().UTC().Truncate(alertEvery), "node-4")
		require.NoError(t, err)
		finds(t, p.Doctor, "jobs", Warning, "usage:retention was last asked for", "node-4")
		p.now = time.Now
		for age, status := range map[time.Duration]Health{10 * time.Minute: Warning, 2 * time.Hour: Failed} {
			p.run("DELETE FROM jobs")
			require.NoError(t, store.Touch(ctx, models.JobKeyExpire, "", -age))
			finds(t, p.Doctor, "jobs", status, "jobs key:expire are due, the oldest for "+age.String())
		}
	})
}

func TestDoctorLooksAtTokens(t *testing.T) {
	eachPatient(t, func(t *testing.T, p patient) {
		finds(t, p.Doctor, "tokens", Well, "0 are valid")
		add := func(name string, scope models.TokenScope, ends time.Duration) models.TokenID {
			at, id := time.Now().Add(ends), models.NewID[models.TokenID]()
			require.NoError(t, repositories.NewTokens(p.store).Create(t.Context(), &models.AccessToken{
				ID: id, Name: name, Mask: "vivat_…", Hash: apikey.Sum(name), Scopes: []models.TokenScope{scope}, ExpiresAt: &at, Version: 1,
			}))
			return id
		}
		add("old", models.ScopeKeysRead, -49*time.Hour)
		list := examined(t, p.Doctor, "tokens")
		require.Len(t, list, 2)
		require.Equal(t, Warning, list[0].Status)
		require.Contains(t, list[0].Found, `"old" (vivat_…) has ended 2 days ago`)
		require.Equal(t, Failed, list[1].Status)
		require.Contains(t, list[1].Advice, "viva tokens create admin --role admin")
		id := add("soon", models.ScopeAdmin, 73*time.Hour)
		list = examined(t, p.Doctor, "tokens")
		require.Len(t, list, 2)
		require.Contains(t, list[0].Found, `"soon" (vivat_…) ends in 3 days`)
		require.Contains(t, list[0].Advice, "viva tokens revoke "+string(id))
	})
}
