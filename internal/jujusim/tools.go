// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"maps"
	"slices"
)

// tool is a hook tool. start parses the arguments and returns the work; it
// must not change anything, because it may run twice for one call.
type tool struct {
	start  func(*invocation) (func() error, error)
	writes bool               // counted in HookRun.Writes
	in     func(version) bool // nil: every version
}

// toolTable holds every tool of every simulated version
// (runner/jujuc/server.go).
var toolTable = map[string]tool{
	"config-get":              {start: configGet},
	"relation-ids":            {start: relationIDs},
	"relation-list":           {start: relationList},
	"relation-get":            {start: relationGet},
	"relation-set":            {start: relationSet, writes: true},
	"relation-model-get":      {start: relationModelGet, in: version.hasRelationModelGet},
	"is-leader":               {start: isLeader},
	"leader-get":              {start: leaderGet, in: version.hasLeaderSettings},
	"leader-set":              {start: leaderSet, writes: true, in: version.hasLeaderSettings},
	"status-get":              {start: statusGet},
	"status-set":              {start: statusSet, writes: true},
	"juju-log":                {start: jujuLog},
	"application-version-set": {start: applicationVersionSet, writes: true},
	"network-get":             {start: networkGet},
	"unit-get":                {start: unitGet},
	"open-port":               {start: openPort, writes: true},
	"close-port":              {start: closePort, writes: true},
	"opened-ports":            {start: openedPorts},
	"goal-state":              {start: goalState},
	"state-get":               {start: stateGet},
	"state-set":               {start: stateSet, writes: true},
	"state-delete":            {start: stateDelete, writes: true},
	"secret-add":              {start: secretAdd, writes: true},
	"secret-set":              {start: secretSet, writes: true},
	"secret-get":              {start: secretGet},
	"secret-info-get":         {start: secretInfoGet},
	"secret-ids":              {start: secretIDs},
	"secret-grant":            {start: secretGrantTool, writes: true},
	"secret-revoke":           {start: secretRevoke, writes: true},
	"secret-remove":           {start: secretRemove, writes: true},
	"action-get":              {start: actionGet},
	"action-set":              {start: actionSet},
	"action-fail":             {start: actionFail},
	"action-log":              {start: actionLog},

	"juju-reboot":        {start: lacking},
	"resource-get":       {start: lacking},
	"credential-get":     {start: lacking},
	"storage-add":        {start: lacking},
	"storage-get":        {start: lacking},
	"storage-list":       {start: lacking},
	"add-metric":         {start: lacking, in: version.hasMeterStatus},
	"payload-register":   {start: lacking, in: version.hasPodSpecs},
	"payload-unregister": {start: lacking, in: version.hasPodSpecs},
	"payload-status-set": {start: lacking, in: version.hasPodSpecs},
	"k8s-spec-get":       {start: lacking, in: version.hasPodSpecs},
	"k8s-spec-set":       {start: lacking, in: version.hasPodSpecs},
	"k8s-raw-get":        {start: lacking, in: version.hasPodSpecs},
	"k8s-raw-set":        {start: lacking, in: version.hasPodSpecs},
	"pod-spec-get":       {start: lacking, in: version.hasPodSpecs},
	"pod-spec-set":       {start: lacking, in: version.hasPodSpecs},
}

// toolNames returns the tools of a version, sorted.
func toolNames(v version) []string {
	names := slices.Sorted(maps.Keys(toolTable))
	return slices.DeleteFunc(names, func(name string) bool { return !toolTable[name].isIn(v) })
}

func (t tool) isIn(v version) bool { return t.in == nil || t.in(v) }

// lacking stands for the tools that exist but are not simulated.
func lacking(i *invocation) (func() error, error) {
	return func() error {
		return fmt.Errorf("jujusim: the simulator lacks the hook tool %q", i.request.CommandName)
	}, nil
}
