// SPDX-License-Identifier: GPL-3.0-only

package jujusim

// Forget drops what Hooks and Log hold. Every run keeps what the charm wrote,
// so a model that grows by thousands of hooks would keep each version of each
// databag. It may be called from Options.Observe.
func (m *Model) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hooks, m.log = nil, nil
}
