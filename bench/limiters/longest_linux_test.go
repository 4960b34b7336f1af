package limiters

import (
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/workload"
)

// BenchmarkLongest times each single Take of ours while a store grows to 10M keys, and while they have all lapsed and
// as many new ones come. Floor has no store and shows what the machine does to the same loop. What is timed is the
// thread's use of a core, page faults included: not what other programs had of it meanwhile. Once is enough:
//
//	go test ./limiters -run - -bench Longest -benchtime 1x
func BenchmarkLongest(b *testing.B) {
	const keys = 10_000_000
	for _, limiter := range InMemory {
		if limiter.Name != Ours && limiter.Name != Floor {
			continue
		}
		c := Steady(2*keys, false)
		clock, jump := JumpingClock()
		c.Clock = clock
		store, err := limiter.New(c)
		require.NoError(b, err)
		var first int
		for _, part := range []string{"growing", "sweeping"} {
			b.Run(limiter.Name+"/"+part, func(b *testing.B) {
				each := new(workload.Latencies)
				for b.Loop() {
					takeEach(b, store.Taker(), first, keys, each)
					first += keys
				}
				b.ReportMetric(float64(each.Quantile(0.9999)), "p99.99-ns")
				b.ReportMetric(float64(each.Quantile(1)), "longest-ns")
				b.ReportMetric(float64(each.Above(time.Millisecond)), "above-1ms")
			})
			jump(3 * c.Window)
		}
		require.NoError(b, store.Close())
	}
}

// takeEach takes from n new keys and adds what each Take used of the thread's time.
func takeEach(b *testing.B, taker workload.Taker, first, n int, each *workload.Latencies) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const chunk = 1 << 16
	for end := first + n; first < end; first += chunk {
		keys := workload.Keys(first, min(chunk, end-first))
		last := threadTime()
		for _, key := range keys {
			if admitted, err := taker.Take(key); !admitted {
				b.Fatal("not admitted:", err)
			}
			now := threadTime()
			each.Add(now - last)
			last = now
		}
	}
}

// threadTime returns for how long the thread has used a core.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}
