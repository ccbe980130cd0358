// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
	"tls-authority/internal/operator"
	"tls-authority/tests/life"
)

// state is what Juju keeps of a model that the charm serves: all that a unit
// with another release of the charm finds.
type state struct {
	Comment string         `json:"comment"`
	Now     time.Time      `json:"now"`
	Options map[string]any `json:"options"`
	// Peer are the databags of the peer relation, Relations those of the others,
	// by their number; owners are units and applications, of both sides.
	Peer      map[string]map[string]string            `json:"peer"`
	Relations map[string]map[string]map[string]string `json:"relations"`
	// Secrets are the contents by label.
	Secrets map[string]map[string]string `json:"secrets"`
}

const comment = "Recorded by go test ./tests/life -run '^TestAStateIsRecorded$' -update. All keys in it were made for this file and were never used."

// Who is in the model of a state. The last unit of ours has a status service
// as far as the others can see, though it has no process.
const (
	leading, next, served = life.Application + "/0", life.Application + "/1", life.Application + "/2"
	peerRelation          = 0
)

// requirersOf are the applications of a state by the numbers of their relations.
var requirersOf = map[int]string{1: "cluster", 2: "web"}

// stand is a model whose units run what the test wants.
type stand struct {
	*jujusim.Model
	t   *testing.T
	now time.Time
	// program is what units run in place of the charm, unless it is nil.
	program func(ctx context.Context, event juju.Event, client *juju.Client) error
	// shown is the public key that the last unit shows the leader.
	shown string
}

// newStand deploys three units of the charm. They run nothing until the caller
// lets the model settle.
func newStand(t *testing.T, now time.Time) *stand {
	t.Helper()
	s := &stand{t: t, now: now}
	model, err := jujusim.New(jujusim.Options{
		Now:     func() time.Time { return s.now },
		Cache:   filepath.Join(filepath.Dir(charmPath(t)), "unpacked"),
		Program: s.run,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	s.Model = model
	require.NoError(t, s.Deploy(charmPath(t), life.Application, 3))
	return s
}

// run is dispatch.
func (s *stand) run(ctx context.Context, environ []string, _ string, _, stderr io.Writer) int {
	if s.program == nil {
		if code := operator.Dispatch(ctx, environ, func() time.Time { return s.now }, stderr); code != 0 {
			return code
		}
	}
	event, err := juju.ParseEvent(environ)
	if err == nil {
		var runner juju.Runner
		if runner, err = juju.Connect(ctx, environ, event.CharmDirectory); err == nil {
			defer runner.(io.Closer).Close()
			err = s.after(ctx, event, juju.NewClient(runner, ""))
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func (s *stand) after(ctx context.Context, event juju.Event, client *juju.Client) error {
	if s.program != nil {
		return s.program(ctx, event, client)
	}
	if event.Unit != served || s.shown == "" || event.Kind < juju.LeaderElected {
		return nil // the relation may not be there yet
	}
	return client.WriteUnitBag(ctx, juju.RelationID{Endpoint: "authority", Number: peerRelation}, map[string]string{"responder-key": s.shown})
}

func (s *stand) settle() {
	s.t.Helper()
	require.NoError(s.t, s.Settle())
}

func (s *stand) act(name string, parameters map[string]any) {
	s.t.Helper()
	result, err := s.RunAction(leading, name, parameters)
	require.NoError(s.t, err)
	require.Equal(s.t, "completed", result.Status, result.Message)
}

// update runs update-status on all units until that has been done often enough
// for waves to be over.
func (s *stand) update(rounds int) {
	s.t.Helper()
	for range rounds {
		for _, unit := range s.Units(life.Application) {
			require.NoError(s.t, s.UpdateStatus(unit))
		}
		s.settle()
	}
}

// relate adds the requirers with their databags, in the order of the numbers.
func (s *stand) relate(units int, bags func(application, unit string) map[string]string) {
	s.t.Helper()
	for _, number := range slices.Sorted(maps.Keys(requirersOf)) {
		application := requirersOf[number]
		require.NoError(s.t, s.AddStandIn(application, units))
		got, err := s.Relate(life.Application+":certificates", application+":certificates")
		require.NoError(s.t, err)
		require.Equal(s.t, number, got)
		for i := range units {
			unit := fmt.Sprintf("%s/%d", application, i)
			require.NoError(s.t, s.SetBag(number, unit, bags(application, unit)))
		}
	}
}

// record takes the state of the model down.
func (s *stand) record(options map[string]any) state {
	s.t.Helper()
	found := state{
		Comment: comment, Now: s.now, Options: options,
		Peer: map[string]map[string]string{}, Relations: map[string]map[string]map[string]string{}, Secrets: map[string]map[string]string{},
	}
	ours := append(s.Units(life.Application), life.Application)
	for _, owner := range ours {
		found.Peer[owner] = s.bag(peerRelation, owner)
	}
	for number, application := range requirersOf {
		bags := map[string]map[string]string{}
		for _, owner := range slices.Concat(ours, s.Units(application)) {
			bags[owner] = s.bag(number, owner)
		}
		found.Relations[fmt.Sprint(number)] = bags
	}
	for _, secret := range s.Secrets() {
		found.Secrets[secret.Label] = s.SecretContent(secret.ID)
	}
	return found
}

// bag is a databag without what Juju writes into it.
func (s *stand) bag(number int, owner string) map[string]string {
	bag := maps.Clone(s.Bag(number, owner))
	for _, key := range []string{"ingress-address", "private-address", "egress-subnets"} {
		delete(bag, key)
	}
	if bag == nil {
		bag = map[string]string{}
	}
	return bag
}

// adopt makes a model that is in a recorded state, as after a refresh of the
// charm: no hook of this charm has run in it.
func adopt(t *testing.T, recorded state) *stand {
	t.Helper()
	s := newStand(t, recorded.Now.Add(time.Minute))
	s.program = func(context.Context, juju.Event, *juju.Client) error { return nil }
	options := maps.Clone(recorded.Options)
	for name, value := range options {
		if number, is := value.(float64); is { // JSON knows no integers
			options[name] = int(number)
		}
	}
	require.NoError(t, s.Configure(life.Application, options))
	s.relate(2, func(_, unit string) map[string]string {
		for _, bags := range recorded.Relations {
			if bag, found := bags[unit]; found {
				return bag
			}
		}
		return nil
	})
	s.settle()
	require.Equal(t, leading, s.Leader(life.Application))
	s.program = recorded.plant
	for _, unit := range s.Units(life.Application) {
		require.NoError(t, s.UpdateStatus(unit))
	}
	s.program = func(context.Context, juju.Event, *juju.Client) error { return nil }
	s.settle()
	s.shown = recorded.Peer[served]["responder-key"]
	require.Equal(t, recorded, s.record(recorded.Options).at(recorded.Now), "what was planted is what was recorded")
	s.program = nil
	return s
}

func (s state) at(now time.Time) state {
	s.Now = now
	return s
}

// plant writes, in update-status, all that one unit may write.
func (s state) plant(ctx context.Context, event juju.Event, client *juju.Client) error {
	if event.Kind != juju.UpdateStatus {
		return nil
	}
	leads := event.Unit == leading
	write := func(id juju.RelationID, bags map[string]map[string]string) error {
		err := client.WriteUnitBag(ctx, id, bags[string(event.Unit)])
		if leads {
			err = errors.Join(err, client.WriteApplicationBag(ctx, id, bags[life.Application]))
		}
		return err
	}
	err := write(juju.RelationID{Endpoint: "authority", Number: peerRelation}, s.Peer)
	for number := range requirersOf {
		err = errors.Join(err, write(juju.RelationID{Endpoint: "certificates", Number: number}, s.Relations[fmt.Sprint(number)]))
	}
	for label, content := range s.Secrets {
		secret := juju.Secret{Label: label, Content: map[string][]byte{}}
		for key, value := range content {
			secret.Content[key] = []byte(value)
		}
		if leads {
			_, added := client.AddSecret(ctx, secret)
			err = errors.Join(err, added)
		}
	}
	return err
}

// asked is what the requirers of a state ask for.
func asked(t *testing.T) func(application, unit string) map[string]string {
	return func(application, unit string) map[string]string {
		name := strings.ReplaceAll(unit, "/", "-") + ".example.com"
		if application == "cluster" {
			return map[string]string{
				"unit_name": strings.ReplaceAll(unit, "/", "_"), "common_name": name, "sans": `["10.0.0.1"]`, "certificate_name": "a",
				"cert_requests":             fmt.Sprintf(`{"listed-%s":{"sans":["10.0.0.2"]}}`, name),
				"client_cert_requests":      fmt.Sprintf(`{"client-%s":{"sans":[]}}`, name),
				"application_cert_requests": fmt.Sprintf(`{"app_data":{"sans":[%q]}}`, "shared.example.com"),
			}
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
		require.NoError(t, err)
		request := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
		text, err := json.Marshal([]map[string]any{{"certificate_signing_request": request, "ca": false}})
		require.NoError(t, err)
		return map[string]string{"certificate_signing_requests": string(text)}
	}
}

// newResponderKey is a public key as a unit shows it.
func newResponderKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}
