// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"fmt"
	"strings"
)

// RevocationReason is a code of RFC 5280 section 5.3.1.
type RevocationReason int

// The reasons that we give. A certificate is never on hold, and the end of a
// whole authority is no entry of a list. Unspecified is written by leaving the
// reason out, as that section asks.
const (
	Unspecified          RevocationReason = 0
	KeyCompromise        RevocationReason = 1
	AffiliationChanged   RevocationReason = 3
	Superseded           RevocationReason = 4
	CessationOfOperation RevocationReason = 5
	PrivilegeWithdrawn   RevocationReason = 9
)

// revocationReasons are all reasons in the order of their codes.
var revocationReasons = []RevocationReason{
	Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn,
}

// ParseRevocationReason reads one of the spellings of String exactly.
func ParseRevocationReason(text string) (RevocationReason, error) {
	var words []string
	for _, reason := range revocationReasons {
		if text == reason.String() {
			return reason, nil
		}
		words = append(words, reason.String())
	}
	return 0, fmt.Errorf("cannot read reason %s: want one of %s", quote(text), strings.Join(words, ", "))
}

func (r RevocationReason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case KeyCompromise:
		return "key-compromise"
	case AffiliationChanged:
		return "affiliation-changed"
	case Superseded:
		return "superseded"
	case CessationOfOperation:
		return "cessation-of-operation"
	case PrivilegeWithdrawn:
		return "privilege-withdrawn"
	}
	return fmt.Sprintf("reason(%d)", int(r))
}

func (r RevocationReason) isKnown() bool {
	_, err := ParseRevocationReason(r.String())
	return err == nil
}

// MarshalText spells the reason as String does. A reason that is not one of
// ours is an error.
func (r RevocationReason) MarshalText() ([]byte, error) {
	if !r.isKnown() {
		return nil, fmt.Errorf("cannot encode reason %d: it is not one of ours", int(r))
	}
	return []byte(r.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (r *RevocationReason) UnmarshalText(text []byte) error {
	parsed, err := ParseRevocationReason(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
