// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// namespace begins the name of every metric.
const namespace = "tls_authority"

// counts are what the daemon has done since it started.
type counts struct{ requests, answers *prometheus.CounterVec }

func newCounts() counts {
	return counts{
		prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_requests_total", Help: "Requests to the status service, by address and code of the answer.",
		}, []string{"endpoint", "code"}),
		prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "ocsp_answers_total", Help: "OCSP answers, by what they say.",
		}, []string{"result"}),
	}
}

func (c counts) addRequest(endpoint string, code int) {
	c.requests.WithLabelValues(endpoint, strconv.Itoa(code)).Inc()
}

// addAnswer counts an OCSP answer by its state or failure.
func (c counts) addAnswer(result string) { c.answers.WithLabelValues(result).Inc() }

// newMetrics serves the counts and what the server knows when it is asked. Of
// the process and of Go it tells nothing: who runs it measures that.
func newMetrics(s *Server) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.counts.requests, s.counts.answers, collector{s})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError, // an odd status spoils a metric, and not all
	})
}

// collector tells what is known even when it is stale: the times in it show
// that, and an alert needs them.
type collector struct{ server *Server }

// Describe names nothing in advance: what there is depends on the status.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect makes the metrics of one moment.
func (c collector) Collect(out chan<- prometheus.Metric) {
	m := moment{out}
	healthy := m.gauge("healthy", "Whether the status service has no fault.")
	if len(c.server.faults()) == 0 {
		healthy(1)
	} else {
		healthy(0)
	}
	if snapshot := c.server.view.Load().snapshot; snapshot != nil {
		m.tellSnapshot(snapshot)
		m.tellRequirers(snapshot.status.Metrics)
		m.tellHooks(snapshot.status.Metrics)
	}
}

// moment takes the metrics of one request.
type moment struct{ out chan<- prometheus.Metric }

// gauge begins a metric; what it returns tells a value for values of the
// labels. Of a metric without a value nothing shows.
func (m moment) gauge(name, help string, labels ...string) func(value float64, values ...string) {
	desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	return func(value float64, values ...string) {
		for i := range values {
			values[i] = strings.ToValidUTF8(values[i], "\uFFFD")
		}
		m.out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
	}
}

// seconds is a time as Prometheus counts it.
func seconds(t time.Time) float64 { return float64(t.Unix()) }

func (m moment) tellSnapshot(s *snapshot) {
	m.gauge("status_update_timestamp_seconds", "When a hook last wrote what the status service tells.")(seconds(s.status.ThisUpdate))
	m.gauge("status_next_update_timestamp_seconds", "When the status service stops answering unless a hook writes again.")(seconds(s.status.NextUpdate))
	ends := m.gauge("ca_not_after_timestamp_seconds", "When the certificate of a CA expires.", "generation", "active")
	begins := m.gauge("ca_not_before_timestamp_seconds", "When the certificate of a CA became valid.", "generation", "active")
	responders := m.gauge("responder_not_after_timestamp_seconds", "When the certificate of the unit's OCSP responder expires.", "generation")
	made := m.gauge("crl_update_timestamp_seconds", "When the revocation list was made.", "generation")
	until := m.gauge("crl_next_update_timestamp_seconds", "Until when the revocation list is good.", "generation")
	entries := m.gauge("crl_entries", "Certificates on the revocation list.", "generation")
	for _, g := range s.generations {
		id, active := strconv.Itoa(g.id), strconv.FormatBool(g.active)
		ends(seconds(g.certificate.NotAfter), id, active)
		begins(seconds(g.certificate.NotBefore), id, active)
		if g.responder != nil {
			responders(seconds(pki.ValidityOf(g.responder.Certificate()).NotAfter), id)
		}
		if g.list != nil {
			made(seconds(g.list.ThisUpdate), id)
			until(seconds(g.list.NextUpdate), id)
			entries(float64(len(g.list.Entries)), id)
		}
	}
}

func (m moment) tellRequirers(s spool.Metrics) {
	counts := m.gauge("certificates", "Certificates that are published, by who asked for them.", "application", "unit")
	ends := m.gauge("certificate_not_after_timestamp_seconds", "When the first certificate of a requirer expires.", "application", "unit")
	renewals := m.gauge("certificate_renewal_timestamp_seconds", "When the first certificate of a requirer is due to be replaced.", "application", "unit")
	for _, l := range s.Leaves {
		counts(float64(l.Count), l.Application, l.Unit)
		if !l.NotAfter.IsZero() {
			ends(seconds(l.NotAfter), l.Application, l.Unit)
		}
		if !l.Renewal.IsZero() {
			renewals(seconds(l.Renewal), l.Application, l.Unit)
		}
	}
	m.gauge("certificates_expired", "Certificates that are published and have expired.")(float64(s.Expired))
	m.gauge("relations_waiting", "Relations in which requests wait for an answer.")(float64(s.Pending))
	denied := m.gauge("requests_denied", "Requests that were refused, by the code of the refusal.", "code")
	for code, n := range s.Denied {
		denied(float64(n), strconv.Itoa(code))
	}
}

func (m moment) tellHooks(s spool.Metrics) {
	if s.Stage != "" {
		m.gauge("rotation_stage", "The stage of the rotation of the CA, outside one nothing.", "stage")(1, s.Stage)
	}
	if s.Stage != "" && !s.StageSince.IsZero() {
		m.gauge("rotation_stage_timestamp_seconds", "When the stage of the rotation was entered.", "stage")(seconds(s.StageSince), s.Stage)
	}
	if s.Stage != "" && !s.StageDue.IsZero() {
		m.gauge("rotation_stage_due_timestamp_seconds", "When the hold of the stage ends; nothing while the stage is not complete.", "stage")(seconds(s.StageDue), s.Stage)
	}
	m.gauge("hook_duration_seconds", "How long the last hook took.")(s.Hook.Duration.Seconds())
	m.gauge("hook_tool_calls", "How many hook tools the last hook called.")(float64(s.Hook.Calls))
	if !s.Backup.IsZero() {
		m.gauge("backup_timestamp_seconds", "When the last backup was made.")(seconds(s.Backup))
	}
}
