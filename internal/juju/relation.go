// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
)

// Relations returns the relations of an endpoint by their numbers; Juju sorts
// them as texts. A relation that is going away is left out once its last
// remote unit has left.
func (c *Client) Relations(ctx context.Context, endpoint string) ([]RelationID, error) {
	relations, err := queryList(ctx, c, ParseRelationID, "relation-ids", endpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot list relations of %s: %w", endpoint, err)
	}
	slices.SortFunc(relations, func(a, b RelationID) int { return cmp.Compare(a.Number, b.Number) })
	return relations, nil
}

// RemoteUnits returns the units at the other end, by application and number;
// in a peer relation those are the other units of the own application. The
// unit of a departed event is not among them.
func (c *Client) RemoteUnits(ctx context.Context, r RelationID) ([]UnitName, error) {
	units, err := queryList(ctx, c, parseUnitName, "relation-list", "-r", r.String())
	if err != nil {
		return nil, fmt.Errorf("cannot list units of %s: %w", r, err)
	}
	slices.SortFunc(units, compareUnits)
	return units, nil
}

// RemoteApplication returns the name of the application at the other end. For
// one of another model it is a name that Juju made up: "remote-" and 32
// hexadecimal digits.
func (c *Client) RemoteApplication(ctx context.Context, r RelationID) (string, error) {
	application, err := query[string](ctx, c, "relation-list", "-r", r.String(), "--app")
	if err != nil {
		return "", fmt.Errorf("cannot read application of %s: %w", r, err)
	}
	return application, nil
}

// ReadUnitBag returns what a unit has published in the relation, and for the
// own unit what this hook wrote. Juju adds addresses of its own.
func (c *Client) ReadUnitBag(ctx context.Context, r RelationID, u UnitName) (map[string]string, error) {
	return c.readBag(ctx, r, string(u), "-r", r.String(), "-", string(u))
}

// ReadApplicationBag returns what an application has published in the
// relation. Up to Juju 3.6 only the leader may read the own application's,
// save that of a peer relation: ErrDenied.
func (c *Client) ReadApplicationBag(ctx context.Context, r RelationID, application string) (map[string]string, error) {
	return c.readBag(ctx, r, application, "-r", r.String(), "--app", "-", application)
}

func (c *Client) readBag(ctx context.Context, r RelationID, owner string, args ...string) (map[string]string, error) {
	var bag map[string]string
	_, err := c.call(ctx, Command{
		Name: "relation-get", Args: append([]string{"--format", "json"}, args...),
		Stdout: func(stdout io.Reader, size int) (err error) {
			if bag, err = readBag(stdout, size, c.ahead()); err != nil {
				err = unexpectedAnswer("relation-get")
			}
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read data of %s in %s: %w", owner, r, err)
	}
	if bag == nil {
		return map[string]string{}, nil
	}
	return bag, nil
}

// WriteUnitBag changes what the unit publishes in the relation: an empty value
// removes its key, keys that are not named stay. Juju holds the changes until
// the hook succeeds. No changes, no call.
func (c *Client) WriteUnitBag(ctx context.Context, r RelationID, changes map[string]string) error {
	return c.writeBag(ctx, r, whole(changes), "-r", r.String(), "--file", "-")
}

// WriteApplicationBag is WriteUnitBag for the application's data, which only
// the leader may write: ErrNotLeader.
func (c *Client) WriteApplicationBag(ctx context.Context, r RelationID, changes map[string]string) error {
	return c.WriteApplicationPieces(ctx, r, whole(changes))
}

// WriteApplicationPieces is WriteApplicationBag for values that are in pieces,
// which Juju gets as one text. They may be megabytes: nothing puts them together.
func (c *Client) WriteApplicationPieces(ctx context.Context, r RelationID, changes map[string][]string) error {
	return c.writeBag(ctx, r, changes, "-r", r.String(), "--app", "--file", "-")
}

// whole makes each value one piece.
func whole(changes map[string]string) map[string][]string {
	pieces := make(map[string][]string, len(changes))
	for key, value := range changes {
		pieces[key] = []string{value}
	}
	return pieces
}

// writeBag hands the changes over on standard input. As arguments they would
// lose a PEM's last newline, be limited, and show keys to the whole machine.
func (c *Client) writeBag(ctx context.Context, r RelationID, changes map[string][]string, args ...string) error {
	if len(changes) == 0 {
		return nil
	}
	_, err := c.call(ctx, Command{Name: "relation-set", Args: args, Stdin: newSettings(changes)})
	if err != nil {
		return fmt.Errorf("cannot write data of %s: %w", r, err)
	}
	return nil
}
