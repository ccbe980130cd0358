// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/control"
	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/spool"
)

// station is the status service of this unit as a hook sees it. Nothing that
// goes wrong with it fails a hook: issuing goes on, and the status tells.
type station struct {
	site    control.Site
	client  *juju.Client
	started time.Time
	clock   func() time.Time
}

// known is what is known of the service without looking after it.
func (st station) known(event juju.Event) decision.Daemon {
	trouble := st.site.Trouble()
	if aboutRequirer(event) || !st.site.Exists() {
		return decision.Daemon{Trouble: trouble} // nobody is certified in such a hook
	}
	key, err := responderKey(st.site.Spool())
	if err != nil && trouble == "" {
		trouble = line(err)
	}
	return decision.Daemon{Key: key, Trouble: trouble}
}

// attend sees to it that the service runs where it should, before anything is
// decided: it is certified by what is decided.
func (st station) attend(ctx context.Context, s decision.Snapshot) decision.Daemon {
	var err error
	switch {
	case s.LogTargetsRead && len(s.ConfigProblems) == 0:
		// The events that may bring other options, another program, another
		// address or another place for the log.
		err = st.settle(ctx, s)
	case aboutRequirer(s.Event) || !st.site.Exists():
		return s.Daemon
	default:
		if err = st.site.Check(ctx); err != nil {
			err = st.site.Restart(ctx)
		}
	}
	trouble, before := line(err), st.site.Trouble()
	if err == nil && strings.HasPrefix(before, untold) {
		return st.known(s.Event) // it runs, and inform finds out whether it can be told anything
	}
	if trouble != before {
		st.tell(ctx, st.site.SetTrouble(trouble))
		if trouble != "" {
			st.tell(ctx, errors.New("the status service is off: "+trouble))
		}
	}
	daemon := st.known(s.Event)
	daemon.Trouble = cmp.Or(daemon.Trouble, trouble) // which a full disk does not keep
	return daemon
}

// untold begins the trouble of a service that runs and was not told the latest.
const untold = "cannot write "

// line is an error as a status can tell it; "" for none.
func line(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if _, cause, found := strings.Cut(text, "the status service: "); found {
		text = cause // the status says before what does not run
	}
	return record.Cut(text, maxTrouble)
}

// maxTrouble leaves room for the rest of the status.
const maxTrouble = 120

// aboutRequirer tells the many events that are about one requirer each: a
// service that fell ill is not looked after in them.
func aboutRequirer(event juju.Event) bool {
	return relationEvent(event) && event.Relation.Endpoint == decision.CertificatesEndpoint
}

// settle starts the service by the options, or takes it down.
func (st station) settle(ctx context.Context, s decision.Snapshot) error {
	port := s.Config.StatusPort
	if err := st.openPort(ctx, port); err != nil {
		return err
	}
	if port == 0 {
		return st.site.Stop(ctx)
	}
	bind := s.Outlet.Bind
	if bind == "" {
		var err error
		if bind, _, err = st.client.Addresses(ctx, statusBinding); err != nil {
			return err
		}
	}
	if _, err := netip.ParseAddr(bind); err != nil {
		return fmt.Errorf("the binding %s has no address yet", statusBinding)
	}
	plan := control.Plan{Address: bind, Port: port}
	for _, target := range s.LogTargets {
		plan.Logs = append(plan.Logs, control.LogTarget{Name: target.Name, URL: target.URL, Labels: map[string]string{
			"juju_model": s.Event.Model, "juju_model_uuid": s.Event.ModelUUID,
			"juju_application": s.Event.Unit.Application(), "juju_unit": string(s.Event.Unit),
		}})
	}
	return st.site.Start(ctx, plan)
}

// openPort opens the one port and closes those of options before.
func (st station) openPort(ctx context.Context, port int) error {
	opened, err := st.client.OpenedPorts(ctx)
	if err != nil {
		return err
	}
	wanted := strconv.Itoa(port) + "/tcp"
	for _, other := range opened {
		if other != wanted {
			if err := st.client.ClosePort(ctx, other); err != nil {
				return err
			}
		}
	}
	if port == 0 || slices.Contains(opened, wanted) {
		return nil
	}
	return st.client.OpenPort(ctx, wanted)
}

// responderKey is the public key with which the service answers OCSP. Where it
// has none one is made.
func responderKey(spool spool.Folder) ([]byte, error) {
	keys, err := spool.ReadKeys()
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		key, err := signing.NewResponderKey()
		if err != nil {
			return nil, err
		}
		keys = []pki.PrivateKey{key}
		if err := spool.WriteKeys(keys); err != nil {
			return nil, err
		}
	}
	return pki.EncodePublicKey(keys[0].Public())
}

// inform writes what the service tells, by the record as the hook leaves it.
// What Juju then refuses to commit has been told too early, and is told again.
func (st station) inform(ctx context.Context, s decision.Snapshot, c signing.Changes) {
	if !st.site.Exists() || s.Peer == nil {
		return
	}
	r := s.Peer.Record
	if s.Leader && c.Peer != nil && peerChanges(s, c.Peer) != nil {
		parsed, err := record.Parse(c.Peer)
		if err != nil {
			st.tell(ctx, err)
			return
		}
		r = parsed
	} else if aboutRequirer(s.Event) {
		return // the record is as the service knows it
	}
	hook := spool.Hook{Duration: st.clock().Sub(st.started), Calls: st.client.Calls()}
	spool := st.site.Spool()
	err := spool.WriteStatus(told(s, r, hook))
	switch {
	case err != nil:
		// What is withdrawn makes room for the reason, which the next hook tells.
		st.tell(ctx, errors.Join(err, spool.Withdraw(), st.site.SetTrouble(line(err))))
	case strings.HasPrefix(st.site.Trouble(), untold):
		st.tell(ctx, st.site.SetTrouble(""))
	}
}

// tell logs what went wrong with the service.
func (st station) tell(ctx context.Context, err error) {
	if err != nil {
		_ = st.client.Log(ctx, juju.Warning, err.Error()) // there is nobody else to tell
	}
}
