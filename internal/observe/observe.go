// SPDX-License-Identifier: GPL-3.0-only

// Package observe is what the Canonical Observability Stack reads of us: the
// databags of the interfaces prometheus_scrape, cos_agent and
// grafana_dashboard, with alert rules and a dashboard, and what we read of it
// over loki_push_api. The formats are those of the charm libraries
// prometheus_scrape v0, cos_agent v0, grafana_dashboard v0 and loki_push_api
// v1.
//
// It turns values into text and text into values. It neither measures nor
// scrapes: the metrics are those of package responder, and a test holds rules
// and dashboard against them.
package observe

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
)

// charmName is the name of the charm in metadata.yaml. The stack tells by it
// which charm a rule or a dashboard is from.
const charmName = "tls-authority"

// metricsPath is where the daemon serves its metrics.
const metricsPath = "/metrics"

// Bag is a databag, or the keys of it that an interface owns.
type Bag = map[string]string

// Topology is where Juju has the application. Its texts are names and a UUID
// that Juju has checked: letters, digits and hyphens, which need no quoting in
// PromQL or JSON.
type Topology struct {
	Model, ModelUUID, Application string
}

// shortUUID is how many digits of the model's UUID stand in a name that people
// read (cosl, JujuTopology.identifier).
const shortUUID = 8

// identifier names the application in names of groups, whose characters are
// those of a metric's name (cosl, Rules._sanitize_metric_name).
func (t Topology) identifier() string {
	uuid := t.ModelUUID[:min(len(t.ModelUUID), shortUUID)]
	return strings.ReplaceAll(t.Model+"_"+uuid+"_"+t.Application, "-", "_")
}

// host is an address as it stands in front of a port.
func host(address string) string {
	if parsed, err := netip.ParseAddr(address); err == nil && parsed.Is6() {
		return "[" + address + "]"
	}
	return address
}

// job is an entry of scrape_configs in the configuration of Prometheus.
type job struct {
	Name    string   `json:"job_name"`
	Path    string   `json:"metrics_path"`
	Targets []target `json:"static_configs"`
}

type target struct {
	Targets []string `json:"targets"`
}

// newJob scrapes the metrics of the status service at a host and a port.
func newJob(name, host string, port int) []job {
	return []job{{Name: name, Path: metricsPath, Targets: []target{{Targets: []string{host + ":" + strconv.Itoa(port)}}}}}
}

// encodeJSON writes '<' as itself: PromQL has many.
func encodeJSON(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // texts, numbers, and JSON that is embedded
	}
	return strings.TrimSpace(text.String())
}
