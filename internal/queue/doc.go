// Package queue runs jobs. A job exists because a row of the table jobs says so;
// Asynq, over Redis, only hands rows out to the processes that work, in order of
// priority, with retries. Whatever becomes of Redis, a row that is due is put in
// again, and what is there twice is done once.
//
// A handler is registered as a [Kind] in the table of internal/app/worker.go:
//
//	queue.Kind{
//		Name: models.JobNotifyDeliver, Queue: queue.Critical,
//		Timeout: 30 * time.Second, MaxRetries: queue.DefaultRetries,
//		Handle: notifications.Deliver,
//	}
//
// where Handle is
//
//	func(ctx context.Context, subject string) (again time.Duration, err error)
//
// It is called for each row that is due, with the subject of the row, "" for a
// periodic kind. It returns
//
//   - 0 and nil when the job is done: its row is deleted, unless the job was asked
//     for again meanwhile, in which case it runs again;
//   - a time above 0 and nil to run again after it, as often as it says so;
//   - an error to be tried again, after a second at first and two minutes at most.
//     After MaxRetries the row is marked failed and waits for an operator, or for
//     somebody to ask for the job again. A panic is an error.
//
// [Whole] makes such a function of one that has no subject and nothing to say but an
// error.
//
// A handler must be idempotent, and safe to run twice at once: a process may die
// after the work and before the row is deleted, and a job that is asked for while
// it runs is handed out beside it. It must end soon after its context does.
// The context carries no transaction.
//
// A job is asked for in the transaction that makes it due, by
// repositories.Jobs.Touch. A Kind with Every is asked for by the worker itself,
// once in each time of that length whatever the number of workers.
//
// Floor F3. It imports models; the app joins it to the repositories.
package queue
