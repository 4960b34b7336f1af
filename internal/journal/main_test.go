package journal_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_CHILD"); dir != "" {
		if os.Getenv("JOURNAL_GROUPS") != "" {
			os.Exit(groups(dir))
		}
		os.Exit(child(dir, journal.Fsync(os.Getenv("JOURNAL_FSYNC"))))
	}
	goleak.VerifyTestMain(m)
}

// child appends numbered records until it is killed, and prints the number of
// each that the journal has taken.
func child(dir string, fsync journal.Fsync) int {
	j, err := journal.Open(journal.Options{Dir: dir, Fsync: fsync, SegmentBytes: 8 << 10})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	var tasks sync.WaitGroup
	for worker := range uint64(4) {
		tasks.Go(func() {
			for i := worker; ; i += 4 {
				if err := j.Append(numbered(i)); err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Fprintln(out, i)
				out.Flush()
				mu.Unlock()
			}
		})
	}
	tasks.Wait()
	return 0
}

// groups appends groups of records until it is killed, and prints a line before.
func groups(dir string) int {
	j, err := journal.Open(journal.Options{Dir: dir, SegmentBytes: 1 << 20})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	group := make([][]byte, 100)
	for i := range group {
		group[i] = make([]byte, 150)
	}
	fmt.Println("begun")
	for {
		if err := j.AppendAll(group[rand.IntN(len(group)):]); err != nil {
			panic(err)
		}
	}
}

// numbered is a record that says which it is.
func numbered(i uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), i)
}

func numberOf(e journal.Entry) uint64 { return binary.BigEndian.Uint64(e.Payload) }

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t testing.TB, o journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func closed(t testing.TB, j *journal.Journal) {
	t.Helper()
	require.NoError(t, j.Close())
}

func appendNumbers(t testing.TB, j *journal.Journal, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		require.NoError(t, j.Append(numbered(i)))
	}
}

type reading interface {
	Streams() []journal.Stream
	Read(stream models.StreamID, after int64, most int) ([]journal.Entry, error)
}

// all reads a stream from a record on to its end, a few at a time.
func all(t testing.TB, r reading, stream models.StreamID, after int64) []journal.Entry {
	t.Helper()
	var found []journal.Entry
	for {
		entries, err := r.Read(stream, after, 7)
		require.NoError(t, err)
		if len(entries) == 0 {
			return found
		}
		for _, e := range entries {
			require.Greater(t, e.Seq, after)
			after = e.Seq
		}
		found = append(found, entries...)
	}
}

func numbersOf(entries []journal.Entry) []uint64 {
	numbers := make([]uint64, len(entries))
	for i, e := range entries {
		numbers[i] = numberOf(e)
	}
	return numbers
}

func seqsOf(entries []journal.Entry) []int64 {
	seqs := make([]int64, len(entries))
	for i, e := range entries {
		seqs[i] = e.Seq
	}
	return seqs
}

// upTo counts from..to.
func upTo[T int64 | uint64](from, to T) []T {
	var numbers []T
	for i := from; i <= to; i++ {
		numbers = append(numbers, i)
	}
	return numbers
}

// everything reads all streams of a folder.
func everything(t testing.TB, dir string) []uint64 {
	t.Helper()
	r, err := journal.OpenReader(dir)
	require.NoError(t, err)
	defer r.Close()
	var numbers []uint64
	for _, st := range r.Streams() {
		numbers = append(numbers, numbersOf(all(t, r, st.ID, 0))...)
	}
	slices.Sort(numbers)
	return numbers
}

// files lists the segments of a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	slices.Sort(found)
	return found
}

// soon waits for what the journal does in the background.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 10*time.Second, time.Millisecond, what)
}
