// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"maps"
	"strings"
)

// The keys of a legacy provider (interface-tls-certificates, provides.py). Those
// that begin with a full stop follow the munged name of the unit they answer.
const (
	keyCA                     = "ca"
	keyChain                  = "chain"
	keyClientCertificate      = "client.cert"
	keyClientKey              = "client.key"
	suffixServerCertificate   = ".server.cert"
	suffixServerKey           = ".server.key"
	suffixServerAnswers       = ".processed_requests"
	suffixClientAnswers       = ".processed_client_requests"
	suffixApplicationAnswers  = ".processed_application_requests"
	suffixIntermediateAnswers = ".processed_intermediate_requests"
	// applicationName stands where other answers have a common name.
	applicationName = "app_data"
)

// Pair is a certificate with its private key, as PEM text that ends in a newline.
// The tags are those of the processed_* keys.
type Pair struct {
	Certificate string `json:"cert"`
	Key         string `json:"key"`
}

// UnitAnswers is what one remote unit is answered.
type UnitAnswers struct {
	Name     string // from ResolveUnitNames
	TopLevel *Pair  // nil when the unit has no top-level request
	// Server, Client and Intermediate are by common name, byte for byte.
	Server, Client, Intermediate map[string]Pair
	// Application is the same pair for every unit of the relation that asks for it.
	Application *Pair
}

// LegacyAnswers is all that a provider unit publishes on one relation.
type LegacyAnswers struct {
	// CA is the certificates to trust; Chain the intermediate ones, the issuer of
	// the leaves first, or "". Both are PEM text that ends in a newline.
	CA, Chain string
	Client    Pair // the global client certificate; no requirer is ready without it
	Units     []UnitAnswers
}

// EncodeLegacyAnswers returns the complete set of keys of the legacy dialect, to be
// written together. CA and Client must be set: requirers crash on a chain without
// a client certificate, and on answers without a CA.
func EncodeLegacyAnswers(a LegacyAnswers) Bag {
	bag := Bag{
		keyCA:                a.CA,
		keyChain:             a.Chain,
		keyClientCertificate: a.Client.Certificate,
		keyClientKey:         a.Client.Key,
	}
	for _, unit := range a.Units {
		if unit.TopLevel != nil {
			bag[unit.Name+suffixServerCertificate] = unit.TopLevel.Certificate
			bag[unit.Name+suffixServerKey] = unit.TopLevel.Key
		}
		if unit.Application != nil {
			bag[unit.Name+suffixApplicationAnswers] = encodePairs(map[string]Pair{applicationName: *unit.Application})
		}
		bag[unit.Name+suffixServerAnswers] = encodePairs(unit.Server)
		bag[unit.Name+suffixClientAnswers] = encodePairs(unit.Client)
		bag[unit.Name+suffixIntermediateAnswers] = encodePairs(withApplicationName(unit.Intermediate))
	}
	maps.DeleteFunc(bag, func(_, value string) bool { return value == "" })
	return bag
}

// IsLegacyAnswerKey tells whether key of an own unit databag is one that
// EncodeLegacyAnswers may have written, for this or for an earlier remote unit.
func IsLegacyAnswerKey(key string) bool {
	for _, suffix := range [...]string{
		suffixServerCertificate, suffixServerKey, suffixServerAnswers,
		suffixClientAnswers, suffixApplicationAnswers, suffixIntermediateAnswers,
	} {
		unit, found := strings.CutSuffix(key, suffix)
		if found && unit != "" {
			return true
		}
	}
	return key == keyCA || key == keyChain || key == keyClientCertificate || key == keyClientKey
}

func encodePairs(pairs map[string]Pair) string {
	if len(pairs) == 0 {
		return ""
	}
	return encodeJSON(pairs)
}

// withApplicationName adds a copy of the only answer where the reactive library looks
// for intermediate certificates; the ops library looks under the common name.
func withApplicationName(pairs map[string]Pair) map[string]Pair {
	if len(pairs) != 1 {
		return pairs
	}
	both := maps.Clone(pairs)
	for _, pair := range pairs {
		both[applicationName] = pair
	}
	return both
}
