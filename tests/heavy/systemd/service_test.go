// SPDX-License-Identifier: GPL-3.0-only

package systemd

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheServiceRunsUnderSystemd(t *testing.T) {
	w := newTown(t)
	t.Logf("this is %s", strings.Split(w.call("systemctl", "--version"), "\n")[0])
	w.requireStatus(unit, "root 9y")
	w.requireWell(unit)

	w.try("it is installed, enabled and active", func(w *town) {
		require.Equal(w.t, "active", w.property("ActiveState"))
		require.Equal(w.t, "enabled", w.property("UnitFileState"))
		require.Equal(w.t, "no", w.property("NeedDaemonReload"))
		require.Equal(w.t, 1, w.starts(), "three hooks have settled it, and one had to start it")
		require.Contains(w.t, w.call("journalctl", "--no-pager", "--output", "cat", "--unit", systemdUnit),
			"the status service listens", "what the daemon logs is where an operator looks")
		require.Empty(w.t, w.call("journalctl", "--quiet", "--no-pager", "--output", "cat", "--priority", "warning", "--unit", systemdUnit))
	})
	w.try("it is without privileges", (*town).testPrivileges)
	w.try("it reads what it needs, and writes nothing", (*town).testFiles)
	w.try("other people's programs ask it", (*town).testAnswers)
	w.try("a daemon that is killed comes back by Pebble", func(w *town) {
		pebble, daemon := w.pair(unit)
		require.NoError(w.t, syscall.Kill(daemon, syscall.SIGKILL))
		again, _ := w.awaitOthers(unit, daemon)
		require.Equal(w.t, pebble, again)
		require.Equal(w.t, "0", w.property("NRestarts"))
	})
	w.try("a Pebble that is killed comes back by systemd, and its daemon does not stay", func(w *town) {
		pebble, daemon := w.pair(unit)
		require.NoError(w.t, syscall.Kill(pebble, syscall.SIGKILL))
		w.awaitOthers(unit, pebble, daemon)
		require.Equal(w.t, "1", w.property("NRestarts"))
	})
	w.try("a hook finds nothing to do then", func(w *town) {
		pebble, daemon := w.pair(unit)
		starts := w.starts()
		require.NoError(w.t, w.UpdateStatus(unit))
		w.requireSame(unit, pebble, daemon)
		require.Equal(w.t, starts, w.starts())
		w.requireWell(unit)
	})
	w.try("a restart of the machine brings it back without a hook", func(w *town) {
		hooks := len(w.Hooks())
		w.reboot(t)
		pebble, daemon := w.awaitOthers(unit)
		require.Len(w.t, w.Hooks(), hooks)
		require.NoError(w.t, w.UpdateStatus(unit))
		w.requireSame(unit, pebble, daemon)
		w.requireWell(unit)
	})
	w.try("so does one after a loss of power", func(w *town) {
		w.crash(t)
		w.awaitOthers(unit)
		w.requireWell(unit)
	})
	w.try("what an operator does to it, the next hook repairs", (*town).testOperator)
	w.try("other options", (*town).testOptions)
	w.try("an upgrade of the charm starts it once", func(w *town) {
		pebble, daemon := w.pair(unit)
		starts := w.starts()
		require.NoError(w.t, w.Refresh(application, charmPath(w.t)))
		require.NoError(w.t, w.Settle())
		w.requireWell(unit)
		p, d := w.pair(unit)
		require.NotContains(w.t, []int{pebble, daemon}, p)
		require.NotContains(w.t, []int{pebble, daemon}, d)
		require.Equal(w.t, starts+1, w.starts())
		require.NoError(w.t, w.UpdateStatus(unit))
		w.requireSame(unit, p, d)
	})
	w.try("two units share a machine", (*town).testNeighbour)
	w.try("directories that the daemon may not enter", (*town).testClosed)
	w.try("removed, nothing of it is left but the user", func(w *town) {
		directory := filepath.Join(w.root, "etc/systemd/system")
		require.FileExists(w.t, filepath.Join(directory, systemdUnit))
		require.FileExists(w.t, filepath.Join(directory, "multi-user.target.wants", systemdUnit))
		require.NoError(w.t, w.RemoveUnit(unit))
		require.NoError(w.t, w.Settle())
		w.requireNothing(unit)
	})
}

// testPrivileges looks at the processes and asks systemd's own judge.
func (w *town) testPrivileges() {
	owner := strings.Split(w.call("getent", "passwd", account), ":")
	require.Less(w.t, len(owner[2]), 4, "it is a user of the system")
	pebble, daemon := w.pair(unit)
	for _, pid := range []int{pebble, daemon} {
		status := statusOf(w.t, pid)
		for name, want := range map[string]string{
			"Uid": strings.Join([]string{owner[2], owner[2], owner[2], owner[2]}, "\t"),
			"Gid": strings.Join([]string{owner[3], owner[3], owner[3], owner[3]}, "\t"), "Groups": owner[3],
			"NoNewPrivs": "1", "Seccomp": "2", "Umask": "0077",
			"CapInh": noCapability, "CapPrm": noCapability, "CapEff": noCapability, "CapBnd": noCapability, "CapAmb": noCapability,
		} {
			require.Equal(w.t, want, status[name], name)
		}
		limits, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "limits"))
		require.NoError(w.t, err)
		require.Regexp(w.t, `(?m)^Max core file size +0 +0 +bytes`, string(limits))
		cgroup, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
		require.NoError(w.t, err)
		require.Contains(w.t, string(cgroup), "/system.slice/"+systemdUnit)
	}
	text := w.call("systemd-analyze", "security", "--no-pager", "--threshold=20", systemdUnit)
	w.t.Log(text[strings.LastIndex(text, "\n")+1:])
}

const noCapability = "0000000000000000"

// testFiles looks at the machine as the daemon does: in its mounts, as its user.
func (w *town) testFiles() {
	_, daemon := w.pair(unit)
	status := statusOf(w.t, daemon)
	uid, gid := strings.Fields(status["Uid"])[0], strings.Fields(status["Gid"])[0]
	as := func(name string, arguments ...string) (string, error) {
		enter := []string{"--target", strconv.Itoa(daemon), "--mount", "--pid", "--net", "--setuid", uid, "--setgid", gid, "--", name}
		text, err := exec.Command("nsenter", append(enter, arguments...)...).CombinedOutput()
		return strings.TrimSpace(string(text)), err
	}
	state := filepath.Join(w.agent(unit), "status")
	secret := filepath.Join(w.agent(unit), "agent.conf") // as an agent's, with the key of its account
	require.NoError(w.t, os.WriteFile(secret, []byte("password"), 0o600))

	for _, path := range []string{filepath.Join(state, "spool/status.json"), filepath.Join(state, "spool/responder.key"), filepath.Join(state, "pebble/layers/001-status.yaml")} {
		text, err := as("cat", path)
		require.NoError(w.t, err, "%s: %s", path, text)
	}
	for _, path := range []string{secret, filepath.Join(state, "plan.json"), "/root/secret", "/etc/shadow"} {
		require.NoError(w.t, w.command(w.t.Context(), "cat", path).Run(), "root reads it: %s", path)
		text, err := as("cat", path)
		require.Error(w.t, err, "%s: %s", path, text)
		require.Contains(w.t, text, "Permission denied")
	}
	for _, directory := range []string{"/etc", "/usr", "/var", "/var/lib", "/root", "/dev", "/run", w.agent(unit), state, filepath.Join(state, "spool"), filepath.Join(state, "pebble/layers"), filepath.Join(w.agent(unit), "charm")} {
		text, err := as("touch", filepath.Join(directory, "written"))
		require.Error(w.t, err, "%s: %s", directory, text)
	}
	// What it may write goes with the unit: a /tmp of its own, and Pebble's socket.
	text, err := as("touch", "/tmp/written")
	require.NoError(w.t, err, text)
	require.NoFileExists(w.t, filepath.Join(w.root, "tmp/written"))
	text = w.call("find", "/run", "-user", account)
	for line := range strings.Lines(text) {
		require.True(w.t, strings.HasPrefix(line, "/run/tls-authority-"), text)
	}
	key := filepath.Join(state, "spool/responder.key") // which it may read alone, and not replace
	require.Equal(w.t, key, w.call("find", w.shared, "/etc", "-user", account), "what hooks read is not the daemon's")
}

// testAnswers asks as relying parties do.
func (w *town) testAnswers() {
	csr := newCSR(w.t)
	require.NoError(w.t, w.AddStandIn("web", 1))
	relation, err := w.Relate(application+":certificates", "web:certificates")
	require.NoError(w.t, err)
	require.NoError(w.t, w.SetBag(relation, "web/0", csrBag(w.t, csr)))
	require.NoError(w.t, w.Settle())
	var answers []struct{ Certificate, CA string }
	require.NoError(w.t, json.Unmarshal([]byte(w.Bag(relation, application)["certificates"]), &answers))
	require.Len(w.t, answers, 1)

	folder := filepath.Join(w.shared, "relying-party")
	require.NoError(w.t, os.Mkdir(folder, 0o755))
	leaf, ca := filepath.Join(folder, "leaf.pem"), filepath.Join(folder, "ca.pem")
	require.NoError(w.t, os.WriteFile(leaf, []byte(answers[0].Certificate+"\n"), 0o644))
	w.call("curl", "--fail", "--silent", "--show-error", "--output", ca, w.base(unit)+"/ca.pem")
	fetched, err := os.ReadFile(ca)
	require.NoError(w.t, err)
	require.Equal(w.t, strings.TrimSpace(answers[0].CA), strings.TrimSpace(string(fetched)))
	ask := func(want string) {
		w.t.Helper()
		w.eventually("the answer is "+want, func() bool {
			text, _ := w.command(w.t.Context(), "openssl", "ocsp", "-issuer", ca, "-CAfile", ca, "-cert", leaf, "-url", w.base(unit)+"/ocsp", "-no_nonce").CombinedOutput()
			return strings.Contains(string(text), "Response verify OK") && strings.Contains(string(text), leaf+": "+want)
		})
	}
	ask("good")
	result, err := w.RunAction(unit, "revoke-certificate", map[string]any{"unit": "web/0", "reason": "superseded"})
	require.NoError(w.t, err)
	require.Equal(w.t, "completed", result.Status, result.Message)
	require.NoError(w.t, w.Settle())
	ask("revoked")
	list := filepath.Join(folder, "list.crl")
	w.call("curl", "--fail", "--silent", "--show-error", "--output", list, w.base(unit)+"/crl/1.crl")
	require.Contains(w.t, w.call("openssl", "crl", "-inform", "DER", "-in", list, "-CAfile", ca, "-noout", "-text"), "Superseded")
	require.NoError(w.t, os.RemoveAll(folder))
}

// testOperator is about what operators do to units.
func (w *town) testOperator() {
	path := filepath.Join(w.root, "etc/systemd/system", systemdUnit)
	for name, do := range map[string]func(w *town){
		"stops it":            func(w *town) { w.call("systemctl", "stop", systemdUnit) },
		"disables it for now": func(w *town) { w.call("systemctl", "disable", "--now", systemdUnit) },
		"removes its unit": func(w *town) {
			w.call("systemctl", "stop", systemdUnit)
			require.NoError(w.t, os.Remove(path))
			w.call("systemctl", "daemon-reload")
		},
		"masks it": func(w *town) {
			w.call("systemctl", "stop", systemdUnit)
			require.NoError(w.t, os.Remove(path))
			w.call("systemctl", "mask", systemdUnit)
		},
		"kills it": func(w *town) {
			w.call("systemctl", "kill", "--signal", "KILL", systemdUnit)
			w.call("systemctl", "stop", systemdUnit)
		},
	} {
		w.try(name, func(w *town) {
			do(w)
			w.eventually("it is down", func() bool { return !w.live(unit) })
			require.NoError(w.t, w.UpdateStatus(unit))
			w.requireWell(unit)
			require.Equal(w.t, "active", w.property("ActiveState"))
			require.Equal(w.t, "enabled", w.property("UnitFileState"))
		})
	}
}

// testOptions changes the port, to one that needs a privilege, to one that is
// taken, and to none.
func (w *town) testOptions() {
	pebble, daemon := w.pair(unit)
	starts := w.starts()
	w.configure(map[string]any{"status-port": port + 1})
	w.port++
	w.requireWell(unit)
	p, d := w.pair(unit)
	require.Equal(w.t, pebble, p, "another port is no matter of systemd's")
	require.NotEqual(w.t, daemon, d)
	require.Equal(w.t, starts, w.starts())

	w.configure(map[string]any{"status-port": 80})
	w.port = 80
	w.requireWell(unit)
	_, daemon = w.pair(unit)
	require.Equal(w.t, "0000000000000400", statusOf(w.t, daemon)["CapEff"], "CAP_NET_BIND_SERVICE alone")
	require.Equal(w.t, starts+1, w.starts())

	w.configure(map[string]any{"status-port": 0})
	require.False(w.t, w.live(unit))
	w.requireNothing(unit)

	const other = "other.service"
	w.call("systemd-run", "--unit", other, "openssl", "s_server", "-nocert", "-accept", w.Address(unit)+":"+strconv.Itoa(port))
	w.port = port
	w.eventually("the port is taken", func() bool {
		return strings.Contains(w.call("cat", "/proc/net/tcp"), ":"+strings.ToUpper(strconv.FormatInt(port, 16))+" ")
	})
	w.configure(map[string]any{"status-port": port})
	w.requireStatus(unit, "status service off: port "+strconv.Itoa(port)+" is taken")
	pebbles, daemons := w.processes(unit)
	require.Empty(w.t, append(pebbles, daemons...))
	require.NotEqual(w.t, "active", w.property("ActiveState"))
	w.call("systemctl", "stop", other)
	require.NoError(w.t, w.UpdateStatus(unit))
	w.requireWell(unit)
}

// testNeighbour puts a second unit on the machine, and removes it.
func (w *town) testNeighbour() {
	pebble, daemon := w.pair(unit)
	neighbour, err := w.AddUnit(application)
	require.NoError(w.t, err)
	require.NoError(w.t, w.Settle())
	w.requireWell(unit)
	w.requireWell(neighbour)
	w.requireSame(unit, pebble, daemon)
	require.NoError(w.t, w.RemoveUnit(neighbour))
	require.NoError(w.t, w.Settle())
	w.requireNothing(neighbour)
	w.requireWell(unit)
	w.requireSame(unit, pebble, daemon)
}

// testClosed narrows the directories above a unit's. Juju's are open to
// everybody.
func (w *town) testClosed() {
	for _, mode := range []os.FileMode{0o700, 0o750} {
		w.try(fmt.Sprintf("%04o", mode), func(w *town) {
			agents := filepath.Join(w.shared, "agents")
			require.NoError(w.t, os.Chmod(agents, mode))
			w.call("systemctl", "stop", systemdUnit)
			require.NoError(w.t, w.UpdateStatus(unit))
			w.requireStatus(unit, "status service off: user "+account+" may not enter "+agents)
			require.NotEqual(w.t, "active", w.property("ActiveState"))
			require.NoError(w.t, os.Chmod(agents, 0o755))
			require.NoError(w.t, w.UpdateStatus(unit))
			w.requireWell(unit)
		})
	}
}
