// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startUpCost is the cost of a run in which there is nothing to do.
type startUpCost struct {
	Name  string `json:"name"`
	CPU   spread `json:"cpu"`
	Wall  spread `json:"wall"`
	Calls int    `json:"hook-tool-calls"`
}

// The names of the runs that do nothing.
const (
	emptyRun   = "an empty Go program"
	noEventRun = "dispatch without an event"
	idleRun    = "idle update-status"
)

// measureStartUp runs the program where it has nothing to do, and one that
// could not do anything, which is the limit.
func (b *bench) measureStartUp() error {
	s, err := newSite(b.options.charm, nil)
	if err != nil {
		return err
	}
	defer s.close()
	program := filepath.Join(s.model.Directory(), "agents", "unit-"+authorityApplication+"-0", "charm", "dispatch")
	noEvent, err := costs(b.sizes.startUps, func() (hookCost, error) { return runWithoutEvent(program) })
	if err != nil {
		return err
	}
	idle, err := s.idleCosts(b.sizes.startUps)
	if err != nil {
		return err
	}
	empty, err := b.emptyProgram()
	if err != nil {
		return err
	}
	b.report.StartUp = []startUpCost{empty.startUp(emptyRun), noEvent.startUp(noEventRun), idle.startUp(idleRun)}
	return nil
}

// runWithoutEvent starts the program of hooks where no hook is: it finds no
// event in its environment and ends, with everything that a start costs behind it.
func runWithoutEvent(program string) (hookCost, error) {
	cmd := &exec.Cmd{Path: program, Args: []string{"dispatch"}, Env: []string{"PATH=/usr/bin:/bin"}}
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start).Seconds()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return hookCost{}, fmt.Errorf("cannot run %s: it has found an event, or has not run: %v", program, err)
	}
	return hookCost{cpu: processorTime(cmd.ProcessState), wall: wall}, nil
}

// measureIdle adds a row for a model in which certificates were issued.
func (b *bench) measureIdle(s *site, issued string) error {
	idle, err := s.idleCosts(b.sizes.runs)
	if err != nil {
		return err
	}
	b.report.StartUp = append(b.report.StartUp, idle.startUp(idleRun+", "+issued+" issued"))
	return nil
}

// idleCosts is what update-status costs where nothing is due.
func (s *site) idleCosts(runs int) (costList, error) {
	return costs(runs, func() (hookCost, error) {
		err := s.model.Queue(authorityUnit, "update-status")
		if err != nil {
			return hookCost{}, err
		}
		hooks, err := s.settle()
		sum := sumCosts(hooks)
		if err == nil && sum.writes > 0 {
			err = errors.New("update-status was not idle: it wrote something")
		}
		return sum, err
	})
}

// emptyProgram builds and runs what every Go program costs. Whoever runs the
// benchmark has packed the charm, and so has the compiler.
func (b *bench) emptyProgram() (costList, error) {
	folder, err := os.MkdirTemp("", "empty")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	source, program := filepath.Join(folder, "empty.go"), filepath.Join(folder, "empty")
	err = os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600)
	if err != nil {
		return nil, err
	}
	_, err = runCommand(exec.Command("go", "build", "-o", program, source))
	if err != nil {
		return nil, err
	}
	return costs(b.sizes.startUps, func() (hookCost, error) { return runCommand(exec.Command(program)) })
}
