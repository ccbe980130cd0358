// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// costList is the cost of several runs of the same.
type costList []hookCost

// costs measures something several times.
func costs(runs int, once func() (hookCost, error)) (costList, error) {
	var list costList
	for range runs {
		cost, err := once()
		if err != nil {
			return nil, err
		}
		list = append(list, cost)
	}
	return list, nil
}

func (l costList) cpu() spread {
	var values []float64
	for _, c := range l {
		values = append(values, c.cpu)
	}
	return newSpread(values)
}

func (l costList) wall() spread {
	var values []float64
	for _, c := range l {
		values = append(values, c.wall)
	}
	return newSpread(values)
}

// peak is the most memory that any of the runs had.
func (l costList) peak() int64 {
	var most int64
	for _, c := range l {
		most = max(most, c.peak)
	}
	return most
}

func (l costList) startUp(name string) startUpCost {
	return startUpCost{Name: name, CPU: l.cpu(), Wall: l.wall(), Calls: l[len(l)-1].calls}
}

// sumCosts adds what follows one another.
func sumCosts(list []hookCost) hookCost {
	var sum hookCost
	for _, c := range list {
		sum.cpu += c.cpu
		sum.wall += c.wall
		sum.peak = max(sum.peak, c.peak)
		sum.calls += c.calls
		sum.writes += c.writes
		sum.read += c.read
		sum.written += c.written
	}
	return sum
}

// oneLine keeps what a command says on the line of its error.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// runCommand measures a command and its children. Its output is part of the
// error when it fails.
func runCommand(cmd *exec.Cmd) (hookCost, error) {
	var output bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &output
	}
	cmd.Stderr = &output
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start).Seconds()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return hookCost{}, fmt.Errorf("cannot run %s: %w: %s", cmd.Path, err, oneLine(output.String()))
	case err != nil:
		return hookCost{}, fmt.Errorf("cannot run %s: %w", cmd.Path, err)
	}
	return hookCost{cpu: processorTime(cmd.ProcessState), wall: wall}, nil
}
