// SPDX-License-Identifier: GPL-3.0-only

package observe

import "encoding/json"

// keyConfig is the one key of a provider of cos_agent. The agent is a
// subordinate: it sees one unit of ours, and so everything is in the databag
// of each.
const keyConfig = "config"

// EncodeAgent is a unit's databag for an agent on its machine, which scrapes
// the service where it listens. The keys that are null have no default in old
// versions of the library, which refuse a databag without them.
func EncodeAgent(t Topology, address string, port int) Bag {
	return Bag{keyConfig: encodeJSON(struct {
		Rules       json.RawMessage `json:"metrics_alert_rules"`
		LogRules    struct{}        `json:"log_alert_rules"`
		Dashboards  []string        `json:"dashboards"`
		Subordinate *bool           `json:"subordinate"`
		Jobs        []job           `json:"metrics_scrape_jobs"`
		LogSlots    []string        `json:"log_slots"`
		Tracing     []string        `json:"tracing_protocols"`
	}{
		Rules:      json.RawMessage(t.alertRules()),
		Dashboards: []string{dashboard()},
		// Jobs of several applications meet in one agent.
		Jobs:     newJob(t.Application+"_status", host(address), port),
		LogSlots: []string{},
	})}
}

// IsAgentKey tells whether EncodeAgent writes key.
func IsAgentKey(key string) bool { return key == keyConfig }
