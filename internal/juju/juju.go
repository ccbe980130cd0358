// SPDX-License-Identifier: GPL-3.0-only

// Package juju is a charm's side of its talk with the Juju unit agent: the
// event that the agent puts into the environment (ParseEvent), and one method
// for each use of a hook tool (Client).
//
// Tools run over the agent's own socket or, where that does not answer, as the
// programs the agent puts on PATH; Connect chooses once for the process. The
// package keeps no policy, caches no answer and repeats no call. Nothing
// secret goes into an argument or an error: relation data travels on standard
// input, secret content in files, in memory where the system has /dev/shm,
// that live as long as the call.
//
// Events and tools are those of Juju 3.3 to 4.1: worker/uniter/runner, with
// context and jujuc below it, in Juju's source.
package juju

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// UnitName is Juju's name of a unit, for example "etcd/0".
type UnitName string

// Application returns the part before the slash.
func (u UnitName) Application() string {
	application, _, _ := strings.Cut(string(u), "/")
	return application
}

func parseUnitName(text string) (UnitName, error) {
	application, number, found := strings.Cut(text, "/")
	_, err := parseNumber(number)
	if !found || !isName(application) || err != nil {
		return "", fmt.Errorf("%.80q is not a unit name", text)
	}
	return UnitName(text), nil
}

// compareUnits orders by application and number. Of two numbers in canonical
// spelling the longer text is the greater.
func compareUnits(a, b UnitName) int {
	return cmp.Or(cmp.Compare(a.Application(), b.Application()), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// RelationID names one relation of one endpoint. Number alone identifies the
// relation in the model; Juju ignores the endpoint where it reads an id.
type RelationID struct {
	Endpoint string
	Number   int
}

// String returns the spelling of Juju, for example "certificates:3".
func (r RelationID) String() string {
	return r.Endpoint + ":" + strconv.Itoa(r.Number)
}

// ParseRelationID reads what String writes, and nothing else.
func ParseRelationID(text string) (RelationID, error) {
	endpoint, number, found := strings.Cut(text, ":")
	n, err := parseNumber(number)
	if !found || !isName(endpoint) || err != nil {
		return RelationID{}, fmt.Errorf("%.80q is not a relation id", text)
	}
	return RelationID{Endpoint: endpoint, Number: n}, nil
}

// SecretID is the bare 20-character id of a secret, the only part that is the
// same in every spelling Juju uses; secrets are compared by it.
type SecretID string

// uri returns the short form with the scheme, which every tool reads.
func (id SecretID) uri() string {
	return "secret:" + string(id)
}

// ParseSecretID reads every spelling: the bare id, secret:<id>,
// secret:<model>/<id> and secret://<model>/<id> (core/secrets/secret.go). The
// model is dropped: an id is unique beyond its model.
func ParseSecretID(text string) (SecretID, error) {
	id, isURI := strings.CutPrefix(text, "secret:")
	model, bare, hasModel := strings.Cut(strings.TrimPrefix(id, "//"), "/")
	if isURI && hasModel && isUUID(model) {
		id = bare
	}
	if !isSecretName(id) {
		return "", fmt.Errorf("%.80q is not a secret id", text)
	}
	return SecretID(id), nil
}

// isName tells whether text can be the name of an application or endpoint.
// Juju checks the exact grammar when it makes them; here it only matters that
// a name is no flag and has an unambiguous place in an id.
func isName(text string) bool {
	return text != "" && text[0] != '-' && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == ':' || r == '/'
	})
}

// parseNumber reads a decimal number in its one canonical spelling, so that
// two ids are equal exactly when their texts are.
func parseNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("%.80q is not a number", text)
	}
	return n, nil
}
