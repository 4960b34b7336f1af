package notifications

import "time"

// delays are how long a delivery waits after each attempt that failed, a fifth
// more or less. There is one attempt more than there are delays.
var delays = []time.Duration{
	5 * time.Second, 15 * time.Second, 45 * time.Second, 135 * time.Second, 405 * time.Second,
	20 * time.Minute, time.Hour, 3 * time.Hour, 9 * time.Hour, 24 * time.Hour,
}

// MaxAttempts is how often a delivery is tried before it has failed.
const MaxAttempts = 11

// maxRetryAfter bounds what receivers may ask for.
const maxRetryAfter = 24 * time.Hour

// delay is how long to wait after an attempt, counted from 1, with random from 0
// up to 1. The receiver may ask for more.
func delay(attempt int, random float64, asked time.Duration) time.Duration {
	wait := time.Duration(float64(delays[attempt-1]) * (0.8 + 0.4*random)).Truncate(time.Microsecond)
	return max(wait, min(asked, maxRetryAfter))
}
