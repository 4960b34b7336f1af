package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func queuesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "queues", Short: "Look at background jobs, and settle what failed of them"}
	cmd.AddCommand(queuesList(), queuesTasks(), queuesRetry(), queuesDelete(), queuesPause(), queuesResume())
	return cmd
}

var queueColumns = []column[client.Queue]{
	{"queue", func(q *client.Queue) string { return q.Name }},
	{"pending", func(q *client.Queue) string { return strconv.Itoa(q.Pending) }},
	{"active", func(q *client.Queue) string { return strconv.Itoa(q.Active) }},
	{"scheduled", func(q *client.Queue) string { return strconv.Itoa(q.Scheduled) }},
	{"retry", func(q *client.Queue) string { return strconv.Itoa(q.Retry) }},
	{"archived", func(q *client.Queue) string { return strconv.Itoa(q.Archived) }},
	{"processed today", func(q *client.Queue) string { return strconv.Itoa(q.ProcessedToday) }},
	{"failed today", func(q *client.Queue) string { return strconv.Itoa(q.FailedToday) }},
	{"latency", func(q *client.Queue) string { return milliseconds(q.LatencyMS) }},
	{"paused", func(q *client.Queue) string { return strconv.FormatBool(q.Paused) }},
}

var jobKindColumns = []column[client.JobKind]{
	{"kind", func(k *client.JobKind) string { return k.Kind }},
	{"waiting", func(k *client.JobKind) string { return strconv.FormatInt(k.Waiting, 10) }},
	{"due", func(k *client.JobKind) string { return strconv.FormatInt(k.Due, 10) }},
	{"oldest due", func(k *client.JobKind) string { return milliseconds(k.OldestDueMS) }},
	{"failed", func(k *client.JobKind) string { return strconv.FormatInt(k.Failed, 10) }},
}

func queuesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Tell how the queues and the kinds of jobs are", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			states, err := c.Queues.Get(cmd.Context())
			if err != nil {
				return err
			}
			if inJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), states)
			}
			if err := printRows(cmd, states.Queues, queueColumns); err != nil || len(states.Kinds) == 0 {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return printRows(cmd, states.Kinds, jobKindColumns)
		}),
	}
}

func printRows[T any](cmd *cobra.Command, rows []T, columns []column[T]) error {
	table := &tableList[T]{w: newTable(cmd.OutOrStdout()), columns: columns}
	for i := range rows {
		if err := table.add(&rows[i]); err != nil {
			return err
		}
	}
	return table.end()
}

var taskColumns = []column[client.Task]{
	{"kind", func(t *client.Task) string { return t.Kind }},
	{"subject", func(t *client.Task) string { return t.Subject }},
	{"state", func(t *client.Task) string { return t.State }},
	{"due", func(t *client.Task) string { return stamp(&t.DueAt) }},
	{"failures", func(t *client.Task) string { return strconv.Itoa(t.Failures) }},
	{"failed", func(t *client.Task) string { return stamp(t.FailedAt) }},
	{"last error", func(t *client.Task) string { return t.LastError }},
}

func queuesTasks() *cobra.Command {
	var (
		p     paging
		f     client.TaskFilter
		state = choice{value: client.TaskFailed, allowed: []string{client.TaskFailed, client.TaskWaiting}}
	)
	cmd := &cobra.Command{
		Use: "tasks", Short: "List jobs that failed, latest first, or that wait, by when they are due", Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			f.State = state.value
			return printList(cmd, &p, c.Queues.Tasks(cmd.Context(), f, p.page()), taskColumns)
		}),
	}
	p.addLimit(cmd)
	cmd.Flags().Var(&state, "state", "`which` jobs: failed or waiting")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only jobs of this `kind`, such as notify:deliver")
	return cmd
}

// settlement is a command about failed jobs: one, or with --all those of a kind.
func settlement(use, short, example string, ask bool, done string,
	do func(ctx context.Context, c *client.Client, chosen client.TaskSelection) (*client.Settled, error),
) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: use + " KIND [SUBJECT]", Short: short, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("wants KIND and SUBJECT, or KIND and --all; the SUBJECT of a job about the whole installation is \"\"")}
			}
			return nil
		},
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			chosen, name := client.TaskSelection{Kind: args[0], All: all}, "all failed jobs of "+args[0]
			if all == (len(args) == 2) {
				return usageError{errors.New("wants SUBJECT or --all, one of them")}
			}
			if !all {
				chosen.Subject, name = &args[1], args[0]+" "+args[1]
			}
			if ask {
				if err := confirm(cmd, "Forget "+name+"?"); err != nil {
					return err
				}
			}
			n, err := do(cmd.Context(), c, chosen)
			if err != nil {
				return err
			}
			return printDone(cmd, n, done, n.Tasks)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "all failed jobs of the kind")
	if ask {
		addYesFlag(cmd)
	}
	return cmd
}

func queuesRetry() *cobra.Command {
	return settlement("retry", "Try failed jobs again", "  viva queues retry notify:deliver --all", false, "%d to be tried again",
		func(ctx context.Context, c *client.Client, chosen client.TaskSelection) (*client.Settled, error) {
			return c.Queues.Retry(ctx, chosen)
		})
}

func queuesDelete() *cobra.Command {
	return settlement("delete", "Forget failed jobs for ever", "  viva queues delete notify:deliver --all --yes", true, "%d forgotten",
		func(ctx context.Context, c *client.Client, chosen client.TaskSelection) (*client.Settled, error) {
			return c.Queues.Delete(ctx, chosen)
		})
}

func queuesPause() *cobra.Command {
	return queueVerb("pause QUEUE", "Begin none of a queue's jobs: critical, default or low", "paused %s",
		func(ctx context.Context, c *client.Client, name string) error { return c.Queues.Pause(ctx, name) })
}

func queuesResume() *cobra.Command {
	return queueVerb("resume QUEUE", "Begin a queue's jobs again", "resumed %s",
		func(ctx context.Context, c *client.Client, name string) error { return c.Queues.Resume(ctx, name) })
}

func queueVerb(use, short, done string, do func(ctx context.Context, c *client.Client, name string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: oneArg(argOf(use)),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := do(cmd.Context(), c, args[0]); err != nil {
				return err
			}
			return printGone(cmd, done, args[0])
		}),
	}
}
