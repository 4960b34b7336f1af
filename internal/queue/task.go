package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"github.com/viva/rate-limiter/internal/models"
)

// taskVersion is of the form of the payload: a worker leaves what is newer than
// it knows to others.
const taskVersion = 1

// payload is what stands in the queue: which job, and which time it was asked for.
type payload struct {
	Version    int            `json:"v"`
	Kind       models.JobKind `json:"kind"`
	Subject    string         `json:"subject"`
	Generation int64          `json:"generation"`
}

// grace is what Asynq gives a handler beyond its timeout: the worker's own
// context has to end first, so that the failure is counted in the row.
const grace = 5 * time.Second

// newTask makes the task of a job. Its id is the same however often it is put in.
func newTask(namespace string, kind *Kind, job *models.Job) (task *asynq.Task, queue, id string, err error) {
	data, err := json.Marshal(payload{Version: taskVersion, Kind: job.Kind, Subject: job.Subject, Generation: job.Generation})
	if err != nil {
		return nil, "", "", fmt.Errorf("payload of %s: %w", job.Kind, err)
	}
	// One more than the worker allows: Asynq gives up a task that has no retries left
	// even where its attempt was not to count.
	retries := kind.MaxRetries + 1
	queue, id = queueName(namespace, kind.Queue), taskID(job)
	return asynq.NewTask(string(job.Kind), data,
		asynq.Queue(queue), asynq.TaskID(id), asynq.MaxRetry(retries), asynq.Timeout(kind.Timeout+grace)), queue, id, nil
}

func taskID(job *models.Job) string {
	return string(job.Kind) + ":" + job.Subject + ":" + strconv.FormatInt(job.Generation, 10)
}

// queueName is what Asynq knows a queue by. In its keys the name stands in braces:
// all that belongs to a queue is in one slot of a Cluster.
func queueName(namespace string, queue Priority) string { return namespace + "-" + string(queue) }

// errForeign marks a task that another version of the program put in.
var errForeign = errors.New("the task is not of this version of the program")

func readTask(task *asynq.Task) (payload, error) {
	var p payload
	if err := json.Unmarshal(task.Payload(), &p); err != nil {
		return p, fmt.Errorf("%w: %w", errForeign, err)
	}
	if p.Version != taskVersion {
		return p, fmt.Errorf("%w: its payload has version %d", errForeign, p.Version)
	}
	return p, nil
}
