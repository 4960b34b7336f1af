package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// Outcome says how a run of a job ended.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // also where the job asked to run again
	Retried Outcome = "retried" // it failed, or was interrupted, and is tried again
	Failed  Outcome = "failed"  // it is given up
)

// Weights say how much of the work each queue gets while all have some.
type Weights struct{ Critical, Default, Low int }

func (w Weights) of(namespace string) map[string]int {
	return map[string]int{
		queueName(namespace, Critical): w.Critical, queueName(namespace, Default): w.Default, queueName(namespace, Low): w.Low,
	}
}

// Options of a worker. Zero durations take the defaults named.
type Options struct {
	Kinds  []Kind
	Rows   Rows
	Source Source
	Lock   TryLock
	Redis  redis.UniversalClient // stays the caller's to close
	// Namespace is the first part of the names of queues.
	Namespace   string
	Node        string // who claims ticks
	Concurrency int    // jobs at once
	Weights     Weights
	Strict      bool // a queue waits until those before it are empty
	// ShutdownTimeout is how long running jobs may last when the worker stops.
	ShutdownTimeout time.Duration
	Now             func() time.Time
	Log             *zap.Logger
	// Trace begins the trace of a run, and is told its end; nil traces nothing.
	Trace func(ctx context.Context, job *models.Job, attempt int) (in context.Context, ended func(outcome string, failed bool))
	// OnRun is told how each run ended, and how long it took; nil tells nobody.
	OnRun func(kind models.JobKind, outcome Outcome, took time.Duration)

	SweepEvery time.Duration // 500 ms: how often rows are looked for
	Resend     time.Duration // 30 s: after which a row that is still there is put in again
	LockEvery  time.Duration // 2 s: how often the lock is tried
	PollEvery  time.Duration // 250 ms: how often empty queues are looked at, on average
}

func (o Options) withDefaults() Options {
	for d, value := range map[*time.Duration]time.Duration{
		&o.SweepEvery: 500 * time.Millisecond, &o.Resend: 30 * time.Second,
		&o.LockEvery: 2 * time.Second, &o.PollEvery: 250 * time.Millisecond,
	} {
		if *d == 0 {
			*d = value
		}
	}
	return o
}

// tickEvery is how often it is looked whether a periodic job is due.
const tickEvery = time.Second

// Worker runs jobs, puts rows that are due into the queue while it has the lock
// for that, and asks for periodic jobs. Start and Stop are called once each.
type Worker struct {
	Options
	kinds   kinds
	rows    Rows
	log     *zap.Logger
	client  *asynq.Client
	inspect *asynq.Inspector
	server  *asynq.Server

	running sync.WaitGroup // handlers
	loops   sync.WaitGroup
	end     context.CancelFunc
}

// New makes a worker. It refuses kinds that are declared wrong.
func New(o Options) (*Worker, error) {
	found, err := newKinds(o.Kinds)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	w := &Worker{
		Options: o, kinds: found, rows: o.Rows, log: o.Log,
		client:  asynq.NewClientFromRedisClient(o.Redis),
		inspect: asynq.NewInspectorFromRedisClient(o.Redis),
	}
	w.server = asynq.NewServerFromRedisClient(o.Redis, asynq.Config{
		Concurrency:              o.Concurrency,
		Queues:                   o.Weights.of(o.Namespace),
		StrictPriority:           o.Strict,
		ShutdownTimeout:          o.ShutdownTimeout,
		TaskCheckInterval:        o.PollEvery,
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		Logger:                   asynqLog{o.Log.Named("asynq")},
		LogLevel:                 asynq.DebugLevel,
	})
	return w, nil
}

// Start begins to work. Redis need not be in reach: what is due waits for it.
func (w *Worker) Start(ctx context.Context) error {
	ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := w.server.Start(w); err != nil {
		w.end()
		return fmt.Errorf("queue: %w", err)
	}
	w.loops.Go(func() { w.sweeping(ctx) })
	w.loops.Go(func() { w.ticking(ctx) })
	return nil
}

// Stop asks for nothing more, gives running jobs Options.ShutdownTimeout to end,
// and hands back to the queue those that do not. It returns when all handlers
// have returned, or with an error when ctx ends before.
func (w *Worker) Stop(ctx context.Context) error {
	w.end()
	done := make(chan struct{})
	go func() { // ends with the handlers, whose contexts end with the server
		defer close(done)
		w.loops.Wait()
		w.server.Shutdown()
		w.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("queue: jobs were still running; they will be done again")
	}
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
