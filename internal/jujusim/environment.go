// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"slices"
	"strconv"
	"strings"
)

// agentPath is what follows the tools folder in PATH.
const agentPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"

// replace returns variables with others in the place of those of their names.
func replace(vars, others []string) []string {
	return append(slices.DeleteFunc(vars, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(others, func(other string) bool { return strings.HasPrefix(other, name+"=") })
	}), others...)
}

// environ returns the whole environment of a hook: nothing of this process is
// inherited, and HOME is not set (runner/context/context.go, HookVars).
func (c *hookContext) environ() []string {
	m, u := c.model, c.unit
	vars := []string{
		"CHARM_DIR=" + u.charmDirectory,
		"JUJU_CHARM_DIR=" + u.charmDirectory,
		"JUJU_CONTEXT_ID=" + c.id,
		"JUJU_HOOK_NAME=" + c.hookName(),
		"JUJU_DISPATCH_PATH=" + c.dispatchPath(),
		"JUJU_AGENT_SOCKET_ADDRESS=" + u.socket(),
		"JUJU_AGENT_SOCKET_NETWORK=unix",
		"JUJU_UNIT_NAME=" + u.name,
		"JUJU_MODEL_UUID=" + m.uuid,
		"JUJU_MODEL_NAME=" + m.name,
		"JUJU_API_ADDRESSES=10.20.250.1:17070 10.20.250.2:17070",
		"JUJU_MACHINE_ID=" + strconv.Itoa(u.machine),
		"JUJU_PRINCIPAL_UNIT=",
		"JUJU_AVAILABILITY_ZONE=",
		"JUJU_VERSION=" + m.version.text,
		"CLOUD_API_VERSION=",
		"JUJU_CHARM_HTTP_PROXY=",
		"JUJU_CHARM_HTTPS_PROXY=",
		"JUJU_CHARM_FTP_PROXY=",
		"JUJU_CHARM_NO_PROXY=",
		"LANG=C.UTF-8",
		"TERM=tmux-256color",
		"DEBIAN_FRONTEND=noninteractive",
		"APT_LISTCHANGES_FRONTEND=none",
		"PATH=" + u.tools + ":" + agentPath,
	}
	if m.version.hasSLA() {
		vars = append(vars, "JUJU_SLA=unsupported")
	}
	if m.version.hasMeterStatus() {
		vars = append(vars, "JUJU_METER_STATUS=AMBER", "JUJU_METER_INFO=not set")
	}
	if m.version.hasTraceSettings() {
		vars = append(vars, "JUJU_CHARM_TRACE_CONFIG_HTTP=", "JUJU_CHARM_TRACE_CONFIG_GRPC=", "JUJU_CHARM_TRACE_CONFIG_CA_CERT=")
	}
	if c.action != nil {
		return append(vars,
			"JUJU_ACTION_NAME="+c.action.name,
			"JUJU_ACTION_UUID="+c.action.id,
			"JUJU_ACTION_TAG=action-"+c.action.id,
		)
	}
	vars = append(vars, c.event.variables()...)
	if c.event.secretURI == "" {
		return vars
	}
	vars = append(vars, "JUJU_SECRET_ID="+c.event.secretURI, "JUJU_SECRET_LABEL="+c.secretLabel())
	if c.event.secretRevision > 0 {
		vars = append(vars, "JUJU_SECRET_REVISION="+strconv.Itoa(c.event.secretRevision))
	}
	return vars
}

// hookName is empty for an action.
func (c *hookContext) hookName() string {
	if c.action != nil {
		return ""
	}
	return c.event.name()
}

func (c *hookContext) dispatchPath() string {
	if c.action != nil {
		return "actions/" + c.action.name
	}
	return "hooks/" + c.event.name()
}

// secretLabel is the consumer's own label, else the owner's as far as the
// unit may see it.
func (c *hookContext) secretLabel() string {
	s := c.model.secrets[c.event.secret]
	if s == nil {
		return ""
	}
	if consumer := s.consumers[c.unit.name]; consumer != nil && consumer.label != "" {
		return consumer.label
	}
	if s.owner == c.unit.name || s.owner == c.unit.application.name {
		return s.label
	}
	return ""
}
