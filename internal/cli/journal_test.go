package cli_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads PostgreSQL beside the command
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // and SQLite

	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
)

// eachDatabase runs a test with the command line pointed at an empty database,
// which query reads.
func eachDatabase(t *testing.T, test func(t *testing.T, query func(text string) string)) {
	t.Helper()
	reader := func(t *testing.T, driver, source string) func(string) string {
		db, err := sql.Open(driver, source)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return func(text string) string {
			var value any
			require.NoError(t, db.QueryRowContext(t.Context(), text).Scan(&value))
			return fmt.Sprint(value)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		data := t.TempDir()
		t.Setenv("VIVA_DATA_DIR", data)
		require.Zero(t, run(t, "", "migrate", "up").code)
		test(t, reader(t, "sqlite", filepath.Join(data, "viva.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		t.Setenv("VIVA_DATA_DIR", t.TempDir())
		t.Setenv("VIVA_DATABASE_URL", url)
		require.Zero(t, run(t, "", "migrate", "up").code)
		test(t, reader(t, "pgx", url))
	})
}

// journalled leaves a journal of so many checks, as a dead node does.
func journalled(t *testing.T, checks int) (dir string, stream models.StreamID) {
	t.Helper()
	dir = t.TempDir()
	j := openJournal(t, dir)
	stream = j.Stream()
	fill(t, j, checks)
	require.NoError(t, j.Close())
	return dir, stream
}

func openJournal(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir, SegmentBytes: 64 << 10})
	require.NoError(t, err)
	return j
}

func fill(t *testing.T, j *journal.Journal, checks int) {
	t.Helper()
	key, owner, plan := models.NewID[models.KeyID](), models.NewID[models.OwnerID](), models.NewID[models.PlanID]()
	for i := range checks {
		r := models.Record{
			Kind: models.RecordCheck, RequestID: fmt.Sprintf("r%d", i), At: time.Now().UTC(), KeyID: key, Live: true,
			Segment: models.Segment{OwnerID: owner, PlanID: plan, PlanVersion: 1, Since: time.Now().UTC()},
			Code:    "ok", Allowed: true, Units: 2, Cost: 2, Meter: models.MeterRequests, IP: netip.MustParseAddr("198.51.100.1"), UserAgent: "curl",
		}
		require.NoError(t, j.Append(r.Append(nil)))
	}
}

func TestTheJournalOfADeadNodeIsReplayedOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, query func(string) string) {
		t.Setenv("VIVA_USAGE_RAW_ROWS_PER_SECOND", "10000")
		dir, stream := journalled(t, 1500)
		second := openJournal(t, dir)
		fill(t, second, 10)
		got := run(t, "", "journal", "replay", "--dir", dir)
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, "stop the process that has it")
		require.NoError(t, second.Close())

		got = run(t, "", "journal", "replay", "--dir", dir)
		require.Zero(t, got.code, got.stderr)
		require.Equal(t, [][]string{
			{"STREAM", "BROUGHT", "IN", "MISSING", "LAST"}, {string(stream), "1500", "0", "1500"}, {string(second.Stream()), "10", "0", "10"},
		}, cells(got.stdout))
		require.Contains(t, got.stderr, string(stream)+": 1500 of 1500\n")
		require.Equal(t, "1510", query("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_rollups"))
		require.Equal(t, "1510", query("SELECT COUNT(*) FROM usage_logs"))
		require.Equal(t, "2", query("SELECT COUNT(*) FROM ingest_cursors WHERE drained_at IS NOT NULL"))

		got = run(t, "", "journal", "replay", "--dir", dir)
		require.Zero(t, got.code, got.stderr)
		require.Contains(t, cells(got.stdout), []string{string(stream), "0", "0", "1500"})
		require.Equal(t, "1510", query("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_rollups"))
		require.Equal(t, "1510", query("SELECT COUNT(*) FROM usage_logs"))
		require.Empty(t, run(t, "", "journal", "streams", "--json").stdout)
	})
}

func TestReplayNeedsAFolder(t *testing.T) {
	t.Setenv("VIVA_DATA_DIR", t.TempDir())
	require.Equal(t, 1, run(t, "", "journal", "replay", "--dir", t.TempDir()).code, "the database is not migrated")
	require.Zero(t, run(t, "", "migrate", "up").code)
	require.Equal(t, 2, run(t, "", "journal", "replay").code)
	require.Equal(t, 1, run(t, "", "journal", "replay", "--dir", filepath.Join(t.TempDir(), "none")).code)
	require.Equal(t, "the folder holds no records\n", run(t, "", "journal", "replay", "--dir", t.TempDir()).stdout)
}

func TestAJournalIsInspectedBesideItsProcess(t *testing.T) {
	eachDatabase(t, func(t *testing.T, _ func(string) string) {
		dir, stream := journalled(t, 1500)
		running := openJournal(t, dir)
		defer running.Close()
		fill(t, running, 3)
		inspect := func(args ...string) []map[string]any {
			got := run(t, "", append([]string{"journal", "inspect", "--dir", dir}, args...)...)
			require.Zero(t, got.code, got.stderr)
			require.Empty(t, got.stderr)
			return objects(t, got.stdout)
		}
		segments := inspect("--json")
		require.Greater(t, len(segments), 2)
		records := 0
		for _, s := range segments {
			records += int(s["records"].(float64))
			require.Equal(t, map[string]any{"known": false, "last_seq": 0.0, "gaps": 0.0, "drained": false, "lost": false}, s["database"])
			require.Equal(t, []any{0.0, false}, []any{s["corrupt"], s["torn"]})
		}
		require.Equal(t, 1503, records)
		require.NotContains(t, inspect("--json", "--offline")[0], "database")

		lines := inspect("--records")
		require.Len(t, lines, 1503)
		require.Equal(t, string(stream), lines[0]["stream"])
		require.Equal(t, []any{1.0, "r0", "198.51.100.1", true}, []any{lines[0]["seq"], lines[0]["request_id"], lines[0]["ip"], lines[0]["readable"]})
		require.Equal(t, string(running.Stream()), lines[1502]["stream"])

		require.NoError(t, running.Close())
		require.Zero(t, run(t, "", "journal", "replay", "--dir", dir).code)
		table := run(t, "", "journal", "inspect", "--dir", dir)
		require.Contains(t, table.stdout, "up to 1500, all")
		require.Contains(t, table.stdout, "up to 3, all")
	})
}

func TestInspectMakesNoDatabase(t *testing.T) {
	dir, _ := journalled(t, 1)
	data := filepath.Join(t.TempDir(), "data")
	t.Setenv("VIVA_DATA_DIR", data)
	got := run(t, "", "journal", "inspect", "--dir", dir)
	require.Zero(t, got.code, got.stderr)
	require.NoFileExists(t, filepath.Join(data, "viva.db"))
	require.Equal(t, 1, run(t, "", "journal", "inspect").code, "there is no folder")
}

func TestAStreamIsDeclaredLostOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, query func(string) string) {
		dir, stream := journalled(t, 5)
		require.Zero(t, run(t, "", "journal", "replay", "--dir", dir).code)
		require.Contains(t, run(t, "", "journal", "lost", string(stream), "--yes").stderr, "wholly in the database")
		node := query("UPDATE ingest_cursors SET drained_at = NULL RETURNING node") // as of a node that died with its disk

		list := objects(t, run(t, "", "journal", "streams", "--json").stdout)
		require.Len(t, list, 1)
		require.Equal(t, []any{string(stream), node, 5.0, 0.0}, []any{list[0]["id"], list[0]["node"], list[0]["last_seq"], list[0]["gaps"]})
		require.Contains(t, run(t, "", "journal", "streams").stdout, string(stream))

		require.Equal(t, 2, run(t, "", "journal", "lost", string(stream)).code, "nobody confirmed it")
		require.Equal(t, 2, run(t, "", "journal", "lost", "nonsense", "--yes").code)
		require.Equal(t, 1, run(t, "", "journal", "lost", string(models.NewID[models.StreamID]()), "--yes").code)
		got := run(t, "", "journal", "lost", string(stream), "--yes")
		require.Zero(t, got.code, got.stderr)
		require.Equal(t, "declared lost: stream "+string(stream)+" of "+node+", after record 5\n", got.stdout)
		require.Empty(t, run(t, "", "journal", "streams", "--json").stdout)
		require.Equal(t, "cli", query("SELECT actor_kind FROM audit_logs WHERE action = 'stream.lost' AND object_id = '"+string(stream)+"'"))
		require.Equal(t, 1, run(t, "", "journal", "lost", string(stream), "--yes").code, "it was before")
	})
}

// cells are the words of a table, by line.
func cells(table string) (lines [][]string) {
	for line := range strings.Lines(table) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

func objects(t *testing.T, text string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &object), line)
		list = append(list, object)
	}
	return list
}
