package inmemory

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"os/exec"

	"github.com/viva/rate-limiter/bench/limiters"
)

// HoldCommand is the first argument that makes this program a holder, of the limiter the second one names.
const HoldCommand = "hold"

// A process holds one limiter.
type process struct {
	name    string
	command *exec.Cmd
	holder  *rpc.Client
}

func start(ctx context.Context, name string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &process{name: name, command: exec.CommandContext(ctx, program, HoldCommand, name)}
	p.command.Stderr = os.Stderr
	in, err := p.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", name, err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", name, err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("hold %s: %w", name, err)
	}
	p.holder = rpc.NewClient(ends{out, in})
	return p, nil
}

// startAll starts a holder for each limiter.
func startAll(ctx context.Context) (all processes, err error) {
	for _, limiter := range limiters.InMemory {
		p, err := start(ctx, limiter.Name)
		if err != nil {
			return nil, errors.Join(err, all.stop())
		}
		all = append(all, p)
	}
	return all, nil
}

// call has the holder do something and waits for it.
func call[Reply any](p *process, method string, args any) (Reply, error) {
	var reply Reply
	if err := p.holder.Call("Holder."+method, args, &reply); err != nil {
		return reply, fmt.Errorf("%s: %s: %w", p.name, method, err)
	}
	return reply, nil
}

// stop ends the process, and frees with it all that it held.
func (p *process) stop() error {
	err := p.holder.Close()
	if exit := p.command.Wait(); exit != nil {
		return fmt.Errorf("stop holding %s: %w", p.name, exit)
	}
	return err
}

type processes []*process

func (all processes) stop() (err error) {
	for _, p := range all {
		err = errors.Join(err, p.stop())
	}
	return err
}

// turns returns the processes in the order of a round: another one begins each time.
func (all processes) turns(round int) processes {
	first := round % len(all)
	return append(append(processes{}, all[first:]...), all[:first]...)
}
