// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// Budgets of one hook in calls of hook tools, juju-log not counted. They hold
// whatever the size of the fleet.
const (
	budgetRequest = 10 // a CSR, on the leader
	budgetPair    = 12 // a request of the legacy dialect, on the leader
	budgetMirror  = 8  // the same, on a unit that does not lead
	budgetIdle    = 6  // update-status
)

// crowd is a model in which many units of one application were served long
// ago by two units of ours.
type crowd struct {
	*site
	relation int
	bag      func(unit int) map[string]string
}

func newCrowd(t *testing.T, size int, bag func(unit int) map[string]string) *crowd {
	t.Helper()
	f := &crowd{site: newSite(t, jujusim.Options{}, 2), bag: bag}
	require.NoError(t, f.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	require.NoError(t, f.AddStandIn("app", size))
	var err error
	f.relation, err = f.Relate(charm+":certificates", "app:certificates")
	require.NoError(t, err)
	for i := range size {
		require.NoError(t, f.SetBag(f.relation, fmt.Sprintf("app/%d", i), bag(i)))
	}
	f.Pass(func(run jujusim.HookRun) bool { return strings.HasPrefix(run.Hook, "certificates-relation-") })
	for ran := true; ran; {
		ran, err = f.Step()
		require.NoError(t, err)
	}
	f.Pass(nil)
	require.NoError(t, f.Queue(f.Leader(charm), "config-changed"))
	f.settle()
	return f
}

// join adds one unit and returns the hooks that follow.
func (f *crowd) join() []jujusim.HookRun {
	f.t.Helper()
	unit, err := f.AddUnit("app")
	require.NoError(f.t, err)
	since := len(f.Hooks())
	require.NoError(f.t, f.SetBag(f.relation, unit, f.bag(len(f.Units("app"))-1)))
	f.settle()
	return f.Hooks()[since:]
}

// calls are the tools of a hook that count.
func calls(run jujusim.HookRun) []string {
	var tools []string
	for _, call := range run.Calls {
		if call.Tool != "juju-log" {
			tools = append(tools, call.Tool)
		}
	}
	return tools
}

// requireFrugal checks what holds for every hook.
func requireFrugal(t *testing.T, run jujusim.HookRun) {
	t.Helper()
	written := map[string]int{}
	for _, call := range run.Calls {
		switch call.Tool {
		case "relation-set":
			bag := slices.DeleteFunc(slices.Clone(call.Args), func(arg string) bool { return arg == "--file" || arg == "-" })
			written[strings.Join(bag, " ")]++
		case "secret-get":
			written[call.Tool]++
		}
	}
	for what, times := range written {
		require.Equal(t, 1, times, "%s in %s", what, run.Hook)
	}
}

// requireBudget checks the hooks after one new request and returns how many
// calls each made, by unit and hook.
func (f *crowd) requireBudget(runs []jujusim.HookRun, leader int) map[string]int {
	f.t.Helper()
	counts := map[string]int{}
	for _, run := range runs {
		requireFrugal(f.t, run)
		tools := calls(run)
		budget := budgetMirror
		if run.Unit == f.Leader(charm) {
			budget = leader
		}
		require.LessOrEqual(f.t, len(tools), budget, "%s on %s: %v", run.Hook, run.Unit, tools)
		where := "another unit"
		if run.Unit == f.Leader(charm) {
			where = "the leader"
		}
		key := where + " " + run.Hook
		counts[key] = max(counts[key], len(tools))
	}
	return counts
}

func (f *crowd) requireIdle() {
	f.t.Helper()
	for _, unit := range f.Units(charm) {
		since := len(f.Hooks())
		require.NoError(f.t, f.UpdateStatus(unit))
		runs := f.Hooks()[since:]
		require.Len(f.t, runs, 1)
		require.LessOrEqual(f.t, len(calls(runs[0])), budgetIdle, "%v", calls(runs[0]))
		require.Zero(f.t, runs[0].Writes)
		require.NotContains(f.t, calls(runs[0]), "secret-get", "nothing is signed")
	}
}

func TestOneRequestCostsTheSameInAFleetOfAnySize(t *testing.T) {
	t.Parallel()
	dialects := map[string]struct {
		budget int
		bag    func(t *testing.T) func(unit int) map[string]string
	}{
		"csr": {budgetRequest, func(t *testing.T) func(int) map[string]string {
			return func(unit int) map[string]string {
				csr, _ := newCSR(t, named(fmt.Sprintf("app-%d.example.com", unit)))
				return csrBag(t, csr)
			}
		}},
		"legacy": {budgetPair, func(*testing.T) func(int) map[string]string {
			return func(unit int) map[string]string {
				return map[string]string{
					"unit_name":        fmt.Sprintf("app_%d", unit),
					"common_name":      fmt.Sprintf("app-%d.example.com", unit),
					"sans":             `["10.0.0.1"]`,
					"certificate_name": fmt.Sprint(unit),
				}
			}
		}},
	}
	for name, dialect := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			counts := map[int]map[string]int{}
			t.Run("sizes", func(t *testing.T) {
				for _, size := range []int{10, 50, 250} {
					t.Run(fmt.Sprint(size), func(t *testing.T) {
						t.Parallel()
						f := newCrowd(t, size, dialect.bag(t))
						require.Contains(t, f.statusOf(f.Leader(charm)), fmt.Sprintf("%d certificates", size))
						count := f.requireBudget(f.join(), dialect.budget)
						require.Contains(t, f.statusOf(f.Leader(charm)), fmt.Sprintf("%d certificates", size+1))
						f.requireIdle()
						mu.Lock()
						defer mu.Unlock()
						counts[size] = count
					})
				}
			})
			for size, count := range counts {
				require.True(t, maps.Equal(counts[10], count), "in a fleet of %d: %v; of 10: %v", size, count, counts[10])
			}
		})
	}
}

func (s *site) statusOf(unit string) string {
	_, message := s.Status(unit)
	return message
}
