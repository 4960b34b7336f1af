package inmemory

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/workload"
)

// A Plan says what to measure, and how thoroughly.
type Plan struct {
	Sizes  []int         // numbers of keys, rising
	Hot    int           // the size at which one hot key is measured: it hardly depends on the others
	Apart  int           // from this size on each peer is measured beside ours alone, for want of memory
	Fills  int           // rounds of insertion, below that size
	Rounds int           // of the steady state
	Slice  time.Duration // of one limiter in one round
	Pool   int           // prepared accesses of a goroutine, more than fit in a slice
	Churn  time.Duration
	Log    func(format string, args ...any)
}

// Largest is the greatest number of keys.
func (p *Plan) Largest() int { return p.Sizes[len(p.Sizes)-1] }

// While keys lapse, so many new ones come in a second, and count for so long.
const (
	ChurnRate   = 400_000
	ChurnWindow = time.Second
)

// Cores lists how many cores are used: one, and two where there are as many.
func Cores() []int {
	if runtime.NumCPU() < 2 {
		return []int{1}
	}
	return []int{1, 2}
}

// Measure carries the plan out.
func Measure(ctx context.Context, plan Plan) (*Results, error) {
	r := &Results{
		Plan:    plan,
		Steady:  map[Cell]map[string]*workload.Series{},
		Fill:    map[int]map[string]*workload.Series{},
		Memory:  map[int]map[string]Footprint{},
		Mallocs: map[string]float64{},
		Inserts: map[string]float64{},
		Failed:  map[string]Failure{},
		Collect: map[string]Collected{},
		Growth:  map[string]workload.Summary{},
		Churn:   map[string]workload.Summary{},
	}
	for _, keys := range plan.Sizes {
		measure := r.together
		if keys >= plan.Apart {
			measure = r.apart
		}
		if err := measure(ctx, keys); err != nil {
			return nil, err
		}
	}
	return r, r.churn(ctx)
}

// together measures all limiters in turn.
func (r *Results) together(ctx context.Context, keys int) (err error) {
	all, err := startAll(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.stop()) }()
	fills := r.Plan.Fills
	if keys <= 10_000 {
		fills *= 5 // so short that noise is all the more of it
	}
	for _, deny := range []bool{false, true} {
		for round := range fills {
			if err := r.fill(all.turns(round), keys, deny); err != nil {
				return err
			}
		}
		if err := r.steady(all, keys, deny); err != nil {
			return err
		}
	}
	return nil
}

// apart measures each limiter in turn with ours, and has at most two stores at a time.
func (r *Results) apart(ctx context.Context, keys int) (err error) {
	ours, err := start(ctx, limiters.Ours)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	for _, deny := range []bool{false, true} {
		for i, limiter := range limiters.InMemory[1:] {
			if err := r.duel(ctx, ours, limiter.Name, keys, deny, i == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Results) duel(ctx context.Context, ours *process, name string, keys int, deny, first bool) (err error) {
	other, err := start(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	fresh := processes{other}
	if first {
		fresh = processes{ours, other}
	}
	if err := r.fill(fresh, keys, deny); err != nil {
		return err
	}
	return r.steady(processes{ours, other}, keys, deny)
}

// fill builds the stores anew and measures what can be measured only then.
func (r *Results) fill(all processes, keys int, deny bool) error {
	largest := keys == r.Plan.Largest()
	single := largest && deny // which tells no less of insertion, but more slowly
	measured := map[string]float64{}
	for _, p := range all {
		built, err := call[Built](p, "Build", BuildArgs{keys, deny, single})
		if err != nil {
			return err
		}
		r.Plan.Log("%s: %s new keys, %.0f ns each", p.name, workload.Count(keys), built.NsPerTake)
		if single {
			r.Growth[p.name] = built.Each
			continue
		}
		measured[p.name] = built.NsPerTake
		if deny {
			continue
		}
		inner(r.Memory, keys)[p.name] = built.Memory
		if largest {
			r.Inserts[p.name] = built.MallocsPerTake
			if r.Collect[p.name], err = call[Collected](p, "Collect", 3); err != nil {
				return err
			}
		}
	}
	ours, ok := measured[limiters.Ours]
	if !ok { // it is filled already
		ours = series(r.Fill, keys, limiters.Ours).Median()
	}
	for name, value := range measured {
		series(r.Fill, keys, name).Add(value, ours)
	}
	return nil
}

// steady measures every steady state of stores that are filled.
func (r *Results) steady(all processes, keys int, deny bool) error {
	patterns := []workload.Pattern{workload.Uniform, workload.Zipf}
	if keys == r.Plan.Hot {
		patterns = append(patterns, workload.Hot)
	}
	for _, pattern := range patterns {
		for _, cores := range Cores() {
			if err := r.cell(all, Cell{keys, deny, pattern, cores}); err != nil {
				return err
			}
		}
		r.Plan.Log("%s keys, %s, %s: %d rounds",
			workload.Count(keys), Cell{Deny: deny}.Outcome(), pattern, r.Plan.Rounds)
	}
	return nil
}

func (r *Results) cell(all processes, cell Cell) error {
	takes := map[string]int{}
	for _, p := range all {
		for range 2 { // the first is slow, with everything cold
			tried, err := call[Steadied](p, "Steady", r.args(cell, 1<<16))
			if err != nil {
				return err
			}
			takes[p.name] = max(1<<12, int(float64(r.Plan.Slice)/tried.NsPerTake))
		}
	}
	for round := range r.Plan.Rounds {
		measured := map[string]float64{}
		for _, p := range all.turns(round) {
			steadied, err := call[Steadied](p, "Steady", r.args(cell, takes[p.name]))
			if err != nil {
				return err
			}
			measured[p.name] = steadied.NsPerTake
			r.Mallocs[p.name] = max(r.Mallocs[p.name], steadied.MallocsPerTake)
			if steadied.Failed > r.Failed[p.name].Share {
				r.Failed[p.name] = Failure{cell, steadied.Failed, steadied.Error}
			}
		}
		for name, value := range measured {
			series(r.Steady, cell, name).Add(value, measured[limiters.Ours])
		}
	}
	return nil
}

func (r *Results) args(cell Cell, takes int) SteadyArgs {
	return SteadyArgs{Pattern: cell.Pattern, Cores: cell.Cores, Takes: takes, Pool: r.Plan.Pool}
}

// churn measures limiters that drop keys while they do.
func (r *Results) churn(ctx context.Context) (err error) {
	for _, limiter := range limiters.InMemory {
		if !limiter.Sweeps {
			continue
		}
		if err := r.churnOne(ctx, limiter.Name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Results) churnOne(ctx context.Context, name string) (err error) {
	p, err := start(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	args := ChurnArgs{PerSecond: ChurnRate, Window: ChurnWindow, Lasting: r.Plan.Churn}
	if r.Churn[name], err = call[workload.Summary](p, "Churn", args); err != nil {
		return err
	}
	r.Plan.Log("%s: new keys for %v while old ones lapse", name, r.Plan.Churn)
	if name == limiters.Ours {
		r.Lapse, err = call[workload.Summary](p, "Lapse", r.Plan.Largest())
		r.Plan.Log("%s: %s keys lapsed at once", name, workload.Count(r.Plan.Largest()))
	}
	return err
}
