// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"encoding/json"
	"fmt"
)

// fleetCost is what a fleet cost that joined one unit after the other.
type fleetCost struct {
	Units   int     `json:"units"`
	Hooks   int     `json:"hooks"`
	CPU     float64 `json:"cpu"`
	Wall    float64 `json:"wall"`
	Calls   int     `json:"hook-tool-calls"`
	Read    int64   `json:"bytes-read"`
	Written int64   `json:"bytes-written"`
	Peak    int64   `json:"peak-memory"`

	// The last units: the median of all hooks that one caused, and the most
	// that one hook read and wrote.
	LastCPU   spread `json:"cpu-of-last-units"`
	LastCalls int    `json:"hook-tool-calls-of-last-unit"`
	LastMoved int64  `json:"most-bytes-moved-by-last-hooks"`
	// Beside is LastCPU of a new fleet of the smallest size, measured when this
	// one was complete; of the largest only.
	Beside spread `json:"cpu-of-a-small-fleet-beside"`

	// The list of certificates, which the interface makes the charm read and
	// write whole: as stored, as a JSON string on its way through a hook tool,
	// and what a plain program needs for it.
	List   int64  `json:"list"`
	Wire   int64  `json:"list-on-the-wire"`
	Decode spread `json:"decode-of-list"`
	Encode spread `json:"encode-of-list"`
}

// lastUnits is how many units speak for a size of the fleet. There must be no
// fewer in the smallest.
const lastUnits = 10

// listRuns is how often the list is decoded and encoded.
const listRuns = 7

// measureFleet lets units join one by one, with their request in their bag,
// until the fleet is complete. Beside the last of it a new fleet starts: what
// the first units cost is compared with what the last do, and the machine may
// have become slower in between.
func (b *bench) measureFleet() error {
	sizes := b.sizes.fleet
	rows, err := b.joinFleet(sizes)
	if err != nil {
		return err
	}
	again, err := b.joinFleet(sizes[:1])
	if err != nil {
		return err
	}
	rows[len(rows)-1].Beside = again[0].LastCPU
	b.report.Fleet = rows
	return nil
}

// joinFleet makes a fleet and looks at it whenever it has reached a size.
func (b *bench) joinFleet(sizes []int) ([]fleetCost, error) {
	s, err := newSite(b.options.charm, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	f, err := s.relate("db")
	if err != nil {
		return nil, err
	}
	requests, err := b.newRequests(f.application, 0, sizes[len(sizes)-1])
	if err != nil {
		return nil, err
	}
	var rows []fleetCost
	var sum fleetCost
	var last []unitCost
	for i, request := range requests {
		cost, err := f.joinOne(request)
		if err != nil {
			return nil, err
		}
		sum.add(cost)
		last = append(last, cost)
		last = last[max(0, len(last)-lastUnits):]
		if i+1 != sizes[len(rows)] {
			continue
		}
		row, err := b.lookAtFleet(f, sum, last)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// unitCost is what one unit cost that joined.
type unitCost struct {
	hookCost
	hooks int
	moved int64 // the most bytes that one hook read and wrote
}

func (f *fleet) joinOne(request string) (unitCost, error) {
	_, err := f.join(func(string) map[string]string { return csrBag(request) })
	if err != nil {
		return unitCost{}, err
	}
	hooks, err := f.settle()
	if err != nil {
		return unitCost{}, err
	}
	cost := unitCost{hookCost: sumCosts(hooks), hooks: len(hooks)}
	for _, hook := range hooks {
		cost.moved = max(cost.moved, hook.read+hook.written)
	}
	return cost, nil
}

func (c *fleetCost) add(u unitCost) {
	c.Units++
	c.Hooks += u.hooks
	c.CPU += u.cpu
	c.Wall += u.wall
	c.Calls += u.calls
	c.Read += u.read
	c.Written += u.written
	c.Peak = max(c.Peak, u.peak)
}

// lookAtFleet completes what was summed up with the last units and the list.
func (b *bench) lookAtFleet(f *fleet, sum fleetCost, last []unitCost) (fleetCost, error) {
	b.say("  %d units", sum.Units)
	err := expect(f.issuedCSR(), sum.Units)
	if err != nil {
		return sum, err
	}
	var cpu []float64
	for _, u := range last {
		cpu = append(cpu, u.cpu)
		sum.LastMoved = max(sum.LastMoved, u.moved)
	}
	sum.LastCPU, sum.LastCalls = newSpread(cpu), last[len(last)-1].calls
	list := f.model.Bag(f.relation, authorityApplication)["certificates"]
	wire, err := json.Marshal(list)
	if err != nil {
		return sum, fmt.Errorf("cannot encode the list: %w", err)
	}
	sum.List, sum.Wire = int64(len(list)), int64(len(wire))
	plain, err := b.baseline(baselineOrder{Work: "list", Runs: listRuns, Requests: []string{list}})
	if err != nil {
		return sum, err
	}
	sum.Decode, sum.Encode = plain["decode"], plain["encode"]
	return sum, nil
}
