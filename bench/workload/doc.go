// Package workload is what every limiter under measurement gets to do, and how that is timed: keys, the pattern in
// which they are used, loops over them, latencies, and medians. It knows no limiter.
package workload
