package queue

import (
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
)

const (
	firstRetry = time.Second
	lastRetry  = 2 * time.Minute
)

// retryDelay doubles from a second to two minutes, less up to a quarter, so that
// jobs that failed together do not come back together.
func retryDelay(retried int, _ error, _ *asynq.Task) time.Duration {
	delay := lastRetry
	if retried < 7 {
		delay = min(firstRetry<<max(retried, 0), lastRetry)
	}
	return delay - rand.N(delay/4+1)
}
