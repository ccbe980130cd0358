// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"context"
	"fmt"
)

// OpenedPorts returns the ports and ranges that the unit has opened, as in
// "80/tcp" and "8000-8099/tcp".
func (c *Client) OpenedPorts(ctx context.Context) ([]string, error) {
	ports, err := query[[]string](ctx, c, "opened-ports")
	if err != nil {
		return nil, fmt.Errorf("cannot list opened ports: %w", err)
	}
	return ports, nil
}

// OpenPort lets others reach a port of the unit once the application is
// exposed, or in Kubernetes as soon as the hook has ended.
func (c *Client) OpenPort(ctx context.Context, port string) error {
	if err := c.run(ctx, "open-port", port); err != nil {
		return fmt.Errorf("cannot open port %s: %w", port, err)
	}
	return nil
}

// ClosePort undoes OpenPort.
func (c *Client) ClosePort(ctx context.Context, port string) error {
	if err := c.run(ctx, "close-port", port); err != nil {
		return fmt.Errorf("cannot close port %s: %w", port, err)
	}
	return nil
}
