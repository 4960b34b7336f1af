package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Queues are the background jobs: the queues they stand in, and what failed.
type Queues struct{ client *Client }

// QueueStates are how all queues and kinds of jobs are.
type QueueStates struct {
	Queues []Queue   `json:"queues"` // the most urgent first
	Kinds  []JobKind `json:"kinds"`  // those that have jobs
}

// Queue is how one queue is.
type Queue struct {
	Name           string `json:"name"` // critical, default or low
	Size           int    `json:"size"` // all that stand in it
	Pending        int    `json:"pending"`
	Active         int    `json:"active"`
	Scheduled      int    `json:"scheduled"`
	Retry          int    `json:"retry"`
	Archived       int    `json:"archived"`
	ProcessedToday int    `json:"processed_today"` // since midnight UTC
	FailedToday    int    `json:"failed_today"`
	LatencyMS      int64  `json:"latency_ms"` // how long the oldest has been ready
	Paused         bool   `json:"paused"`
}

// JobKind counts the jobs of a kind.
type JobKind struct {
	Kind        string `json:"kind"` // such as notify:deliver
	Waiting     int64  `json:"waiting"`
	Due         int64  `json:"due"` // of those that wait
	OldestDueMS int64  `json:"oldest_due_ms"`
	Failed      int64  `json:"failed"` // given up
}

// Get tells how the queues are.
func (q Queues) Get(ctx context.Context) (*QueueStates, error) {
	states := new(QueueStates)
	if _, err := q.client.do(ctx, get("get queues", "admin", "queues"), states); err != nil {
		return nil, err
	}
	return states, nil
}

// The states of tasks.
const (
	TaskFailed  = "failed"  // given up, waiting for an operator
	TaskWaiting = "waiting" // due, or due later
)

// Task is a job.
type Task struct {
	Kind      string     `json:"kind"`
	Subject   string     `json:"subject"` // empty where it is about the whole installation
	State     string     `json:"state"`
	DueAt     time.Time  `json:"due_at"`
	Failures  int        `json:"failures"`
	LastError string     `json:"last_error"`
	FailedAt  *time.Time `json:"failed_at"`
	CreatedAt time.Time  `json:"created_at"`
}

// TaskFilter chooses tasks; the zero filter chooses all that failed.
type TaskFilter struct {
	State string // one of the states of tasks
	Kind  string
}

// Tasks yields tasks: those that failed latest first, those that wait by when
// they are due.
func (q Queues) Tasks(ctx context.Context, f TaskFilter, page Page) iter.Seq2[Task, error] {
	op := get("list tasks", "admin", "queues", "tasks")
	op.query = page.query(map[string]string{"state": f.State, "kind": f.Kind})
	return list[Task](ctx, q.client, op)
}

// TaskSelection chooses failed tasks: the one with a subject, or all of the kind.
type TaskSelection struct {
	Kind    string  `json:"kind"`
	Subject *string `json:"subject,omitempty"`
	All     bool    `json:"all,omitzero"`
}

// Settled tells how many tasks there were.
type Settled struct {
	Tasks int64 `json:"tasks"`
}

// Retry makes failed tasks due again, with all their attempts.
func (q Queues) Retry(ctx context.Context, chosen TaskSelection) (*Settled, error) {
	return q.settle(ctx, "retry tasks", "retry", chosen)
}

// Delete forgets failed tasks for ever.
func (q Queues) Delete(ctx context.Context, chosen TaskSelection) (*Settled, error) {
	return q.settle(ctx, "delete tasks", "delete", chosen)
}

// settle is not repeated: the second answer would tell of nothing that was done.
func (q Queues) settle(ctx context.Context, name, verb string, chosen TaskSelection) (*Settled, error) {
	settled := new(Settled)
	op := call{name: name, method: http.MethodPost, path: []string{"admin", "queues", "tasks", verb}, body: chosen}
	if _, err := q.client.do(ctx, op, settled); err != nil {
		return nil, err
	}
	return settled, nil
}

// Pause keeps the tasks of a queue from being begun; running ones end.
func (q Queues) Pause(ctx context.Context, name string) error {
	_, err := q.client.do(ctx, post("pause queue", nil, "admin", "queues", name, "pause"), nil)
	return err
}

// Resume lets the tasks of a queue be begun again.
func (q Queues) Resume(ctx context.Context, name string) error {
	_, err := q.client.do(ctx, post("resume queue", nil, "admin", "queues", name, "resume"), nil)
	return err
}
