// SPDX-License-Identifier: GPL-3.0-only

package observe

// Keys of a provider of prometheus_scrape.
const (
	keyJobs        = "scrape_jobs"
	keyMetadata    = "scrape_metadata"
	keyRules       = "alert_rules"
	keyUnitAddress = "prometheus_scrape_unit_address"
	keyUnitName    = "prometheus_scrape_unit_name"
)

// EncodeScrapeApplication is our application's databag for a Prometheus: what
// to scrape, under which labels, and the alert rules. The asterisk of the job
// stands for each unit, by the address in its own databag. The unit is left
// out of the labels here: it would be the leader, and change with it.
func EncodeScrapeApplication(t Topology, port int) Bag {
	return Bag{
		keyJobs: encodeJSON(newJob("status", "*", port)),
		keyMetadata: encodeJSON(struct {
			Model       string `json:"model"`
			ModelUUID   string `json:"model_uuid"`
			Application string `json:"application"`
			Charm       string `json:"charm_name"`
		}{t.Model, t.ModelUUID, t.Application, charmName}),
		keyRules: t.alertRules(),
	}
}

// EncodeScrapeUnit is a unit's databag for a Prometheus: where it is reached.
// An address of IPv6 stands in brackets, because a port is appended to it.
func EncodeScrapeUnit(unit, address string) Bag {
	return Bag{keyUnitAddress: host(address), keyUnitName: unit}
}

// IsScrapeApplicationKey tells whether EncodeScrapeApplication writes key.
func IsScrapeApplicationKey(key string) bool {
	return key == keyJobs || key == keyMetadata || key == keyRules
}

// IsScrapeUnitKey tells whether EncodeScrapeUnit writes key.
func IsScrapeUnitKey(key string) bool { return key == keyUnitAddress || key == keyUnitName }
