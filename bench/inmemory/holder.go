package inmemory

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/workload"
)

// A Holder holds one limiter and does with it what it is told, over net/rpc.
type Holder struct {
	limiter limiters.Memory
	store   limiters.Store
	takers  []workload.Taker
	keys    int
	deny    bool
	pools   map[workload.Pattern][]pool // one for each taker
}

// A pool is prepared accesses, used a part at a time.
type pool struct {
	keys []string
	used int
}

func newHolder(name string) (*Holder, error) {
	for _, limiter := range limiters.InMemory {
		if limiter.Name == name {
			return &Holder{limiter: limiter}, nil
		}
	}
	return nil, fmt.Errorf("no limiter is named %q", name)
}

// Serve holds the limiter of that name, for the process at the other end of standard input and output, until that end
// is closed.
func Serve(name string) error {
	holder, err := newHolder(name)
	if err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // the other end hears it too, and decides
	server := rpc.NewServer()
	if err := server.Register(holder); err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	server.ServeConn(ends{os.Stdin, os.Stdout})
	return nil
}

// ends is a connection over two pipes.
type ends struct {
	io.ReadCloser
	out io.WriteCloser
}

func (e ends) Write(b []byte) (int, error) { return e.out.Write(b) }

func (e ends) Close() error { return errors.Join(e.ReadCloser.Close(), e.out.Close()) }

// BuildArgs tells to make a new store and take from so many keys, each once.
type BuildArgs struct {
	Keys   int
	Deny   bool // these calls exhaust the limits
	Single bool // time each call, and do not measure memory
}

// Built tells how that went.
type Built struct {
	NsPerTake      float64
	MallocsPerTake float64
	Memory         Footprint
	Each           workload.Summary // of single calls
}

// Footprint is what the store, and all it keeps alive, takes for each key. It includes keys that it keeps.
type Footprint struct {
	Heap     float64 // bytes of live objects
	Resident float64 // bytes by which the process grew, after giving back what the runtime can
}

// Build replaces the store.
func (h *Holder) Build(args BuildArgs, reply *Built) error {
	if err := h.drop(); err != nil {
		return err
	}
	heap, resident := settle()
	store, err := h.limiter.New(limiters.Steady(args.Keys, args.Deny))
	if err != nil {
		return err
	}
	h.store, h.keys, h.deny = store, args.Keys, args.Deny
	before := workload.Mallocs()
	fill, err := workload.Fill(store.Taker(), 0, args.Keys, args.Single)
	if err != nil {
		return err
	}
	reply.MallocsPerTake = float64(workload.Mallocs()-before) / float64(args.Keys)
	reply.NsPerTake = fill.NsPerTake()
	if fill.Each != nil {
		reply.Each = fill.Each.Summary()
	}
	for range runtime.NumCPU() {
		h.takers = append(h.takers, store.Taker())
	}
	if args.Single {
		runtime.GC() // and no more: with many keys it takes seconds, and memory is measured the other time
		return nil
	}
	fullHeap, fullResident := settle()
	reply.Memory = Footprint{
		Heap:     (fullHeap - heap) / float64(args.Keys),
		Resident: (fullResident - resident) / float64(args.Keys),
	}
	return nil
}

// drop forgets the store and everything prepared.
func (h *Holder) drop() error {
	store := h.store
	h.store, h.takers, h.pools = nil, nil, nil
	runtime.GOMAXPROCS(runtime.NumCPU())
	if store == nil {
		return nil
	}
	return store.Close()
}

// SteadyArgs tells to take from keys that are there, in parallel on so many cores.
type SteadyArgs struct {
	Pattern workload.Pattern
	Cores   int
	Takes   int
	Pool    int // accesses to prepare for each core, the same each time: a bound on its calls
}

// Steadied tells how that went.
type Steadied struct {
	NsPerTake      float64
	MallocsPerTake float64
	Failed         float64 // share of the calls that were answered with an error
	Error          string  // the first such
}

// Steady uses the store.
func (h *Holder) Steady(args SteadyArgs, reply *Steadied) error {
	runtime.GOMAXPROCS(args.Cores)
	accesses := h.accesses(args)
	tally := workload.Parallel(h.takers[:args.Cores], accesses)
	admitted := tally.Takes - tally.Failed
	if h.deny && h.limiter.Name != limiters.Floor {
		admitted = 0
	}
	if tally.Admitted != admitted {
		return fmt.Errorf("admitted %d of %d calls in place of %d: %w",
			tally.Admitted, tally.Takes, admitted, tally.Err)
	}
	*reply = Steadied{
		NsPerTake:      tally.NsPerTake(),
		MallocsPerTake: float64(tally.Mallocs) / float64(tally.Takes),
		Failed:         float64(tally.Failed) / float64(tally.Takes),
	}
	if tally.Err != nil {
		reply.Error = tally.Err.Error()
	}
	return nil
}

// accesses takes the next part of what was prepared for each taker, and prepares it first where it was not.
func (h *Holder) accesses(args SteadyArgs) [][]string {
	pools := h.pools[args.Pattern]
	if pools == nil {
		if h.pools == nil {
			h.pools = map[workload.Pattern][]pool{}
		}
		pools = h.prepare(args.Pattern, args.Pool)
		h.pools[args.Pattern] = pools
	}
	n := min(args.Takes/args.Cores, args.Pool)
	parts := make([][]string, args.Cores)
	for i := range parts {
		p := &pools[i]
		if p.used+n > len(p.keys) {
			p.used = 0
		}
		parts[i] = p.keys[p.used : p.used+n]
		p.used += n
	}
	return parts
}

func (h *Holder) prepare(pattern workload.Pattern, size int) []pool {
	procs := runtime.GOMAXPROCS(runtime.NumCPU())
	defer runtime.GOMAXPROCS(procs)
	pools := make([]pool, len(h.takers))
	var done sync.WaitGroup
	for i := range pools {
		done.Go(func() { pools[i].keys = workload.Accesses(pattern, h.keys, size, uint64(i)) })
	}
	done.Wait()
	return pools
}

// ChurnArgs tells to take from new keys, so many in a second, whose limits last for a window only.
type ChurnArgs struct {
	PerSecond int
	Window    time.Duration
	Lasting   time.Duration
}

// Churn replaces the store by one that drops keys about as soon as they no longer count.
func (h *Holder) Churn(args ChurnArgs, reply *workload.Summary) error {
	if err := h.drop(); err != nil {
		return err
	}
	settle()
	c := limiters.Steady(int(float64(args.PerSecond)*args.Lasting.Seconds()), false)
	c.Window, c.Sweep = args.Window, args.Window
	store, err := h.limiter.New(c)
	if err != nil {
		return err
	}
	h.store = store
	churn, err := workload.Churn(store.Taker(), args.PerSecond, args.Lasting)
	if err != nil {
		return err
	}
	*reply = churn.Each.Summary()
	return nil
}

// Lapse fills the store with so many keys, lets all of them lapse at once, and takes from as many new ones. It is for
// limiters that drop keys within calls and whose clock can be set.
func (h *Holder) Lapse(keys int, reply *workload.Summary) error {
	if err := h.drop(); err != nil {
		return err
	}
	settle()
	c := limiters.Steady(2*keys, false)
	clock, jump := limiters.JumpingClock()
	c.Clock = clock
	store, err := h.limiter.New(c)
	if err != nil {
		return err
	}
	h.store = store
	taker := store.Taker()
	if _, err := workload.Fill(taker, 0, keys, false); err != nil {
		return err
	}
	jump(3 * c.Window)
	lapse, err := workload.Fill(taker, keys, keys, true)
	if err != nil {
		return err
	}
	*reply = lapse.Each.Summary()
	return nil
}
