package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve answers each request as the handler does, until the test ends.
func serve(t *testing.T, answer func(body string) string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					request, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					body, err := io.ReadAll(request.Body)
					if err != nil {
						return
					}
					if _, err := io.WriteString(conn, answer(string(body))); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func newRun(addr string) *Run {
	return &Run{
		Addr: addr, Request: Post("/", `{"key":"{key}"}`, 2), Keys: &Keys{Text: []byte("aabb"), Width: 2},
		Status: 200, Want: []byte(`{"key":`), Connections: 4, Measure: 50 * time.Millisecond, Seed: 1,
	}
}

func TestAllConnectionsAreKeptBusy(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	run := newRun(serve(t, func(body string) string {
		mu.Lock()
		defer mu.Unlock()
		asked[body]++
		return ok(body)
	}))
	marks := 0
	run.Warm, run.Mark = 10*time.Millisecond, func() { marks++ }
	result, err := run.Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, marks)
	require.Positive(t, result.Answers)
	require.InDelta(t, run.Measure, result.Elapsed, float64(40*time.Millisecond))
	require.LessOrEqual(t, result.Answers, uint64(asked[`{"key":"aa"}`]+asked[`{"key":"bb"}`]))
	require.Positive(t, asked[`{"key":"aa"}`])
	require.Positive(t, asked[`{"key":"bb"}`])
	require.Positive(t, result.Latencies.Summary().P50)
}

// A server that stands still is not asked meanwhile, on the one connection there is. Those who would have asked have
// waited all the same.
func TestWaitingToBeSentIsPartOfTheLatency(t *testing.T) {
	const rate, stall = 1000, 200 * time.Millisecond
	asked := 0
	run := newRun(serve(t, func(body string) string {
		if asked++; asked == 50 {
			<-time.After(stall)
		}
		return ok(body)
	}))
	run.Connections, run.Rate, run.Measure = 1, rate, 400*time.Millisecond
	result, err := run.Do(t.Context())
	require.NoError(t, err)

	latencies := &result.Latencies
	require.GreaterOrEqual(t, latencies.Summary().Max, stall)
	// In half of the stall about rate*stall/2 = 100 arrive that wait at least as long as is left of it.
	require.Greater(t, latencies.Above(stall/2), uint64(60))
	require.Less(t, latencies.Quantile(0.999), 2*time.Second)
	require.InDelta(t, rate*run.Measure.Seconds(), latencies.Summary().N, 80, "all that arrived are counted, whenever answered")
	require.Zero(t, result.Unanswered)
}

func TestArrivalsKeepTheirRateWhateverHappens(t *testing.T) {
	a := newArrivals(10_000, rand.New(rand.NewPCG(1, 2)))
	n, last := 0, time.Duration(-1)
	for ; a.next < 10*time.Second; n++ {
		at := a.take()
		require.GreaterOrEqual(t, at, last)
		last = at
	}
	require.InDelta(t, 100_000, n, 1000)
}

func TestBacklogIsFirstInFirstOut(t *testing.T) {
	var b backlog
	for round := range 3 {
		for i := range 5 {
			b.add(time.Duration(round*10 + i))
		}
		require.Equal(t, 5, b.len())
		for i := range 5 {
			require.Equal(t, time.Duration(round*10+i), b.take())
		}
		require.Zero(t, b.len())
	}
}

func TestAnswersThatAreNotAsTheyShouldBeAreCounted(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\n{\"key\":",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		ok(`{"key":"a","degraded":true}`),
	} {
		asked := 0
		run := newRun(serve(t, func(body string) string {
			if asked++; asked == 3 {
				return answer
			}
			return ok(body)
		}))
		run.Connections, run.Never = 1, []byte(`"degraded":true`)
		result, err := run.Do(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, result.Others)
		require.Equal(t, answer, result.Other)
		require.Greater(t, result.Answers, result.Others)
	}
}

func TestWhatIsNoAnswerEndsTheRun(t *testing.T) {
	for answer, want := range map[string]string{
		ok(`{"key":"a"}`) + ok(`{"key":"a"}`):                       "more than it was asked",
		"HTTP/1.1 200 OK\r\n\r\n":                                   "neither a length nor chunks",
		"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n{}": "content-length",
	} {
		_, err := newRun(serve(t, func(string) string { return answer })).Do(t.Context())
		require.ErrorContains(t, err, want)
	}
}

func TestRunsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	run := newRun(serve(t, func(body string) string { cancel(); return ok(body) }))
	run.Measure = time.Hour
	_, err := run.Do(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
