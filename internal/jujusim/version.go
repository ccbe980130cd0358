// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"regexp"
	"strconv"
)

// version is the Juju version that a model behaves as. Each method below
// names one difference between versions, so that the rest of the package
// never compares numbers.
type version struct {
	text                string
	major, minor, patch int
}

var versionRule = regexp.MustCompile(`^([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?:-[a-z]+[0-9]+(?:\.[0-9]+)?)?$`)

func parseVersion(text string) (version, error) {
	found := versionRule.FindStringSubmatch(text)
	if found == nil {
		return version{}, fmt.Errorf("cannot parse Juju version %q", text)
	}
	v := version{text: text}
	v.major, _ = strconv.Atoi(found[1])
	v.minor, _ = strconv.Atoi(found[2])
	v.patch, _ = strconv.Atoi(found[3]) // absent: 0
	if v.major < 3 || v.major > 4 {
		return version{}, fmt.Errorf("cannot behave as Juju %s: only 3 and 4 are simulated", text)
	}
	return v, nil
}

func (v version) atLeast(major, minor, patch int) bool {
	if v.major != major {
		return v.major > major
	}
	if v.minor != minor {
		return v.minor > minor
	}
	return v.patch >= patch
}

// commitsAtOnce: secrets, databags, ports and state are one transaction.
func (v version) commitsAtOnce() bool { return v.major >= 4 }

// hasLeaderSettings: leader-get, leader-set and leader-settings-changed.
func (v version) hasLeaderSettings() bool { return v.major < 4 }

// writesPrivateAddress: a joining unit's bag holds private-address.
func (v version) writesPrivateAddress() bool { return v.major < 4 }

// hasSLA: JUJU_SLA is in the environment.
func (v version) hasSLA() bool { return v.major < 4 }

// hasMeterStatus: JUJU_METER_STATUS and add-metric.
func (v version) hasMeterStatus() bool { return !v.atLeast(3, 6, 10) }

// hasTraceSettings: the JUJU_CHARM_TRACE_CONFIG variables.
func (v version) hasTraceSettings() bool { return v.atLeast(4, 1, 0) }

// hasPodSpecs: the payload and Kubernetes specification tools.
func (v version) hasPodSpecs() bool { return v.major < 4 }

func (v version) hasRelationModelGet() bool { return v.atLeast(3, 6, 2) }

// peersLast: hooks of peer relations come after those of other relations.
func (v version) peersLast() bool { return v.atLeast(3, 6, 0) }

// ownBagIsOpen: a non-leader reads its own application's bag on a relation
// that is not a peer relation. Seen on 4.1, refused before.
func (v version) ownBagIsOpen() bool { return v.major >= 4 }

// printsLongSecretIDs: secret-add prints the model's identity too.
func (v version) printsLongSecretIDs() bool { return v.atLeast(3, 6, 0) }

// limitsSecretsEncoded: the size of secrets is limited as base64, at a
// million bytes, not at 8 KiB a value.
func (v version) limitsSecretsEncoded() bool { return v.atLeast(3, 6, 9) }

// comparesSecrets: secret-set with the content of the latest revision changes
// nothing, and two secret-set calls in one hook are merged.
func (v version) comparesSecrets() bool { return v.atLeast(3, 6, 0) }

// rotatesAgain: secret-set --rotate works on a secret that rotates already.
func (v version) rotatesAgain() bool { return v.atLeast(3, 6, 12) }

// forgivesMissingSecrets: removing what is gone is no error at commit.
func (v version) forgivesMissingSecrets() bool { return v.atLeast(3, 6, 0) }

// losesEarlyGrants: a secret-grant in the hook that adds the secret is
// dropped without a word. Seen on 4.1-beta2.
func (v version) losesEarlyGrants() bool { return v.major >= 4 }

// closesActionSchemas: additionalProperties of an action defaults to false.
func (v version) closesActionSchemas() bool { return v.major >= 4 }

// periodsInActionKeys: the error text for a bad action-set key allows periods.
func (v version) periodsInActionKeys() bool { return !v.atLeast(3, 6, 0) }
