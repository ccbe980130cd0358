// SPDX-License-Identifier: GPL-3.0-only

// Package pki is the X.509 side of a private certificate authority: keys,
// certificate requests, names, profiles and certificates, after RFC 5280 and
// RFC 2986.
//
// It does no input or output, reads no clock and logs nothing: bytes, times
// and keys enter as values, and the only randomness is crypto/rand. It does
// not decide who may have which name, and it keeps no list of what it issued.
// Whatever leaves it as a certificate was parsed again, verified against its
// issuer and compared with its profile first.
package pki

import (
	"errors"
	"strconv"
	"strings"
)

var (
	// ErrBadRequest marks, through errors.Is, every refusal whose cause is
	// what was asked for. Any other error of this package is a fault of the
	// authority itself.
	ErrBadRequest = errors.New("bad request")

	// ErrIssuerExpires marks, through errors.Is, a validity that the end of
	// the issuer cuts too short to be useful.
	ErrIssuerExpires = errors.New("issuer expires too soon")

	// ErrIssuerBegins marks, through errors.Is, a validity that would be over,
	// or too short to be useful, when that of the issuer begins.
	ErrIssuerBegins = errors.New("issuer is not valid yet")

	// ErrNoAnchor marks, through errors.Is, a chain that reaches no
	// self-signed certificate, or not the one that it should reach.
	ErrNoAnchor = errors.New("no self-signed certificate ends the chain")

	// ErrPathLength marks, through errors.Is, an authority that would stand
	// below one whose path length allows none.
	ErrPathLength = errors.New("the issuer's path length allows no authority below it")
)

// refusal is a reason to refuse a request; it is an ErrBadRequest.
type refusal string

func (r refusal) Error() string { return string(r) }

func (r refusal) Is(target error) bool { return target == ErrBadRequest }

// quote shows foreign text in a message: on one line and never much of it,
// because messages end in a status and in databags.
func quote(text string) string {
	const enough = 80
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "…"
	}
	return strconv.Quote(text)
}
