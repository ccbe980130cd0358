// SPDX-License-Identifier: GPL-3.0-only

package observe

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
)

// packed is dashboard.json, compressed as xz and in base64: the libraries read
// nothing else. It is generated, since to compress it takes longer than all
// the rest of a hook.
//
//go:embed dashboard.xz.base64
var packed string

// dashboard is packed, without the end of its line.
func dashboard() string { return strings.TrimSpace(packed) }

const (
	keyDashboards = "dashboards"
	// dashboardID is how the libraries name a dashboard of a file.
	dashboardID = "file:tls-authority"
	// dashboardUID is what they make of the charm's name and that identifier:
	// 8 octets of SHAKE256. It counts for a dashboard without one of its own.
	dashboardUID = "bb016fccfd9ab1c9"
)

// EncodeDashboards is our application's databag for a Grafana. The topology is
// there for its keys: for each the library holds the queries of the dashboard
// to a variable of that name. The UUID tells one content from another.
func EncodeDashboards(t Topology) Bag {
	sum := sha256.Sum256([]byte(dashboard()))
	digits := hex.EncodeToString(sum[:16])
	return Bag{keyDashboards: encodeJSON(dashboards{
		Templates: map[string]template{dashboardID: {
			Charm: charmName, Content: dashboard(), AltUID: dashboardUID, Dropdowns: true,
			Topology: map[string]string{"model": t.Model, "model_uuid": t.ModelUUID, "application": t.Application},
		}},
		UUID: digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:],
	})}
}

type dashboards struct {
	Templates map[string]template `json:"templates"`
	UUID      string              `json:"uuid"`
}

type template struct {
	Charm     string            `json:"charm"`
	Content   string            `json:"content"`
	Topology  map[string]string `json:"juju_topology"`
	Dropdowns bool              `json:"inject_dropdowns"`
	AltUID    string            `json:"dashboard_alt_uid"`
}

// IsDashboardsKey tells whether EncodeDashboards writes key.
func IsDashboardsKey(key string) bool { return key == keyDashboards }
