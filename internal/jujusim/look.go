// SPDX-License-Identifier: GPL-3.0-only

package jujusim

// Address is where a unit is found, "" when there is no such unit. It is of the
// loopback network, so that what a charm runs can listen there.
func (m *Model) Address(unit string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u, err := m.unitNamed(unit); err == nil {
		return u.address()
	}
	return ""
}

// OpenedPorts are the ports that a unit has opened, as opened-ports lists them;
// none when there is no such unit.
func (m *Model) OpenedPorts(unit string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u, err := m.unitNamed(unit); err == nil {
		return u.ports.lines(false)
	}
	return nil
}
