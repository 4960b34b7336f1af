package models

import "time"

// JobKind says what a job does. Kinds are stable: they are stored, and stand in
// queues while programs are replaced.
type JobKind string

// The kinds of jobs, with what their subject is; "" for the whole installation.
const (
	JobRateLimitExceeded JobKind = "rate_limit:exceeded" // a key that was refused: mark repeats, feed the next two
	JobSecurityAnalyze   JobKind = "security:analyze"    // the same key: look for abuse
	JobAlertCheck        JobKind = "alert:check"         // "": which causes of alerts are there, and which are gone
	JobNotifyPlan        JobKind = "notify:plan"         // "": make deliveries of new notices
	JobNotifyDeliver     JobKind = "notify:deliver"      // a delivery: one attempt
	JobCustomerOutreach  JobKind = "customer:outreach"   // "": tell owners near or over their quota
	JobKeyExpire         JobKind = "key:expire"          // "": ends of keys, suspensions and rotations
	JobUsagePartitions   JobKind = "usage:partitions"
	JobUsageCompact      JobKind = "usage:compact"
	JobUsageTallies      JobKind = "usage:tallies"
	JobUsageRetention    JobKind = "usage:retention"
	JobAuditRetention    JobKind = "audit:retention"
	JobNotifyRetention   JobKind = "notify:retention"
	JobAlertRetention    JobKind = "alert:retention"
	JobPrivacyErase      JobKind = "privacy:erase"
)

// Job is work that is due. There is at most one of a kind and subject: asking
// again for what is due already asks for nothing more. The row is the truth;
// what stands in a queue is a copy that may be lost or come twice.
type Job struct {
	Kind    JobKind `gorm:"primaryKey"`
	Subject string  `gorm:"primaryKey"`
	// Generation rises whenever the job is asked for again, so that what was
	// asked for while it ran is not forgotten when it ends.
	Generation int64
	DueAt      time.Time
	SentAt     *time.Time // when this generation was last put into the queue
	Failures   int        // of this generation
	LastError  string
	FailedAt   *time.Time // given up: it waits for an operator, or to be asked for again
	CreatedAt  time.Time
}

// JobState says whether a job waits or was given up.
type JobState string

// The states of jobs.
const (
	JobWaiting JobState = "waiting" // due, or due later
	JobFailed  JobState = "failed"  // given up: it waits for an operator
)

// Position is the place of the job in a list of those in the state.
func (j *Job) Position(state JobState) Position {
	at := j.DueAt
	if state == JobFailed && j.FailedAt != nil {
		at = *j.FailedAt
	}
	return Position{Value: at.UTC().Format(time.RFC3339Nano), ID: string(j.Kind) + " " + j.Subject}
}

// JobFilter chooses jobs; an empty kind is any.
type JobFilter struct {
	State JobState
	Kind  JobKind
}

// JobStats counts the jobs of a kind.
type JobStats struct {
	Kind      JobKind
	Waiting   int64         // not given up
	Due       int64         // of these, due by now
	OldestDue time.Duration // how long the oldest of these has been due
	Failed    int64         // given up
}

// QueueState is how a queue is.
type QueueState struct {
	Name string
	Size int // all that stand in it
	// Of these: ready to begin, running, due later, to be tried again, given up.
	Pending, Active, Scheduled, Retry, Archived int
	Processed, Failed                           int           // runs today, in UTC, and those of them that failed
	Latency                                     time.Duration // how long the oldest has been ready
	Paused                                      bool
}
