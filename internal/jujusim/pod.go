// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"os"
	"slices"
)

// ReplacePod gives a unit a new pod, as Kubernetes does when a node is drained
// and the old one is killed before its stop hook: its folder and what ran there
// are lost and the charm is expanded again, while the controller keeps what the agent knows.
// An installed unit gets upgrade-charm, config-changed and start in that order,
// after the hook that was interrupted, if any; another starts with install.
func (m *Model) ReplacePod(unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.charmedUnit(unit)
	if err != nil {
		return err
	}
	if u.busy {
		return fmt.Errorf("cannot replace the pod of unit %q: a hook or action of it runs", unit)
	}
	if u.dying {
		return fmt.Errorf("cannot replace the pod of unit %q: it is being removed", unit)
	}
	err = endProcesses(u.directory)
	if err != nil {
		return fmt.Errorf("cannot replace the pod of unit %q: %w", unit, err)
	}
	err = os.RemoveAll(u.directory)
	if err != nil {
		return fmt.Errorf("cannot remove the pod of unit %q: %w", unit, err)
	}
	err = os.MkdirAll(u.charmDirectory, 0o755)
	if err != nil {
		return fmt.Errorf("cannot replace the pod of unit %q: %w", unit, err)
	}
	err = m.expand(u.application.charm, u.charmDirectory)
	if err != nil {
		return fmt.Errorf("cannot expand the charm of unit %q: %w", unit, err)
	}
	for _, view := range u.views {
		clear(view.cache) // it was in the memory of the old agent
	}
	switch {
	case !u.installed:
		return nil
	case u.pending == nil:
		u.pending = plain("upgrade-charm") // before any difference of state (worker/uniter/operation/deploy.go)
	default:
		u.queue = append(u.queue, "upgrade-charm")
	}
	u.newPod = true
	return nil
}

// startFollows tells whether start is owed after config-changed: at the end
// of the first installation, and in a new pod, which counts as a reboot.
func (u *unit) startFollows() bool {
	return !u.started || u.newPod && !slices.Contains(u.queue, "upgrade-charm")
}
