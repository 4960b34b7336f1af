package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/jobs"
)

const tagQueues = "Queues"

// registerQueues declares what operators see of background jobs, and do about them.
func (a *api) registerQueues() {
	operation := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: prefix + "/admin/queues" + path, Tags: []string{tagQueues},
			Summary: summary, Description: description, Security: bearer(models.ScopeAdmin), DefaultStatus: http.StatusOK,
		}
	}
	register(a, operation("get-queues", http.MethodGet, "", "Tell how the queues and the kinds of jobs are",
		"What is due is kept in the database; queues hold copies of it, which are put in again where they are lost."), a.getQueues)
	register(a, csvToo(operation("list-tasks", http.MethodGet, "/tasks", "List jobs that failed, or wait",
		"Those that failed were tried as often as their kind allows; they come latest first, those that wait by when they are due.")), a.listTasks)
	register(a, operation("retry-tasks", http.MethodPost, "/tasks/retry", "Try failed jobs again",
		"They are due at once, with as many attempts as a new job has."), a.retryTasks)
	register(a, operation("delete-tasks", http.MethodPost, "/tasks/delete", "Forget failed jobs for ever",
		"What they were to do is not done, until it becomes due by itself."), a.deleteTasks)
	register(a, operation("pause-queue", http.MethodPost, "/{name}/pause", "Begin none of a queue's jobs",
		"Running ones end, and what becomes due waits. Pausing twice changes nothing."), a.pauseQueue)
	register(a, operation("resume-queue", http.MethodPost, "/{name}/resume", "Begin a queue's jobs again", ""), a.resumeQueue)
}

type queuesOutput struct{ Body queuesBody }

type queuesBody struct {
	Queues []queueBody   `json:"queues" doc:"The most urgent first"`
	Kinds  []jobKindBody `json:"kinds" doc:"The kinds that have jobs, as the database knows them"`
}

type queueBody struct {
	Name           string `json:"name" enum:"critical,default,low"`
	Size           int    `json:"size" doc:"All that stand in the queue"`
	Pending        int    `json:"pending" doc:"Ready to begin"`
	Active         int    `json:"active" doc:"Running"`
	Scheduled      int    `json:"scheduled" doc:"Due later"`
	Retry          int    `json:"retry" doc:"Failed, to be tried again"`
	Archived       int    `json:"archived" doc:"Given up by the queue, kept for a while to look at"`
	ProcessedToday int    `json:"processed_today" doc:"Runs since midnight UTC"`
	FailedToday    int    `json:"failed_today" doc:"Those of them that failed"`
	LatencyMS      int64  `json:"latency_ms" doc:"How long the oldest has been ready, in milliseconds"`
	Paused         bool   `json:"paused" doc:"Whether none is begun"`
}

type jobKindBody struct {
	Kind        string `json:"kind" example:"notify:deliver"`
	Waiting     int64  `json:"waiting" doc:"Due, or due later"`
	Due         int64  `json:"due" doc:"Of these, due by now: running ones among them"`
	OldestDueMS int64  `json:"oldest_due_ms" doc:"How long the oldest of these has been due, in milliseconds"`
	Failed      int64  `json:"failed" doc:"Given up, waiting for an operator"`
}

func (a *api) getQueues(ctx context.Context, _ *struct{}) (*queuesOutput, error) {
	overview, err := a.Jobs.Overview(ctx)
	if err != nil {
		return nil, err
	}
	out := &queuesOutput{queuesBody{Queues: []queueBody{}, Kinds: []jobKindBody{}}}
	for _, q := range overview.Queues {
		out.Body.Queues = append(out.Body.Queues, queueBody{
			Name: q.Name, Size: q.Size, Pending: q.Pending, Active: q.Active, Scheduled: q.Scheduled, Retry: q.Retry, Archived: q.Archived,
			ProcessedToday: q.Processed, FailedToday: q.Failed, LatencyMS: q.Latency.Milliseconds(), Paused: q.Paused,
		})
	}
	for _, k := range overview.Kinds {
		out.Body.Kinds = append(out.Body.Kinds, jobKindBody{
			Kind: string(k.Kind), Waiting: k.Waiting, Due: k.Due, OldestDueMS: k.OldestDue.Milliseconds(), Failed: k.Failed,
		})
	}
	return out, nil
}

type listTasksInput struct {
	PageQuery
	State string `query:"state" enum:"failed,waiting" default:"failed" doc:"Which jobs: those given up, or those that are due or will be"`
	Kind  string `query:"kind" maxLength:"64" doc:"Only jobs of this kind, such as notify:deliver"`
}

type taskBody struct {
	Kind      string     `json:"kind" example:"notify:deliver"`
	Subject   string     `json:"subject" doc:"What it is about; empty where that is the whole installation"`
	State     string     `json:"state" enum:"failed,waiting"`
	DueAt     time.Time  `json:"due_at" doc:"Since when it has been due, or when it will be"`
	Failures  int        `json:"failures" doc:"Attempts that failed since it was asked for"`
	LastError string     `json:"last_error" doc:"Why the last of them failed; empty where none did"`
	FailedAt  *time.Time `json:"failed_at" doc:"When it was given up"`
	CreatedAt time.Time  `json:"created_at" doc:"Since when there has been such a job without a break"`
}

func (a *api) listTasks(ctx context.Context, in *listTasksInput) (*listOutput[taskBody], error) {
	filter := models.JobFilter{State: models.JobState(in.State), Kind: models.JobKind(in.Kind)}
	list, err := a.Jobs.List(ctx, filter, in.page(""))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, list, taskOf, func(j *models.Job) models.Position { return j.Position(filter.State) }), nil
}

func taskOf(j *models.Job) taskBody {
	state := models.JobWaiting
	if j.FailedAt != nil {
		state = models.JobFailed
	}
	return taskBody{
		Kind: string(j.Kind), Subject: j.Subject, State: string(state), DueAt: j.DueAt.UTC(), Failures: j.Failures, LastError: j.LastError,
		FailedAt: utc(j.FailedAt), CreatedAt: j.CreatedAt.UTC(),
	}
}

type tasksInput struct{ Body chosenTasksBody }

type chosenTasksBody struct {
	Kind    string  `json:"kind" minLength:"1" maxLength:"64" example:"notify:deliver" doc:"Of the jobs"`
	Subject *string `json:"subject,omitempty" maxLength:"512" doc:"Of the one job; empty for a job about the whole installation"`
	All     bool    `json:"all,omitzero" doc:"All failed jobs of the kind, in place of one"`
}

type settledOutput struct{ Body settledBody }

type settledBody struct {
	Tasks int64 `json:"tasks" doc:"How many there were"`
}

func (a *api) retryTasks(ctx context.Context, in *tasksInput) (*settledOutput, error) {
	return settled(a.Jobs.Retry(ctx, chosenOf(&in.Body)))
}

func (a *api) deleteTasks(ctx context.Context, in *tasksInput) (*settledOutput, error) {
	return settled(a.Jobs.Delete(ctx, chosenOf(&in.Body)))
}

func chosenOf(b *chosenTasksBody) jobs.Selection {
	return jobs.Selection{Kind: models.JobKind(b.Kind), Subject: b.Subject, All: b.All}
}

func settled(n int64, err error) (*settledOutput, error) {
	if err != nil {
		return nil, err
	}
	return &settledOutput{settledBody{Tasks: n}}, nil
}

type queueInput struct {
	Name string `path:"name" maxLength:"64" doc:"critical, default or low"`
}

type pausedOutput struct{ Body pausedBody }

type pausedBody struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
}

func (a *api) pauseQueue(ctx context.Context, in *queueInput) (*pausedOutput, error) {
	return a.setPaused(ctx, in.Name, true)
}

func (a *api) resumeQueue(ctx context.Context, in *queueInput) (*pausedOutput, error) {
	return a.setPaused(ctx, in.Name, false)
}

func (a *api) setPaused(ctx context.Context, name string, pause bool) (*pausedOutput, error) {
	if err := a.Jobs.SetPaused(ctx, name, pause); err != nil {
		return nil, err
	}
	return &pausedOutput{pausedBody{Name: name, Paused: pause}}, nil
}
