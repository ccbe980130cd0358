// SPDX-License-Identifier: GPL-3.0-only

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// callWithin bounds what a hook waits for. The program that it calls bounds
	// what it does itself, far below: systemd has 15 seconds to stop a unit.
	callWithin = time.Minute
	// endWithin is how long a program that was told to end may still take down
	// what it has begun.
	endWithin = 15 * time.Second
	// maxComplaint is more than a sentence, in bytes.
	maxComplaint = 4 << 10
)

// Start makes the service do what the plan says, and waits until it does. It
// changes nothing that is right already. When the service does not come up,
// nothing of it is left running.
func (s Site) Start(ctx context.Context, p Plan) error {
	const doing = "cannot start the status service"
	text, err := json.Marshal(p)
	if err != nil {
		return s.Sentence(doing, err)
	}
	return s.call(ctx, doing, "start", text)
}

// Restart does what the last Start did, with what it was told.
func (s Site) Restart(ctx context.Context) error {
	return s.call(ctx, "cannot restart the status service", "restart", nil)
}

// Stop takes the service away, and everything that Start made but the user.
// The state goes last: where there is none, and no unit of systemd, there is
// nothing to stop.
func (s Site) Stop(ctx context.Context) error {
	if isAbsent(s.State) && isAbsent(s.UnitPath()) {
		return nil
	}
	return s.call(ctx, "cannot stop the status service", "stop", nil)
}

func isAbsent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// call runs the program that looks after the service. It ends with the hook,
// as all that a hook does; what it starts does not.
func (s Site) call(ctx context.Context, doing, verb string, input []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	command := exec.CommandContext(ctx, s.Program(), "service", verb, "--charm", s.Charm, "--unit", s.Unit)
	var complaint limited
	command.Stdin, command.Stderr = bytes.NewReader(input), &complaint
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = endWithin
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose death the signal is about
	defer runtime.UnlockOSThread()
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 1 && len(complaint.text) > 0:
		return errors.New(line(string(complaint.text)))
	case errors.As(err, &exit):
		err = fmt.Errorf("%s has ended: %w", s.Program(), err)
	}
	return s.Sentence(doing, err)
}

// limited keeps the beginning of what is written to it.
type limited struct{ text []byte }

func (l *limited) Write(content []byte) (int, error) {
	l.text = append(l.text, content[:min(len(content), maxComplaint-len(l.text))]...)
	return len(content), nil
}
