// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// maxResult keeps key=value well below the 128 KiB that Linux allows one
// argument. Action results have no other way in.
const maxResult = 100_000

// ActionParameters returns the parameters of the running action. One that was
// not given and has no default is absent; Juju makes every number a float.
func (c *Client) ActionParameters(ctx context.Context) (map[string]json.RawMessage, error) {
	return queryMap[json.RawMessage](ctx, c, "action-get")
}

// SetActionResults adds to the results of the running action, which Juju keeps
// even when the action fails. A dot in a key nests. A value of more than
// 100,000 bytes is an error that names its key. No results, no call.
func (c *Client) SetActionResults(ctx context.Context, results map[string]string) error {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(results)) {
		value := results[key]
		if len(value) > maxResult {
			return fmt.Errorf("cannot set action result %q: %d bytes, the limit is %d", key, len(value), maxResult)
		}
		args = append(args, key+"="+value)
	}
	if len(args) == 0 {
		return nil
	}
	return c.run(ctx, "action-set", args...)
}

// FailAction marks the running action as failed. What it changed is committed
// all the same if the program exits with 0; its results are kept in any case.
func (c *Client) FailAction(ctx context.Context, text string) error {
	return c.run(ctx, "action-fail", "--", message(text))
}

// LogAction shows a line of progress to whoever waits for the action.
func (c *Client) LogAction(ctx context.Context, text string) error {
	return c.run(ctx, "action-log", "--", message(text))
}
