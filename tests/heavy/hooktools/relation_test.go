// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"fmt"

	jujuerrors "github.com/juju/errors"
	"github.com/juju/juju/core/life"
	corerelation "github.com/juju/juju/core/relation"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/juju/worker/uniter/runner/jujuc"
	"github.com/juju/names/v5"

	"tls-authority/internal/jujusim"
)

func (c *toolContext) HookRelation() (jujuc.ContextRelation, error) {
	return found(c.hook.HookRelation())
}

func (c *toolContext) Relation(id int) (jujuc.ContextRelation, error) {
	return found(c.hook.Relation(id))
}

func found(r jujusim.HookRelation, found bool) (jujuc.ContextRelation, error) {
	if !found {
		return nil, jujuerrors.NotFoundf("relation")
	}
	return relation{r}, nil
}

func (c *toolContext) RelationIds() ([]int, error) { return c.hook.Relations(), nil }

// relation is a relation of the hook, and its databags.
type relation struct{ hook jujusim.HookRelation }

func (r relation) Id() int { return r.hook.Number() }

func (r relation) Name() string { return r.hook.Endpoint() }

func (r relation) RelationTag() names.RelationTag { return names.NewRelationTag(r.hook.Key()) }

func (r relation) FakeId() string { return fmt.Sprintf("%s:%d", r.Name(), r.Id()) }

func (r relation) Settings() (jujuc.Settings, error) { return settings{r.hook, false}, nil }

func (r relation) ApplicationSettings() (jujuc.Settings, error) { return settings{r.hook, true}, nil }

func (r relation) UnitNames() []string { return r.hook.Members() }

func (r relation) ReadSettings(unit string) (params.Settings, error) {
	return r.hook.Read(unit, false)
}

func (r relation) ReadApplicationSettings(application string) (params.Settings, error) {
	return r.hook.Read(application, true)
}

func (r relation) Suspended() bool { return false }

func (r relation) SetStatus(corerelation.Status) error { return jujuc.ErrRestrictedContext }

func (r relation) RemoteApplicationName() string { return r.hook.Remote() }

func (r relation) Life() life.Value {
	if r.hook.Dying() {
		return life.Dying
	}
	return life.Alive
}

// settings is an own databag.
type settings struct {
	hook          jujusim.HookRelation
	ofApplication bool
}

func (s settings) Map() params.Settings { return s.hook.Own(s.ofApplication) }

func (s settings) Set(key, value string) { s.hook.Write(s.ofApplication, key, value) }

func (s settings) Delete(key string) { s.hook.Write(s.ofApplication, key, "") }
