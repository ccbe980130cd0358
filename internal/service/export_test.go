// SPDX-License-Identifier: GPL-3.0-only

package service

import "path/filepath"

// Quick has Pebble look often, and the site on a machine whose file system
// begins at root. An account makes the user one who may install units.
func (s Site) Quick(root, account string) Site {
	s.pace = pace{"200ms", "100ms", 3}
	s.host = host{root: root, superuser: account != "", account: account}
	return s
}

// Processes are those that run, by their command lines.
func (s Site) Processes() (pebbles, daemons []int) { return s.processes() }

// Paths of the site.
func (s Site) State() string   { return s.state }
func (s Site) Log() string     { return s.logPath() }
func (s Site) Layer() string   { return s.layerPath() }
func (s Site) Program() string { return s.program() }
func (s Site) Pebble() string  { return s.pebbleProgram() }
func (s Site) Unit() string    { return s.unitPath() }
func (s Site) Runtime() string { return filepath.Join(s.host.root, s.runtimeDirectory()) }

// UnitFile is the text of the systemd unit.
func (s Site) UnitFile(p Plan) string { return s.unitFile(p) }

// Socket is that of Pebble.
func (s Site) Socket() (string, error) { return s.socket() }
