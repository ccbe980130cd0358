// SPDX-License-Identifier: GPL-3.0-only

package observe

import (
	_ "embed"
	"strings"
)

// rules are those of alerts.yaml as JSON, with placeholders where the topology
// comes in. They are generated, since no hook should have to read YAML.
//
//go:embed alerts.json
var rules string

// Placeholders in rules.
const (
	holdsModel       = "%%juju_model%%"
	holdsModelUUID   = "%%juju_model_uuid%%"
	holdsApplication = "%%juju_application%%"
	holdsIdentifier  = "%%juju_identifier%%"
)

// alertRules are the rules of this application. What the libraries do when a
// charm has rules in files is done here: each expression looks at this
// application alone, each alert has its labels, and the name of the group is
// unique in the stack.
func (t Topology) alertRules() string {
	return strings.NewReplacer(holdsModel, t.Model, holdsModelUUID, t.ModelUUID,
		holdsApplication, t.Application, holdsIdentifier, t.identifier()).Replace(strings.TrimSpace(rules))
}
