// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"path/filepath"

	"tls-authority/internal/control"
)

// Quick has Pebble look often, and the site on a machine whose file system
// begins at root. An account makes the user one who may install units.
func (s Keeper) Quick(root, account string) Keeper {
	s.pace = pace{"200ms", "100ms", 3}
	s.site.Root, s.site.Superuser, s.site.Account = root, account != "", account
	return s
}

// Processes are those that run, by their command lines.
func (s Keeper) Processes() (pebbles, daemons []int) { return s.processes() }

// Site is what is kept running.
func (s Keeper) Site() control.Site { return s.site }

// Paths of the service.
func (s Keeper) Log() string     { return s.logPath() }
func (s Keeper) Layer() string   { return s.layerPath() }
func (s Keeper) Runtime() string { return filepath.Join(s.site.Root, s.site.RuntimeDirectory()) }

// UnitFile is the text of the systemd unit.
func (s Keeper) UnitFile(p control.Plan) string { return s.unitFile(p) }
