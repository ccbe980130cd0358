// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// typeMetrics is the text format of Prometheus, version 0.0.4. It is written
// here and not by its library, which costs every hook milliseconds to start:
// hooks and daemon are one program.
const typeMetrics = "text/plain; version=0.0.4; charset=utf-8"

// counts are what the daemon has done since it started. The zero value counts
// from zero.
type counts struct {
	mutex    sync.Mutex
	requests map[requestKey]int
	answers  map[string]int
}

type requestKey struct {
	endpoint string
	code     int
}

func (c *counts) addRequest(endpoint string, code int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.requests == nil {
		c.requests = map[requestKey]int{}
	}
	c.requests[requestKey{endpoint, code}]++
}

// addAnswer counts an OCSP answer by its state or failure.
func (c *counts) addAnswer(result string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.answers == nil {
		c.answers = map[string]int{}
	}
	c.answers[result]++
}

// sample is one line: a value and its labels, in pairs of name and value.
type sample struct {
	value  float64
	labels []string
}

func one(value float64, labels ...string) sample { return sample{value, labels} }

// at is a sample of a time, in the seconds that Prometheus counts in.
func at(t time.Time, labels ...string) sample { return one(float64(t.Unix()), labels...) }

// exposition is a text of metrics. A family without samples is left out.
type exposition struct{ bytes.Buffer }

func (e *exposition) write(name, kind, help string, samples ...sample) {
	if len(samples) == 0 {
		return
	}
	name = "tls_authority_" + name
	e.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	for _, s := range samples {
		e.WriteString(name)
		var labels []string
		for pair := range slices.Chunk(s.labels, 2) {
			labels = append(labels, pair[0]+`="`+escape.Replace(strings.ToValidUTF8(pair[1], "\uFFFD"))+`"`)
		}
		if len(labels) > 0 {
			e.WriteString("{" + strings.Join(labels, ",") + "}")
		}
		e.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
}

// serveMetrics tells what is known even when it is stale: the times in it
// show that, and an alert needs them.
func (s *Server) serveMetrics(w http.ResponseWriter) {
	e := &exposition{}
	healthy := 0.0
	if len(s.faults()) == 0 {
		healthy = 1
	}
	e.write("healthy", "gauge", "Whether the status service has no fault.", one(healthy))
	s.counts.write(e)
	if snapshot := s.view.Load().snapshot; snapshot != nil {
		snapshot.writeMetrics(e)
		writeHooks(e, snapshot.status.Metrics)
	}
	w.Header().Set("Content-Type", typeMetrics)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(e.Bytes()) // the client is gone, or it is not
}

func (c *counts) write(e *exposition) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var requests, answers []sample
	for _, key := range slices.SortedFunc(maps.Keys(c.requests), func(a, b requestKey) int {
		return cmp.Or(cmp.Compare(a.endpoint, b.endpoint), cmp.Compare(a.code, b.code))
	}) {
		requests = append(requests, one(float64(c.requests[key]), "endpoint", key.endpoint, "code", strconv.Itoa(key.code)))
	}
	for _, result := range slices.Sorted(maps.Keys(c.answers)) {
		answers = append(answers, one(float64(c.answers[result]), "result", result))
	}
	e.write("http_requests_total", "counter", "Requests to the status service, by address and code of the answer.", requests...)
	e.write("ocsp_answers_total", "counter", "OCSP answers, by what they say.", answers...)
}

func (s *snapshot) writeMetrics(e *exposition) {
	var authorities, begins, responders, lists, ends, revoked []sample
	for _, g := range s.generations {
		id := strconv.Itoa(g.id)
		active := strconv.FormatBool(g.active)
		authorities = append(authorities, at(g.certificate.NotAfter, "generation", id, "active", active))
		begins = append(begins, at(g.certificate.NotBefore, "generation", id, "active", active))
		if g.responder != nil {
			responders = append(responders, at(pki.ValidityOf(g.responder.Certificate()).NotAfter, "generation", id))
		}
		if g.list != nil {
			lists = append(lists, at(g.list.ThisUpdate, "generation", id))
			ends = append(ends, at(g.list.NextUpdate, "generation", id))
			revoked = append(revoked, one(float64(len(g.list.Entries)), "generation", id))
		}
	}
	e.write("status_update_timestamp_seconds", "gauge", "When a hook last wrote what the status service tells.", at(s.status.ThisUpdate))
	e.write("status_next_update_timestamp_seconds", "gauge", "When the status service stops answering unless a hook writes again.", at(s.status.NextUpdate))
	e.write("ca_not_after_timestamp_seconds", "gauge", "When the certificate of a CA expires.", authorities...)
	e.write("ca_not_before_timestamp_seconds", "gauge", "When the certificate of a CA became valid.", begins...)
	e.write("responder_not_after_timestamp_seconds", "gauge", "When the certificate of the unit's OCSP responder expires.", responders...)
	e.write("crl_update_timestamp_seconds", "gauge", "When the revocation list was made.", lists...)
	e.write("crl_next_update_timestamp_seconds", "gauge", "Until when the revocation list is good.", ends...)
	e.write("crl_entries", "gauge", "Certificates on the revocation list.", revoked...)
}

func writeHooks(e *exposition, m spool.Metrics) {
	var leaves, ends, renewals, denied, stages, since, due, backups []sample
	for _, l := range m.Leaves {
		leaves = append(leaves, one(float64(l.Count), "application", l.Application, "unit", l.Unit))
		if !l.NotAfter.IsZero() {
			ends = append(ends, at(l.NotAfter, "application", l.Application, "unit", l.Unit))
		}
		if !l.Renewal.IsZero() {
			renewals = append(renewals, at(l.Renewal, "application", l.Application, "unit", l.Unit))
		}
	}
	for _, code := range slices.Sorted(maps.Keys(m.Denied)) {
		denied = append(denied, one(float64(m.Denied[code]), "code", strconv.Itoa(code)))
	}
	if m.Stage != "" {
		stages = append(stages, one(1, "stage", m.Stage))
		if !m.StageSince.IsZero() {
			since = append(since, at(m.StageSince, "stage", m.Stage))
		}
		if !m.StageDue.IsZero() {
			due = append(due, at(m.StageDue, "stage", m.Stage))
		}
	}
	if !m.Backup.IsZero() {
		backups = append(backups, at(m.Backup))
	}
	e.write("certificates", "gauge", "Certificates that are published, by who asked for them.", leaves...)
	e.write("certificate_not_after_timestamp_seconds", "gauge", "When the first certificate of a requirer expires.", ends...)
	e.write("certificate_renewal_timestamp_seconds", "gauge", "When the first certificate of a requirer is due to be replaced.", renewals...)
	e.write("certificates_expired", "gauge", "Certificates that are published and have expired.", one(float64(m.Expired)))
	e.write("relations_waiting", "gauge", "Relations in which requests wait for an answer.", one(float64(m.Pending)))
	e.write("requests_denied", "gauge", "Requests that were refused, by the code of the refusal.", denied...)
	e.write("rotation_stage", "gauge", "The stage of the rotation of the CA, outside one nothing.", stages...)
	e.write("rotation_stage_timestamp_seconds", "gauge", "When the stage of the rotation was entered.", since...)
	e.write("rotation_stage_due_timestamp_seconds", "gauge", "When the hold of the stage ends; nothing while the stage is not complete.", due...)
	e.write("hook_duration_seconds", "gauge", "How long the last hook took.", one(m.Hook.Duration.Seconds()))
	e.write("hook_tool_calls", "gauge", "How many hook tools the last hook called.", one(float64(m.Hook.Calls)))
	e.write("backup_timestamp_seconds", "gauge", "When the last backup was made.", backups...)
}
