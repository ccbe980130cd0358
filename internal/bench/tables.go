// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"fmt"
	"strconv"
)

// tables shows the report to people.
func (r report) tables() []table {
	return []table{
		r.machineTable(), r.startUpTable(), r.requestTable(), r.storedTable(), r.fleetTable(), r.fleetUnitTable(),
		r.signingTable(), r.transportTable(), r.peerTable(), r.formulaTable(), r.ratioTable(),
	}
}

func (r report) machineTable() table {
	extent := "full"
	if r.Quick {
		extent = "quick: small sizes, few runs"
	}
	return table{
		title: "Benchmark of the packed charm",
		head:  []string{"processor", "cores", "system", "Go", "extent", "took"},
		rows:  [][]string{{r.Machine.Processor, strconv.Itoa(r.Machine.Cores), r.Machine.System, r.Machine.Go, extent, formatSeconds(r.Seconds)}},
		notes: []string{"CPU is user and system time of the charm's process. Figures are medians; n is the number of runs."},
	}
}

func (r report) startUpTable() table {
	t := table{title: "Start-up", head: []string{"run", "CPU", "wall", "calls", "n"}}
	for _, s := range r.StartUp {
		t.rows = append(t.rows, []string{s.Name, formatSeconds(s.CPU.Median), formatSeconds(s.Wall.Median), strconv.Itoa(s.Calls), strconv.Itoa(s.CPU.Runs)})
	}
	return t
}

// name is what a row is about.
func (c requestCost) name() string {
	if c.Key != "" {
		return c.Dialect + " " + c.Key
	}
	return c.Dialect
}

// issued is how much there was before.
func (c requestCost) issued() string {
	if c.Relations > 1 {
		return fmt.Sprintf("%d × %s", c.Relations, grouped(int64(c.Issued)))
	}
	return grouped(int64(c.Issued))
}

func (r report) requestTable() table {
	t := table{
		title: "One new request",
		head:  []string{"request", "issued before", "CPU", "wall", "peak memory", "calls", "read", "written", "all hooks", "their CPU", "n"},
		notes: []string{"Calls leave juju-log out. All hooks are those that the request and its answer cause."},
	}
	for _, c := range r.Requests {
		t.rows = append(t.rows, []string{
			c.name(), c.issued(), formatSeconds(c.CPU.Median), formatSeconds(c.Wall.Median), formatMemory(c.Peak), strconv.Itoa(c.Calls),
			formatBytes(c.Read), formatBytes(c.Written), strconv.Itoa(c.Hooks), formatSeconds(c.AllCPU.Median), strconv.Itoa(c.CPU.Runs),
		})
	}
	return t
}

func (r report) storedTable() table {
	t := table{title: "What the controller stores", head: []string{"dialect", "issued", "application bag", "unit bag", "peer bag"}}
	for _, c := range r.Requests {
		t.rows = append(t.rows, []string{c.name(), c.issued(), formatBytes(c.ApplicationBag), formatBytes(c.UnitBag), formatBytes(c.PeerBag)})
	}
	return t
}

func (r report) fleetTable() table {
	t := table{title: "A fleet that joins one unit after the other, CSR dialect", head: []string{"units", "hooks", "CPU", "wall", "calls", "read", "written", "peak memory"}}
	for _, f := range r.Fleet {
		t.rows = append(t.rows, []string{
			grouped(int64(f.Units)), grouped(int64(f.Hooks)), formatSeconds(f.CPU), formatSeconds(f.Wall), grouped(int64(f.Calls)),
			formatBytes(f.Read), formatBytes(f.Written), formatMemory(f.Peak),
		})
	}
	return t
}

func (r report) fleetUnitTable() table {
	t := table{
		title: fmt.Sprintf("Of which the last %d units, beside a plain decode and encode of the list", lastUnits),
		head:  []string{"units", "CPU a unit, mean", "of the last", "calls", "most moved by a hook", "list", "on the wire", "decode", "encode"},
	}
	for _, f := range r.Fleet {
		t.rows = append(t.rows, []string{
			grouped(int64(f.Units)), formatSeconds(divide(f.CPU, float64(f.Units))), formatSeconds(f.LastCPU.Median), strconv.Itoa(f.LastCalls), formatBytes(f.LastMoved),
			formatBytes(f.List), formatBytes(f.Wire), formatSeconds(f.Decode.Median), formatSeconds(f.Encode.Median),
		})
	}
	return t
}

// rate is how often something that takes a time can be done in a second.
func rate(count int, seconds float64) string { return digits(divide(float64(count), seconds)) }

func (r report) signingTable() table {
	t := table{
		title: "Certificates per second of CPU",
		head:  []string{"CA key", "bare signature", "internal/pki", "hook, one CSR", "hook, many", "hooks", "of CSRs", "wall", "sign+parse+verify", "CSR too"},
		notes: []string{"The last two are plain programs with crypto/x509 that answer the same CSRs. Wall is that of the hooks with many CSRs."},
	}
	for _, s := range r.Signing {
		t.rows = append(t.rows, []string{
			s.CAKey, rate(1, s.Bare.Median), rate(1, s.Issue.Median), rate(1, s.OneHook.Median), rate(s.Batch, s.BatchHook.Median), strconv.Itoa(s.BatchHooks),
			grouped(int64(s.Batch)), formatSeconds(s.BatchWall.Median), rate(s.Batch, s.Plain.Median), rate(s.Batch, s.PlainWhole.Median),
		})
	}
	return t
}

func (r report) transportTable() table {
	t := table{title: "One hook-tool call, wall", head: []string{"call", "median", "least", "n"}}
	for _, c := range r.Transport {
		t.rows = append(t.rows, []string{c.Name, formatSeconds(c.Wall.Median), formatSeconds(c.Wall.Least), strconv.Itoa(c.Wall.Runs)})
	}
	return t
}

func (r report) peerTable() table {
	t := table{
		title: "A key and a server certificate",
		head:  []string{"peer", "version", "key", "CPU", "our hook", "ratio", "n"},
		notes: []string{"Peers are run as commands and touch no model. Our hook also reads from and writes to one."},
	}
	for _, p := range r.Peers {
		if p.Missing != "" {
			t.notes = append(t.notes, fmt.Sprintf("NOT MEASURED: %s, %s: %s", p.Name, p.Key, p.Missing))
		}
		t.rows = append(t.rows, []string{
			p.Name, p.Version, p.Key, formatSeconds(p.CPU.Median), formatSeconds(p.Ours.Median), formatRatio(divide(p.CPU.Median, p.Ours.Median)), strconv.Itoa(p.CPU.Runs),
		})
	}
	return t
}

func (r report) formulaTable() table {
	t := table{
		title: "What N certificates take: base + N × each, from the two smallest sizes",
		head:  []string{"size", "base", "each", "N", "predicted", "measured", "measured ÷ predicted"},
		notes: []string{"An answer wakes every unit of the requirer; each that reads it is sent the whole application bag, so U units get U × that size."},
	}
	if e := r.Entry; e.total() > 0 {
		t.notes = append(t.notes, fmt.Sprintf("An answer in the application bag has %s B: CSR %s, certificate %s, CA %s, chain of the two %s, JSON around them %d.",
			digits(float64(e.total())), digits(float64(e.CSR)), digits(float64(e.Certificate)), digits(float64(e.CA)), digits(float64(e.Chain)), e.Rest))
	}
	for _, p := range r.Formula {
		name := p.Dialect + ": " + p.What
		issued := requestCost{Relations: p.Relations, Issued: p.Issued}.issued()
		t.rows = append(t.rows, []string{
			name, digits(p.Base) + " B", digits(p.Each) + " B", issued,
			formatBytes(int64(p.Predicted)), formatBytes(int64(p.Measured)), formatRatio(divide(p.Measured, p.Predicted)),
		})
	}
	return t
}

func (r report) ratioTable() table {
	t := table{title: "Ratios", head: []string{"ratio", "value", "target"}}
	for _, one := range r.Ratios {
		t.rows = append(t.rows, []string{one.Name, formatRatio(one.Value), one.target()})
	}
	return t
}
