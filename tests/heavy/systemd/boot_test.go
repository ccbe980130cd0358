// SPDX-License-Identifier: GPL-3.0-only

package systemd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// initProgram is where distributions have systemd.
const initProgram = "/usr/lib/systemd/systemd"

// takenAway are capabilities (capabilities(7)) without which systemd knows that
// the kernel is not its own: it then loads no module, sets no clock and mounts
// no file system of the kernel's. What its units may have is not touched.
var takenAway = map[string]uintptr{"CAP_SYS_MODULE": 16, "CAP_SYS_RAWIO": 17, "CAP_SYS_TIME": 25, "CAP_SYSLOG": 34}

// layout is what boot is told of a machine.
type layout struct {
	root   string // what becomes / of the machine
	shared string // a directory that has the same path inside and outside
	system string // where the programs of the machine are: / or, for another systemd, the root of another distribution
}

// boot makes this process, the first of its namespaces, the machine's systemd. It
// returns only when it cannot.
func boot(l layout) error {
	// Namespaces and capabilities are of a thread; the one that calls exec
	// stays.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cannot make a cgroup namespace: %w", err)
	}
	if err := l.mountAll(); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := syscall.Sethostname([]byte("machine-0")); err != nil {
		return fmt.Errorf("cannot name the machine: %w", err)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("cannot turn on the loopback interface: %w", err)
	}
	for name, number := range takenAway {
		if _, _, failure := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, number, 0); failure != 0 {
			return fmt.Errorf("cannot give up %s: %w", name, failure)
		}
	}
	environ := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=test"} // any name will do
	return fmt.Errorf("cannot run systemd: %w", syscall.Exec(initProgram, []string{initProgram}, environ))
}

// mountAll mounts what systemd expects of a container manager
// (https://systemd.io/CONTAINER_INTERFACE). All of it goes with the namespace.
func (l layout) mountAll() error {
	const (
		bind    = syscall.MS_BIND
		private = syscall.MS_PRIVATE | syscall.MS_REC
		frozen  = syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY
		careful = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	)
	type mount struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	mounts := []mount{
		{"", "/", "", private, ""},
		{l.root, l.root, "", bind, ""},
		{"proc", l.root + "/proc", "proc", careful, ""},
		{"sysfs", l.root + "/sys", "sysfs", careful | syscall.MS_RDONLY, ""},
		{"cgroup", l.root + "/sys/fs/cgroup", "cgroup2", careful, ""},
		{"tmpfs", l.root + "/dev", "tmpfs", syscall.MS_NOSUID | syscall.MS_STRICTATIME, "mode=755"},
		{l.shared, l.root + l.shared, "", bind, ""},
		{"/dev/shm", l.root + hooksMemory, "", bind, ""},
	}
	for _, name := range []string{"/proc/sys", "/proc/sysrq-trigger"} { // the kernel is not the machine's
		if _, err := os.Stat(name); err != nil {
			continue // this kernel was built without
		}
		mounts = append(mounts, mount{l.root + name, l.root + name, "", bind, ""}, mount{"", l.root + name, "", frozen, ""})
	}
	for _, name := range l.systemDirectories() {
		mounts = append(mounts, mount{filepath.Join(l.system, name), l.root + name, "", bind | syscall.MS_REC, ""}, mount{"", l.root + name, "", frozen, ""})
	}
	for _, m := range mounts {
		if m.target != "/" && !strings.HasPrefix(m.target, l.root+"/proc/") {
			if err := os.MkdirAll(m.target, 0o755); err != nil {
				return err
			}
		}
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.target, err)
		}
	}
	return l.makeDevices()
}

// systemDirectories are those that a machine borrows.
func (l layout) systemDirectories() []string {
	directories := []string{"/usr"}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if state, err := os.Lstat(filepath.Join(l.system, name)); err == nil && state.IsDir() { // else it is a link into /usr
			directories = append(directories, name)
		}
	}
	return directories
}

// makeDevices fills /dev. The console is a file, so that a boot that fails can
// be read.
func (l layout) makeDevices() error {
	dev := l.root + "/dev"
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := bindFile("/dev/"+name, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	if err := bindFile(l.root+consoleName, filepath.Join(dev, "console")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dev, "pts"), 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("devpts", filepath.Join(dev, "pts"), "devpts", syscall.MS_NOSUID|syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"); err != nil {
		return fmt.Errorf("cannot mount the terminals: %w", err)
	}
	for name, target := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

func bindFile(source, target string) error {
	if err := os.WriteFile(target, nil, 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", target, err)
	}
	return nil
}

// enter makes the root of the machine that of this process, and lets go of the
// old one.
func (l layout) enter() error {
	if err := os.Chdir(l.root); err != nil {
		return err
	}
	if err := syscall.PivotRoot(".", "."); err != nil { // pivot_root(2) says how this works
		return err
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}

// raiseLoopback gives the machine its own loopback network (netdevice(7)).
func raiseLoopback() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		rest  [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	_, _, failure := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if failure != 0 {
		return failure
	}
	return nil
}

// furnish makes the root of a machine that has never run: its own /etc and
// /var, and the rest by links.
func (l layout) furnish() error {
	for _, name := range []string{"etc/systemd/system", "var/log/journal", "tmp", "root", "run"} {
		if err := os.MkdirAll(filepath.Join(l.root, name), 0o755); err != nil {
			return err
		}
	}
	for name, mode := range map[string]os.FileMode{"tmp": 0o777 | os.ModeSticky, "root": 0o700} {
		if err := os.Chmod(filepath.Join(l.root, name), mode); err != nil {
			return err
		}
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(filepath.Join(l.system, name)); err == nil {
			if err := os.Symlink(target, l.root+name); err != nil {
				return err
			}
		}
	}
	files := map[string]string{
		"etc/machine-id":    strings.Repeat("5", 32) + "\n", // without one systemd enables everything that is installed
		"etc/hostname":      "machine-0\n",
		"etc/hosts":         "127.0.0.1 localhost\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
		"etc/shadow":        "root:*:19000:0:99999:7:::\n",
		"root/secret":       "of root\n",
		consoleName:         "",
	}
	for _, name := range []string{"etc/passwd", "etc/group", "etc/ld.so.cache", "etc/login.defs"} {
		text, err := os.ReadFile(filepath.Join(l.system, name))
		if err != nil {
			continue // not every distribution has all of them
		}
		files[name] = string(text)
	}
	for _, name := range []string{"etc/passwd", "etc/group"} {
		files[name] = without(files[name], account)
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if name == "etc/shadow" || name == "root/secret" {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(l.root, name), []byte(text), mode); err != nil {
			return err
		}
	}
	// Nobody logs in, and there is no terminal to try it at for ever.
	if err := os.Symlink("/dev/null", filepath.Join(l.root, "etc/systemd/system/console-getty.service")); err != nil {
		return err
	}
	return os.Symlink("../usr/lib/os-release", filepath.Join(l.root, "etc/os-release"))
}

// without leaves one account out of a passwd(5) or group(5).
func without(text, name string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name+":") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// findCgroup is where this machine has its unified hierarchy (cgroups(7)).
func findCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[2] == "cgroup2" {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("no cgroup2 is mounted")
}

// removeCgroup removes a cgroup that has no process any more, and those below.
func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroup(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(path)
}

func cgroupName() string { return "tls-authority-systemd-" + strconv.Itoa(os.Getpid()) }
