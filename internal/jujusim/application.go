// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juju/charm/v12"
)

// application is a deployed charm, or a stand-in whose databags the test
// writes.
type application struct {
	name     string
	charm    *charm.CharmArchive // nil for a stand-in
	units    []*unit
	lastUnit int

	config        map[string]any
	configVersion int

	leader                string
	leaderSettings        map[string]string
	leaderSettingsVersion int

	status          status // set with status-set --application; zero when never
	workloadVersion string
}

type status struct {
	name, message string
	since         time.Time
}

var (
	applicationRule = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*$`)
	unitRule        = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*/(0|[1-9][0-9]*)$`)
)

func applicationOf(unitName string) string {
	name, _, _ := strings.Cut(unitName, "/")
	return name
}

// Deploy deploys a charm archive under the name application, with its peer
// relations. The units get their events when hooks are run.
func (m *Model) Deploy(charmPath, application string, units int) error {
	archive, err := readArchive(charmPath)
	if err != nil {
		return fmt.Errorf("cannot deploy %q: %w", application, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	app, err := m.addApplication(application)
	if err != nil {
		return err
	}
	app.charm = archive
	app.config = archive.Config().DefaultSettings()
	app.leaderSettings = map[string]string{}
	app.leaderSettingsVersion = 1
	m.addPeerRelations(app)
	for range units {
		_, err = m.addUnit(app)
		if err != nil {
			return err
		}
	}
	return nil
}

func readArchive(path string) (*charm.CharmArchive, error) {
	archive, err := charm.ReadCharmArchive(path)
	if err != nil {
		return nil, err
	}
	err = charm.CheckMeta(archive)
	if err != nil {
		return nil, err
	}
	if archive.Manifest() == nil || len(archive.Manifest().Bases) == 0 {
		return nil, fmt.Errorf("charm does not define any bases, not valid")
	}
	return archive, nil
}

// Refresh replaces an application's charm, as juju refresh does: every unit
// gets upgrade-charm and config-changed. Files of the old archive go, files
// that the charm made stay.
func (m *Model) Refresh(application, charmPath string) error {
	archive, err := readArchive(charmPath)
	if err != nil {
		return fmt.Errorf("cannot refresh %q: %w", application, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	app := m.applications[application]
	if app == nil || app.charm == nil {
		return fmt.Errorf("no charmed application %q in the model", application)
	}
	old, err := app.charm.ArchiveMembers()
	if err != nil {
		return fmt.Errorf("cannot refresh %q: %w", application, err)
	}
	app.charm = archive
	settings := archive.Config().DefaultSettings()
	maps.Copy(settings, archive.Config().FilterSettings(app.config))
	app.config = settings
	m.addPeerRelations(app)
	for _, u := range app.units {
		for _, name := range old.Values() {
			_ = os.Remove(filepath.Join(u.charmDirectory, name)) // folders stay when they hold the charm's own files
		}
		err = m.expand(archive, u.charmDirectory)
		if err != nil {
			return fmt.Errorf("cannot expand the charm of unit %q: %w", u.name, err)
		}
		u.queue = append(u.queue, "upgrade-charm")
	}
	return nil
}

func (m *Model) addPeerRelations(app *application) {
	peers := app.charm.Meta().Peers
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		side := endpoint{application: app.name, name: name, role: charm.RolePeer, face: peers[name].Interface}
		if m.checkNew(side) == nil {
			m.addRelation(side)
		}
	}
}

// AddStandIn adds an application without a charm. The applications of another
// model are named remote-<hex>, as the offering side sees them.
func (m *Model) AddStandIn(application string, units int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	app, err := m.addApplication(application)
	if err != nil {
		return err
	}
	for range units {
		_, err = m.addUnit(app)
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) addApplication(name string) (*application, error) {
	if !applicationRule.MatchString(name) {
		return nil, fmt.Errorf("invalid application name %q", name)
	}
	if m.applications[name] != nil {
		return nil, fmt.Errorf("application %q is in the model already", name)
	}
	app := &application{name: name, lastUnit: -1}
	m.applications[name] = app
	return app, nil
}

// isRemoteName tells whether the application lives in another model.
func isRemoteName(name string) bool {
	hex, found := strings.CutPrefix(name, "remote-")
	return found && hex != "" && strings.Trim(hex, "0123456789abcdef") == ""
}

// AddUnit adds one unit and returns its name.
func (m *Model) AddUnit(application string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	app := m.applications[application]
	if app == nil {
		return "", fmt.Errorf("no application %q in the model", application)
	}
	u, err := m.addUnit(app)
	if err != nil {
		return "", err
	}
	return u.name, nil
}

func (m *Model) addUnit(app *application) (*unit, error) {
	app.lastUnit++
	m.lastMachine++
	u := &unit{
		application: app,
		name:        app.name + "/" + strconv.Itoa(app.lastUnit),
		machine:     m.lastMachine,
		subnet:      m.options.Subnet,
		configSeen:  -1,
		views:       map[int]*relationView{},
		secretsSeen: map[string]int{},
		obsolete:    map[string][]int{},
		state:       map[string]string{},
		ports:       portSet{},
		status:      status{name: "waiting", message: "agent initialising", since: m.now()},
	}
	if app.charm != nil {
		err := m.install(u)
		if err != nil {
			return nil, err
		}
	}
	app.units = append(app.units, u)
	if app.leader == "" {
		app.leader = u.name
	}
	if app.charm == nil {
		for _, r := range m.relations {
			if r.joins(app.name) && !r.dying {
				m.enterScope(r, u)
			}
		}
	}
	return u, nil
}

// install makes the folders of a charmed unit.
func (m *Model) install(u *unit) error {
	tag := "unit-" + strings.ReplaceAll(u.name, "/", "-")
	u.directory = filepath.Join(m.directory, "agents", tag)
	u.charmDirectory = filepath.Join(u.directory, "charm")
	u.tools = filepath.Join(m.directory, "tools", tag)
	if len(u.socket()) > socketPathLimit {
		return fmt.Errorf("cannot add unit %q: the path of its socket %q is longer than %d bytes", u.name, u.socket(), socketPathLimit)
	}
	for _, dir := range []string{u.charmDirectory, u.tools} {
		err := os.MkdirAll(dir, 0o755)
		if err != nil {
			return fmt.Errorf("cannot add unit %q: %w", u.name, err)
		}
	}
	err := m.expand(u.application.charm, u.charmDirectory)
	if err != nil {
		return fmt.Errorf("cannot expand the charm of unit %q: %w", u.name, err)
	}
	for _, name := range toolNames(m.version) {
		err = os.Symlink(m.options.ToolBinary, filepath.Join(u.tools, name))
		if err != nil {
			return fmt.Errorf("cannot add unit %q: %w", u.name, err)
		}
	}
	return nil
}

// RemoveUnit removes a unit. A stand-in leaves its relations at once; a
// charmed unit first runs the hooks of its end.
func (m *Model) RemoveUnit(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.unitNamed(name)
	if err != nil {
		return err
	}
	if u.dying {
		return fmt.Errorf("unit %q is being removed already", name)
	}
	u.dying = true
	// The other side converges while this one still runs its hooks
	// (state/cleanup.go, cleanupDyingUnit).
	for _, r := range m.relations {
		delete(r.present, name)
	}
	if u.application.charm == nil || !u.installed && !u.inError && !u.busy {
		return m.bury(u)
	}
	return nil
}

// bury removes what is left of a unit: its machine with all that runs there,
// its place in relations, its secrets and what it read of others', its
// leadership.
func (m *Model) bury(u *unit) error {
	for _, id := range slices.Sorted(maps.Keys(m.relations)) {
		m.leaveScope(m.relations[id], u.name)
	}
	for id, s := range m.secrets {
		delete(s.consumers, u.name)
		if s.owner == u.name {
			delete(m.secrets, id)
		}
	}
	app := u.application
	app.units = slices.DeleteFunc(app.units, func(other *unit) bool { return other == u })
	if app.leader == u.name {
		m.succeed(app)
	}
	if app.charm == nil {
		return nil
	}
	return endProcesses(u.directory)
}

// succeed gives the leadership of an application to one of its units.
func (m *Model) succeed(app *application) {
	app.leader = ""
	alive := slices.DeleteFunc(slices.Clone(app.units), func(other *unit) bool { return other.dying })
	if len(alive) == 0 {
		alive = app.units
	}
	if len(alive) > 0 {
		app.leader = alive[m.random.IntN(len(alive))].name
	}
}

// Configure sets options of a charmed application as juju config does; a nil
// value resets one to its default.
func (m *Model) Configure(application string, values map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	app := m.applications[application]
	if app == nil || app.charm == nil {
		return fmt.Errorf("no charmed application %q in the model", application)
	}
	valid, err := app.charm.Config().ValidateSettings(values)
	if err != nil {
		return fmt.Errorf("cannot configure %q: %w", application, err)
	}
	changed := maps.Clone(app.config)
	for name, value := range valid {
		if value == nil {
			value = app.charm.Config().Options[name].Default
		}
		changed[name] = value
	}
	if !maps.Equal(changed, app.config) {
		app.config = changed
		app.configVersion++
	}
	return nil
}

// Leader returns the name of an application's leader, "" when it has none.
func (m *Model) Leader(application string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	app := m.applications[application]
	if app == nil {
		return ""
	}
	return app.leader
}

// SetLeader moves leadership to a unit, at once.
func (m *Model) SetLeader(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.charmedUnit(name)
	if err != nil {
		return err
	}
	if u.dying {
		return fmt.Errorf("unit %q is being removed", name)
	}
	u.application.leader = name
	return nil
}

// Status returns the workload status of a unit, "" for an unknown one.
func (m *Model) Status(name string) (status, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.unitNamed(name)
	if err != nil {
		return "", ""
	}
	return u.status.name, u.status.message
}

// Units returns the names of an application's units, oldest first, those that
// are being removed included.
func (m *Model) Units(application string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	if app := m.applications[application]; app != nil {
		for _, u := range app.units {
			names = append(names, u.name)
		}
	}
	return names
}
