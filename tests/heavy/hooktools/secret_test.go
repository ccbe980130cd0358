// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/worker/uniter/runner/jujuc"
	"github.com/juju/names/v5"

	"tls-authority/internal/jujusim"
)

func (c *toolContext) GetSecret(uri *secrets.URI, label string, refresh, peek bool) (secrets.SecretValue, error) {
	id := ""
	if uri != nil {
		id = uri.ID
	}
	content, err := c.hook.ReadSecret(id, label, refresh, peek)
	if err != nil {
		return nil, err
	}
	return secrets.NewSecretValue(content), nil
}

func (c *toolContext) CreateSecret(args *jujuc.SecretCreateArgs) (*secrets.URI, error) {
	uri, err := c.hook.AddSecret(args.OwnerTag.Kind() == names.ApplicationTagKind, change(&args.SecretUpdateArgs))
	if err != nil {
		return nil, err
	}
	return secrets.ParseURI(uri)
}

func (c *toolContext) UpdateSecret(uri *secrets.URI, args *jujuc.SecretUpdateArgs) error {
	return c.hook.SetSecret(uri.ID, change(args))
}

func change(args *jujuc.SecretUpdateArgs) jujusim.SecretChange {
	s := jujusim.SecretChange{Label: args.Label, Description: args.Description, Expires: args.ExpireTime, Content: args.Value.EncodedValues()}
	if args.RotatePolicy != nil {
		policy := string(*args.RotatePolicy)
		s.Rotate = &policy
	}
	return s
}

func (c *toolContext) RemoveSecret(uri *secrets.URI, revision *int) error {
	number := 0
	if revision != nil {
		number = *revision
	}
	return c.hook.RemoveSecret(uri.ID, number)
}

// GrantSecret finds the relation by its key, which is all that Juju hands on.
func (c *toolContext) GrantSecret(uri *secrets.URI, args *jujuc.SecretGrantRevokeArgs) error {
	for _, number := range c.hook.Relations() {
		if r, _ := c.hook.Relation(number); (relation{r}).RelationTag().Id() == *args.RelationKey {
			return c.hook.GrantSecret(uri.ID, subject(args), number)
		}
	}
	return jujuc.ErrRestrictedContext // none that is not broken
}

func (c *toolContext) RevokeSecret(uri *secrets.URI, args *jujuc.SecretGrantRevokeArgs) error {
	return c.hook.RevokeSecret(uri.ID, subject(args))
}

// subject is the unit where one is named, else the application, as in
// uniter.SecretGrantRevokeArgs.
func subject(args *jujuc.SecretGrantRevokeArgs) string {
	if args.UnitName != nil {
		return *args.UnitName
	}
	return *args.ApplicationName
}

func (c *toolContext) SecretMetadata() (map[string]jujuc.SecretMetadata, error) {
	all := map[string]jujuc.SecretMetadata{}
	for id, info := range c.hook.Secrets() {
		md := jujuc.SecretMetadata{
			Owner: owner(info.Owner), Description: info.Description, Label: info.Label,
			RotatePolicy: secrets.RotatePolicy(info.Rotate), LatestRevision: info.Revision,
			LatestExpireTime: info.Expires, NextRotateTime: info.Rotates,
		}
		for _, access := range info.Access {
			md.Access = append(md.Access, secrets.AccessInfo{Target: access.Target, Scope: access.Scope, Role: secrets.SecretRole(access.Role)})
		}
		all[id] = md
	}
	return all, nil
}

func owner(name string) names.Tag {
	if names.IsValidUnit(name) {
		return names.NewUnitTag(name)
	}
	return names.NewApplicationTag(name)
}
