package inmemory

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"
)

// settle collects all garbage, gives its memory back, and returns the bytes of live objects and of the process.
func settle() (heap, resident float64) {
	runtime.GC() // twice, as finalizers keep what they are for until the second
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc), residentSize()
}

// residentSize reads the size of the process in memory. NaN where the system does not tell.
func residentSize() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return math.NaN()
	}
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmRSS:" {
			if kib, err := strconv.ParseFloat(string(fields[1]), 64); err == nil {
				return kib * 1024
			}
		}
	}
	return math.NaN()
}

// Collected is what one collection of garbage costs while the store is held.
type Collected struct {
	Wall  time.Duration // until it was done; most of it beside the program
	CPU   time.Duration // of all cores
	Pause time.Duration // the longest stop of the program, at most
}

const (
	pauses = "/sched/pauses/total/gc:seconds"
	gcTime = "/cpu/classes/gc/total:cpu-seconds"
)

// Collect measures so many collections: medians, and of the pauses the longest.
func (h *Holder) Collect(times int, reply *Collected) error {
	runtime.GOMAXPROCS(runtime.NumCPU())
	samples := []metrics.Sample{{Name: pauses}, {Name: gcTime}}
	metrics.Read(samples)
	stopped := slices.Clone(samples[0].Value.Float64Histogram().Counts)
	var walls, used []time.Duration
	for range times {
		cpu := samples[1].Value.Float64()
		began := time.Now()
		runtime.GC()
		walls = append(walls, time.Since(began))
		metrics.Read(samples)
		used = append(used, time.Duration((samples[1].Value.Float64()-cpu)*float64(time.Second)))
	}
	slices.Sort(walls)
	slices.Sort(used)
	*reply = Collected{walls[times/2], used[times/2], longest(samples[0].Value.Float64Histogram(), stopped)}
	return nil
}

// longest returns the upper end of the highest bucket that grew.
func longest(now *metrics.Float64Histogram, before []uint64) time.Duration {
	for i, count := range slices.Backward(now.Counts) {
		if count > before[i] {
			end := now.Buckets[i+1]
			if math.IsInf(end, 1) {
				end = now.Buckets[i]
			}
			return time.Duration(end * float64(time.Second))
		}
	}
	return 0
}
