package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

// doctorFor makes a doctor for a configuration that is well unless the
// environment says otherwise.
func doctorFor(t *testing.T, environ ...string) *Doctor {
	t.Helper()
	cfg, err := config.Load(config.Options{Environ: append([]string{
		"VIVA_SERVER_ADDR=127.0.0.1:0", "VIVA_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
	}, environ...)})
	require.NoError(t, err)
	return NewDoctor(cfg, 10*time.Second)
}

// examined gives what was found by the checks named, or by all.
func examined(t *testing.T, d *Doctor, only ...string) (list []Finding) {
	t.Helper()
	require.NoError(t, d.Examine(t.Context(), only, func(f Finding) error {
		require.NotEmpty(t, f.Found, f.Name)
		require.Equal(t, f.Status == Warning || f.Status == Failed, f.Advice != "", "%+v", f)
		list = append(list, f)
		return nil
	}))
	require.NotEmpty(t, list)
	return list
}

// finds requires of a check that it finds one thing, so bad, in such words.
func finds(t *testing.T, d *Doctor, check string, status Health, words ...string) Finding {
	t.Helper()
	list := examined(t, d, check)
	require.Len(t, list, 1, "%+v", list)
	require.Equal(t, check, list[0].Name, "%+v", list)
	require.Equal(t, status, list[0].Status, "%+v", list)
	for _, part := range words {
		require.Contains(t, list[0].Found+"\n"+list[0].Advice, part)
	}
	return list[0]
}

func TestDoctorFindsNothingWrongWithNothing(t *testing.T) {
	d := doctorFor(t)
	for _, f := range examined(t, d) {
		require.Contains(t, []Health{Well, NotChecked}, f.Status, "%+v", f)
	}
	require.NoDirExists(t, d.cfg.Data.Dir, "and makes nothing")
}

func TestDoctorTellsUnaskedWhatACheckDependsOn(t *testing.T) {
	d := doctorFor(t, "VIVA_DATABASE_URL=postgres://viva:hunter22@127.0.0.1:1/viva", "VIVA_REDIS_URL=redis://:hunter23@127.0.0.1:1/0")
	list := examined(t, d, "jobs", "clock-redis")
	require.Len(t, list, 4)
	for i, want := range []Finding{{Name: "database", Status: Failed}, {Name: "redis", Status: Failed}, {Name: "clock-redis", Status: NotChecked}, {Name: "jobs", Status: NotChecked}} {
		require.Equal(t, want.Name, list[i].Name)
		require.Equal(t, want.Status, list[i].Status)
	}
	require.Contains(t, list[0].Advice, "127.0.0.1:1/viva")
	require.Equal(t, "not checked: the database is out of reach", list[3].Found)
	for _, f := range examined(t, d) {
		require.NotContains(t, f.Found+f.Advice, "hunter2", f.Name)
	}
}

func TestDoctorWaitsForNothingLongerThanItMay(t *testing.T) {
	database, redis := testenv.StartProxy(t, testenv.Postgres(t)), testenv.StartProxy(t, testenv.Redis(t))
	database.Blackhole()
	redis.Blackhole()
	d := doctorFor(t, "VIVA_DATABASE_URL="+database.URL(), "VIVA_REDIS_URL="+redis.URL())
	d.timeout = 200 * time.Millisecond
	began := time.Now()
	finds(t, d, "database", Failed, "200ms", "--timeout", "start PostgreSQL")
	finds(t, d, "redis", Failed, "start Redis")
	require.Less(t, time.Since(began), 5*time.Second)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Examine(ended, nil, func(Finding) error { return nil }), context.Canceled)
}

func TestDoctorWarnsOfUnwiseSettings(t *testing.T) {
	const remote = "VIVA_DATABASE_URL=postgres://viva:other@db.example/viva?sslmode="
	for setting, environ := range map[string][]string{
		"server.tls.cert_file":       {"VIVA_SERVER_ADDR=0.0.0.0:8080"},
		"server.docs.enabled":        {"VIVA_SERVER_ADDR=:8080", "VIVA_SERVER_TRUSTED_PROXIES=10.0.0.0/8", "VIVA_ENVIRONMENT=prod", "VIVA_KEYS_PEPPER=" + strings.Repeat("p", 32)},
		"server.trusted_proxies":     {"VIVA_SERVER_TRUSTED_PROXIES=10.0.0.0/8,::/0"},
		"VIVA_KEYS_PEPPER_FILE":      {"VIVA_ENVIRONMENT=prod"},
		"ratelimit.on_store_failure": {"VIVA_RATELIMIT_ON_STORE_FAILURE=allow"},
		"journal.enabled":            {"VIVA_JOURNAL_ENABLED=false"},
		"notify.allow_http":          {"VIVA_NOTIFY_ALLOW_HTTP=true"},
		"notify.allow_networks":      {"VIVA_NOTIFY_ALLOW_NETWORKS=0.0.0.0/0"},
		"notify.smtp.tls":            {"VIVA_NOTIFY_SMTP_ADDR=mail.example:25", "VIVA_NOTIFY_SMTP_FROM=a@b.example", "VIVA_NOTIFY_SMTP_TLS=none"},
		"VIVA_DATABASE_URL_FILE":     {"VIVA_DATABASE_URL=postgres://viva:viva@db.example/viva"},
		"sslmode=verify-full":        {remote + "disable", "VIVA_ENVIRONMENT=prod", "VIVA_KEYS_PEPPER=" + strings.Repeat("p", 32)},
		"requirepass":                {remote + "require", "VIVA_REDIS_URL=redis://redis.example/0", "VIVA_ENVIRONMENT=prod", "VIVA_KEYS_PEPPER=" + strings.Repeat("p", 32)},
	} {
		t.Run(setting, func(t *testing.T) { finds(t, doctorFor(t, environ...), "config", Warning, setting) })
	}
	for name, environ := range map[string][]string{
		"on this machine":     {"VIVA_DATABASE_URL=postgres://viva:viva@127.0.0.1/viva?sslmode=disable", "VIVA_REDIS_URL=redis://[::1]/0"},
		"behind a proxy":      {"VIVA_SERVER_ADDR=0.0.0.0:8080", "VIVA_SERVER_TRUSTED_PROXIES=10.0.0.0/8"},
		"a socket":            {"VIVA_DATABASE_URL=postgres:///viva?host=/run/postgresql&user=viva"},
		"a password of sense": {remote + "require"},
	} {
		t.Run(name, func(t *testing.T) { finds(t, doctorFor(t, environ...), "config", Well, "valid") })
	}
}

func TestDoctorLooksAtWhoCanReadWhat(t *testing.T) {
	d := doctorFor(t)
	dir := d.cfg.Data.Dir
	require.NoError(t, os.Mkdir(dir, 0o700))
	header := filepath.Join(dir, headerFile)
	require.NoError(t, os.WriteFile(header, []byte("Authorization: Bearer x\n"), 0o600))
	finds(t, d, "data", Well, "0700", "no viva serve has it")
	require.NoError(t, os.Chmod(header, 0o640))
	finds(t, d, "data", Failed, header, "0640", "chmod 600 "+header)
	require.NoError(t, os.Chmod(header, 0o600))
	require.NoError(t, os.Chmod(dir, 0o755))
	finds(t, d, "data", Warning, "0755", "chmod 700 "+dir)
	require.NoError(t, os.Chmod(dir, 0o770))
	finds(t, d, "data", Failed, "0770", "chmod 700 "+dir)
	require.NoError(t, os.Chmod(dir, 0o700))

	lock, err := lockDataDir(dir)
	require.NoError(t, err)
	finds(t, d, "data", Well, "a viva serve has it")
	require.NoError(t, lock.Close())
	finds(t, d, "data", Well, "no viva serve has it")
	again, err := lockDataDir(dir)
	require.NoError(t, err, "looking took no lock for good")
	require.NoError(t, again.Close())
}

func TestDoctorLooksForRoom(t *testing.T) {
	d := doctorFor(t)
	finds(t, d, "disk", Well, "GiB", "1.6 GiB may be needed")
	const MiB, GiB = 1 << 20, 1 << 30
	for name, test := range map[string]struct {
		have   room
		status Health
		words  []string
	}{
		"room for all":     {room{free: 10 * GiB, size: 20 * GiB, freeFiles: 1e6, files: 2e6}, Well, []string{"10.0 GiB of 20.0 GiB"}},
		"no inodes to run": {room{free: 10 * GiB, size: 20 * GiB}, Well, nil},
		"less than wanted": {room{free: GiB, size: 20 * GiB}, Warning, []string{"1.0 GiB of 20.0 GiB", "journal.keep_bytes"}},
		"nearly full":      {room{free: 100 * MiB, size: 20 * GiB}, Failed, []string{"100.0 MiB"}},
		"few inodes":       {room{free: 10 * GiB, size: 20 * GiB, freeFiles: 9000, files: 2e6}, Warning, []string{"9000 of 2000000 inodes", "df -i"}},
		"no inodes":        {room{free: 10 * GiB, size: 20 * GiB, freeFiles: 3, files: 2e6}, Failed, []string{"3 of 2000000 inodes"}},
	} {
		t.Run(name, func(t *testing.T) {
			d.space = func(string) (room, error) { return test.have, nil }
			finds(t, d, "disk", test.status, test.words...)
		})
	}
	t.Run("what the journal has is not wanted again", func(t *testing.T) {
		require.NoError(t, os.MkdirAll(JournalDir(d.cfg), 0o700))
		file := filepath.Join(JournalDir(d.cfg), "some.seg")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Truncate(file, GiB))
		d.space = func(string) (room, error) { return room{free: GiB, size: 20 * GiB}, nil }
		finds(t, d, "disk", Well, "640.0 MiB may be needed")
	})
}

func TestDoctorLooksAtTheCertificate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cert, key := certificateFor(t, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	d := doctorFor(t, "VIVA_SERVER_TLS_CERT_FILE="+cert, "VIVA_SERVER_TLS_KEY_FILE="+key)
	for at, want := range map[time.Time]struct {
		status Health
		words  string
	}{
		now:                          {Well, "2026-03-31"},
		now.Add(-2 * time.Hour):      {Failed, "not valid before 2026-03-01 11:00"},
		now.Add(20 * 24 * time.Hour): {Warning, "in 10 days"},
		now.Add(31 * 24 * time.Hour): {Failed, "has ended at 2026-03-31"},
	} {
		d.now = func() time.Time { return at }
		finds(t, d, "tls", want.status, want.words)
	}
	d.now = func() time.Time { return now }
	require.NoError(t, os.Chmod(key, 0o644))
	finds(t, d, "tls", Failed, "chmod o= "+key)
	require.NoError(t, os.WriteFile(key, []byte("none"), 0o600))
	finds(t, d, "tls", Failed, "server.tls.key_file")
}

func certificateFor(t *testing.T, from, to time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{"viva.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

func TestDoctorAsksTheService(t *testing.T) {
	answer, status := `{"status":"ok","dependencies":[{"name":"database","status":"ok","latency_ms":3}]}`, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	addr := strings.TrimPrefix(server.URL, "http://")
	d := doctorFor(t, "VIVA_SERVER_ADDR="+addr)
	finds(t, d, "service", Well, "database ok (3 ms)")
	answer, status = `{"status":"failed","dependencies":[{"name":"redis","status":"failed","latency_ms":50}]}`, http.StatusServiceUnavailable
	finds(t, d, "service", Failed, "redis failed (50 ms)")
	answer, status = `"hello"`, http.StatusOK
	finds(t, d, "service", Failed, "no Viva service")
	server.Close()
	finds(t, d, "service", Well, "nothing listens at http://"+addr)
}
