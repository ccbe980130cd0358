// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"fmt"
	"maps"
	"slices"
)

// Keys of a legacy requirer (interface-tls-certificates, requires.py); also ListKey.
const (
	keyUnitName        = "unit_name"
	keyCommonName      = "common_name"
	keySANs            = "sans"
	keyCertificateName = "certificate_name"
)

// Kind is what a legacy certificate is for.
type Kind string

// Application is one certificate for all units of the requirer, Intermediate a CA.
const (
	Server       Kind = "server"
	Client       Kind = "client"
	Application  Kind = "application"
	Intermediate Kind = "intermediate"
)

// ListKey returns the key of the databag with the requests of a kind.
func (k Kind) ListKey() string {
	if k == Server {
		return "cert_requests"
	}
	return string(k) + "_cert_requests"
}

// LegacyRequests is what one unit asks for in the legacy dialect.
type LegacyRequests struct {
	// UnitName is the claim as written, "" when there is none: see ResolveUnitNames.
	UnitName string
	// Requests are in the order top-level, server, client, application,
	// intermediate, and of one kind by common name.
	Requests []LegacyRequest
}

// LegacyRequest asks for a key and certificate. Kind and CommonName identify it
// within its unit.
type LegacyRequest struct {
	Kind Kind
	// CommonName is never empty. It is text to be echoed byte for byte, not
	// necessarily a name that may go into a certificate.
	CommonName string
	// Names are in the order of the databag, without duplicates, not checked.
	Names []string
	// TopLevel requests are answered in UnitAnswers.TopLevel and Listed ones in
	// the map of their kind. A server request may be both, with the names of both
	// places: two requests of one name would take turns in replacing each other.
	TopLevel, Listed bool
}

// legacyRequests returns nil when the bag shows no sign of the legacy dialect.
func (r *bagReader) legacyRequests() *LegacyRequests {
	speaks := r.has(keyUnitName) || r.has(keyCommonName) || r.has(keySANs) || r.has(keyCertificateName)
	unitName := r.unitName()
	requests := r.topLevelRequest()
	for _, kind := range [...]Kind{Server, Client, Application, Intermediate} {
		listed, isSign := r.listedRequests(kind)
		requests = append(requests, listed...)
		speaks = speaks || isSign
	}
	if !speaks {
		return nil
	}
	return &LegacyRequests{UnitName: unitName, Requests: mergeTopLevel(requests)}
}

// unitName reads the name that the unit claims. One that no unit can have is not
// kept: the claims of all units are.
func (r *bagReader) unitName() string {
	name := r.value(keyUnitName)
	if len(name) > maxNameSize {
		r.report(keyUnitName, fmt.Sprintf("is longer than %d bytes", maxNameSize))
		return ""
	}
	return name
}

// topLevelRequest reads the request that is spread over two keys, if there is one.
func (r *bagReader) topLevelRequest() []LegacyRequest {
	commonName, sans := r.value(keyCommonName), r.value(keySANs)
	if commonName == "" || !r.checkCommonName(keyCommonName, commonName) {
		return nil
	}
	r.left--
	list := parseTopLevelNames(sans)
	if list.problem != "" {
		r.report(keySANs, list.problem)
	}
	return []LegacyRequest{{Kind: Server, CommonName: commonName, Names: list.names, TopLevel: true}}
}

// listedRequests reads the requests of one kind. The second result tells whether
// their key is a sign of the legacy dialect.
//
// An array of requests is the first draft of the Canonical library (2022), which
// asks in the server and client keys and reads its answers elsewhere. It is not
// served, and so an array in these keys is no sign of the legacy dialect: it must
// not bring out the global client key.
func (r *bagReader) listedRequests(kind Kind) (requests []LegacyRequest, isSign bool) {
	key := kind.ListKey()
	text, document := r.document(key)
	switch document {
	case '{':
		requests = r.objectRequests(key, kind, text)
	case '[':
		r.report(key, "an array of requests is not served: an object by common name is wanted")
	case 'n', 0:
	default:
		r.reportIncomplete(key, "is not a JSON object")
	}
	switch kind {
	case Server:
		return requests, r.has(key) && (document == '{' || document == 0)
	case Client:
		return requests, r.has(key) && document != '['
	}
	return requests, r.has(key)
}

// objectRequests reads {common name: {"sans": names}}. Of two members with the same
// common name the last one counts.
func (r *bagReader) objectRequests(key string, kind Kind, object string) []LegacyRequest {
	entries := map[string]string{}
	r.eachRequest(key, object, func(commonName, entry string) { entries[commonName] = entry })
	var requests []LegacyRequest
	for _, commonName := range slices.Sorted(maps.Keys(entries)) {
		if !r.checkCommonName(key, commonName) {
			continue
		}
		if documentKind(entries[commonName]) != '{' {
			r.report(key, quote(commonName)+": is not a JSON object")
			continue
		}
		list := parseNames(member(entries[commonName], keySANs))
		if list.problem != "" {
			r.report(key, quote(commonName)+": "+list.problem)
		}
		requests = append(requests, LegacyRequest{Kind: kind, CommonName: commonName, Names: list.names, Listed: true})
	}
	return requests
}

// checkCommonName reports a common name that cannot be echoed. Control characters
// can, in JSON: they are for others to judge.
func (r *bagReader) checkCommonName(key, commonName string) bool {
	switch {
	case commonName == "":
		r.report(key, "a common name is empty")
	case len(commonName) > maxNameSize:
		r.report(key, fmt.Sprintf("%s: common name is longer than %d bytes", quote(commonName), maxNameSize))
	case !isText(commonName):
		r.report(key, quote(commonName)+": common name is not UTF-8 text")
	default:
		return true
	}
	return false
}

// mergeTopLevel makes one request of the top-level request, which comes first if
// there is one, and the listed server request of the same common name.
func mergeTopLevel(requests []LegacyRequest) []LegacyRequest {
	twin := slices.IndexFunc(requests, func(other LegacyRequest) bool {
		return other.Listed && other.Kind == Server && other.CommonName == requests[0].CommonName
	})
	if twin < 1 {
		return requests
	}
	var list nameList
	for _, name := range slices.Concat(requests[0].Names, requests[twin].Names) {
		list.add(name)
	}
	requests[0].Names, requests[0].Listed = list.names, true
	return slices.Delete(requests, twin, twin+1)
}
