// SPDX-License-Identifier: GPL-3.0-only

package bench

import "fmt"

// ratio is one figure over another of the same run, and what it is to be. A
// target that is missed is shown and fails nothing: machines differ.
type ratio struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	AtMost float64 `json:"at-most,omitempty"`
	// AtLeast is the other kind of target; a ratio has one or none.
	AtLeast float64 `json:"at-least,omitempty"`
}

// target is what the table says of it.
func (r ratio) target() string {
	verdict := ", missed"
	switch {
	case r.AtMost > 0:
		if r.Value <= r.AtMost {
			verdict = ", met"
		}
		return "at most " + formatRatio(r.AtMost) + verdict
	case r.AtLeast > 0:
		if r.Value >= r.AtLeast {
			verdict = ", met"
		}
		return "at least " + formatRatio(r.AtLeast) + verdict
	}
	return "-"
}

// Memory that a hook may use, with everything in one relation and in the model
// that is wide.
const (
	memoryOfRelation = 128 << 20
	memoryOfModel    = 512 << 20
)

// newRatios sets what belongs together side by side. What was not measured is
// left out.
func newRatios(r report) []ratio {
	all := startUpRatios(r.StartUp)
	for _, s := range r.Signing {
		all = append(all, s.ratios()...)
	}
	all = append(all, fleetRatios(r.Fleet)...)
	all = append(all, requestRatios(r)...)
	all = append(all, transportRatios(r.Transport)...)
	return append(all, peerRatios(r.Peers)...)
}

func startUpRatios(rows []startUpCost) []ratio {
	times := map[string]float64{}
	for _, row := range rows {
		times[row.Name] = row.CPU.Median
	}
	if times[emptyRun] == 0 {
		return nil
	}
	return []ratio{
		{Name: noEventRun + " ÷ " + emptyRun, Value: times[noEventRun] / times[emptyRun]},
		{Name: idleRun + " ÷ " + emptyRun, Value: times[idleRun] / times[emptyRun]},
	}
}

func (s signingCost) ratios() []ratio {
	return []ratio{
		{Name: s.CAKey + ": one hook with one CSR ÷ one bare signature", Value: divide(s.OneHook.Median, s.Bare.Median)},
		{Name: s.CAKey + ": signatures/s, internal/pki ÷ bare crypto/x509", Value: divide(s.Bare.Median, s.Issue.Median)},
		{Name: fmt.Sprintf("%s: throughput, hook with %d CSRs ÷ sign, re-parse, verify", s.CAKey, s.Batch), Value: divide(s.Plain.Median, s.BatchHook.Median), AtLeast: 0.7},
		{Name: s.CAKey + ": the same ÷ a baseline that reads and verifies the CSR too", Value: divide(s.PlainWhole.Median, s.BatchHook.Median)},
	}
}

// fleetRatios compares the last units of the largest fleet with those of the
// smallest, allowing for the list that the interface makes the charm read and
// write.
func fleetRatios(rows []fleetCost) []ratio {
	if len(rows) < 2 {
		return nil
	}
	few, many := rows[0], rows[len(rows)-1]
	allowed := many.Beside.Median + 1.5*(many.Decode.Median+many.Encode.Median)
	return []ratio{
		{Name: fmt.Sprintf("CPU a unit at %d ÷ (at %d + 1.5 × decode and encode of the list)", many.Units, few.Units), Value: divide(many.LastCPU.Median, allowed), AtMost: 1},
		{Name: fmt.Sprintf("bytes a hook moves at %d ÷ one read and one write of the list", many.Units), Value: divide(float64(many.LastMoved), float64(2*many.Wire)), AtMost: 1},
		{Name: fmt.Sprintf("hook-tool calls of the last unit, %d units ÷ %d units", many.Units, few.Units), Value: divide(float64(many.LastCalls), float64(few.LastCalls)), AtMost: 1},
	}
}

func requestRatios(r report) []ratio {
	var all []ratio
	for _, row := range r.Requests {
		for _, f := range r.Fleet {
			if row.Dialect == "csr" && row.Relations == 1 && row.Issued == f.Units {
				all = append(all, ratio{Name: fmt.Sprintf("one CSR at %d issued ÷ one plain decode of the list", row.Issued), Value: divide(row.CPU.Median, f.Decode.Median)})
			}
		}
	}
	for _, row := range r.Requests {
		if row.Dialect != "csr" {
			continue
		}
		limit, where := memoryOfRelation, fmt.Sprintf("%d issued", row.Issued)
		if row.Relations > 1 {
			limit, where = memoryOfModel, fmt.Sprintf("%d × %d issued", row.Relations, row.Issued)
		}
		if row.Relations > 1 || row.Issued <= 1000 {
			all = append(all, ratio{Name: fmt.Sprintf("peak memory at %s ÷ %d MiB", where, limit>>20), Value: divide(float64(row.Peak), float64(limit)), AtMost: 1})
		}
	}
	return all
}

func transportRatios(rows []transportCost) []ratio {
	times := map[string]float64{}
	for _, row := range rows {
		times[row.Name] = row.Wall.Median
	}
	if times[byRPC] == 0 {
		return nil
	}
	return []ratio{
		{Name: byExec + " ÷ by RPC", Value: times[byExec] / times[byRPC], AtLeast: 20},
		{Name: noTool + " ÷ by RPC", Value: times[noTool] / times[byRPC], AtLeast: 20},
	}
}

func peerRatios(rows []peerCost) []ratio {
	targets := map[string]float64{"rsa-2048": 4, "ecdsa-p256": 25}
	var all []ratio
	for _, row := range rows {
		if row.Missing != "" {
			continue
		}
		one := ratio{Name: row.Name + " ÷ our legacy hook, " + row.Key, Value: divide(row.CPU.Median, row.Ours.Median)}
		if row.Name == easyrsaName {
			one.AtLeast = targets[row.Key]
		}
		all = append(all, one)
	}
	return all
}
