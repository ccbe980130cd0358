// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"tls-authority/internal/jujusim"
)

// hookLimit is how long one hook may run. The sweep over ten thousand units
// of a slow release must end some time.
const hookLimit = 15 * time.Minute

// peerRelation is the number of the charm's peer relation: Juju makes it when
// it deploys the charm, before any other.
const peerRelation = 0

// authorityUnit is the one unit of the charm that the benchmark deploys.
const authorityUnit = authorityApplication + "/0"

// hookCost is what one run of the charm's program cost.
type hookCost struct {
	hook      string
	cpu, wall float64
	peak      int64
	calls     int // without juju-log
	writes    int
	read      int64 // what tools printed
	written   int64 // what tools were given, arguments included
}

// site is a model with the charm in it, of which every run is measured.
type site struct {
	model *jujusim.Model
	hooks []hookCost
	// idle lets events pass without the charm: a fleet comes to be in no time,
	// and the charm finds it in the next sweep.
	idle bool
	run  hookCost     // of the program, before Observe adds the rest
	pid  atomic.Int64 // of the program; the tools are served by other goroutines
	peak atomic.Int64
}

// newSite deploys the charm with options set and lets it settle.
func newSite(charm string, config map[string]any) (*site, error) {
	s := &site{}
	model, err := jujusim.New(jujusim.Options{Program: s.dispatch, Observe: s.observe, HookTimeout: hookLimit})
	if err != nil {
		return nil, err
	}
	s.model = model
	model.Intervene(s.watchMemory)
	// The status service is another process, and what it costs is no hook's.
	off := map[string]any{"status-port": 0}
	err = errors.Join(model.Deploy(charm, authorityApplication, 1), model.Configure(authorityApplication, off), model.Configure(authorityApplication, config))
	if err == nil {
		_, err = s.settle()
	}
	if err != nil {
		return nil, errors.Join(err, model.Close())
	}
	return s, nil
}

func (s *site) close() error { return s.model.Close() }

// dispatch runs the charm's program as a unit agent does, and measures it.
func (s *site) dispatch(ctx context.Context, environ []string, dir string, stdout, stderr io.Writer) int {
	if s.idle {
		return 0
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "dispatch"))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environ, stdout, stderr
	s.peak.Store(0)
	start := time.Now()
	err := cmd.Start()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return -1
	}
	s.pid.Store(int64(cmd.Process.Pid))
	err = cmd.Wait()
	s.run = hookCost{cpu: processorTime(cmd.ProcessState), wall: time.Since(start).Seconds(), peak: s.peak.Load()}
	if err != nil && cmd.ProcessState.ExitCode() <= 0 {
		fmt.Fprintln(stderr, err)
	}
	return cmd.ProcessState.ExitCode()
}

// processorTime is the CPU time of a process and the children it waited for.
func processorTime(state *os.ProcessState) float64 {
	return (state.UserTime() + state.SystemTime()).Seconds()
}

// watchMemory looks at the high-water mark of the program's memory before each
// tool call. The kernel's figure at the end of a process would be the larger
// of its own and that of the process it was started by, which is this one.
func (s *site) watchMemory(jujusim.Call) jujusim.Intervention {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid.Load()))
	if err == nil {
		s.peak.Store(max(s.peak.Load(), highWaterMark(status)))
	}
	return jujusim.Intervention{}
}

// highWaterMark reads VmHWM of proc_pid_status(5), in bytes; 0 without it.
func highWaterMark(status []byte) int64 {
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kib, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func (s *site) observe(run jujusim.HookRun) {
	s.model.Forget()
	if s.idle {
		return
	}
	cost := s.run
	cost.hook, cost.writes = run.Hook, run.Writes
	for _, call := range run.Calls {
		if call.Tool == "juju-log" {
			continue
		}
		cost.calls++
		cost.read += int64(call.StdoutBytes)
		cost.written += int64(len(call.Stdin))
		for _, argument := range call.Args {
			cost.written += int64(len(argument))
		}
	}
	s.hooks = append(s.hooks, cost)
}

// settle runs hooks until nothing is pending and returns what they cost.
func (s *site) settle() ([]hookCost, error) {
	s.hooks = nil
	for {
		ran, err := s.model.Step()
		if err != nil || !ran {
			return s.hooks, err
		}
	}
}

// bagSize is what the model stores of a bag.
func (s *site) bagSize(relation int, owner string) int64 {
	var size int64
	for key, value := range s.model.Bag(relation, owner) {
		size += int64(len(key) + len(value))
	}
	return size
}
