// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import "fmt"

// ForceRemoveUnit removes a unit whose machine is lost (juju remove-unit
// --force): what runs there ends, none of its hooks run, and what it had begun is
// never committed. Leadership falls to another unit when the lease is over,
// here at once.
func (m *Model) ForceRemoveUnit(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.unitNamed(name)
	if err != nil {
		return err
	}
	if u.busy {
		return fmt.Errorf("cannot remove unit %q by force: a hook or action of it runs", name)
	}
	u.dying = true
	for _, r := range m.relations {
		delete(r.present, name)
	}
	return m.bury(u)
}
