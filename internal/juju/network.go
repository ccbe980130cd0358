// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"context"
	"fmt"
)

// Addresses returns where a service of the unit listens for an endpoint or an
// extra binding of the charm, and where others reach it. Either may be a name,
// and empty where Juju knows none. They differ where an address is translated
// on the way, as in front of a cloud or a pod.
func (c *Client) Addresses(ctx context.Context, binding string) (bind, ingress string, err error) {
	type addresses struct {
		Bind    string `json:"bind-address"`
		Ingress string `json:"ingress-address"`
	}
	// With one flag alone the answer would be no object
	// (worker/uniter/runner/jujuc/network-get.go).
	known, err := query[addresses](ctx, c, "network-get", "--bind-address", "--ingress-address", binding)
	if err != nil {
		return "", "", fmt.Errorf("cannot read the addresses of %s: %w", binding, err)
	}
	return known.Bind, known.Ingress, nil
}
