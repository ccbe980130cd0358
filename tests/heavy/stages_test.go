// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tls-authority/tests/life"
)

// hold is how long a stage of a rotation is held. All of a rotation is in the
// past: programs that cannot be told another time find everything valid.
const hold = 10 * time.Minute

// Names of those who ask.
const (
	legacyHost = "legacy.example.com"
	csrHost    = "csr.example.com"
	wrongHost  = "other.example.com"
	apiserver  = "system:kube-apiserver" // a client

	legacyParty = "a legacy requirer"
	csrParty    = "a CSR requirer"
)

// browsers are those whose trust is tried with a browser, which takes seconds;
// what the others are told differs from it in the order alone.
var browsers = []string{legacyParty, csrParty}

// town is a model with a requirer of each dialect and one that only trusts.
type town struct {
	*life.Life
	t                  *testing.T
	legacy, csr, trust int // relations
	csrKey             *ecdsa.PrivateKey
}

// newTown deploys the charm at a moment of the past.
func newTown(t *testing.T, ago time.Duration, options map[string]any) *town {
	t.Helper()
	l, err := life.New(charmPath(t), 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	l.Now = time.Now().UTC().Truncate(time.Second).Add(-ago)
	options["rotation-hold"] = fmt.Sprintf("%dm", int(hold.Minutes()))
	require.NoError(t, l.Model.Configure(life.Application, options))
	require.NoError(t, l.Model.Settle())
	return &town{Life: l, t: t}
}

// relate adds an application with the databags of its units.
func (w *town) relate(ours, application, theirs string, bags ...map[string]string) int {
	w.t.Helper()
	require.NoError(w.t, w.Model.AddStandIn(application, len(bags)))
	relation, err := w.Model.Relate(life.Application+":"+ours, application+":"+theirs)
	require.NoError(w.t, err)
	for i, bag := range bags {
		require.NoError(w.t, w.Model.SetBag(relation, fmt.Sprintf("%s/%d", application, i), bag))
	}
	require.NoError(w.t, w.Model.Settle())
	return relation
}

// populate relates one requirer of each kind.
func (w *town) populate() {
	w.t.Helper()
	w.legacy = w.relate("certificates", "legacy", "certificates", map[string]string{
		"unit_name": "legacy_0", "common_name": legacyHost, "sans": `["127.0.0.1"]`,
		// Refused as a server for its usage alone.
		"client_cert_requests": `{"` + apiserver + `": {"sans": ["` + legacyHost + `", "127.0.0.1"]}}`,
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	w.csrKey = key
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: csrHost}, DNSNames: []string{csrHost}}, key)
	require.NoError(w.t, err)
	text, err := json.Marshal([]map[string]any{{
		"certificate_signing_request": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), "ca": false,
	}})
	require.NoError(w.t, err)
	w.csr = w.relate("certificates", "csr", "certificates", map[string]string{"certificate_signing_requests": string(text)})
	w.trust = w.relate("send-ca-cert", "trust", "receive-ca-cert", nil)
}

// view is what everybody is told at one moment.
type view struct {
	stage  string
	trusts map[string]string   // PEM of what is to be trusted, by who is told
	shows  map[string]question // chains that are shown, by whose they are
}

// look reads the databags as requirers do.
func (w *town) look(stage string) view {
	w.t.Helper()
	ours := w.Model.Leader(life.Application)
	v := view{stage: stage, trusts: map[string]string{}, shows: map[string]question{}}

	bag := w.Model.Bag(w.legacy, ours)
	v.trusts[legacyParty] = bag["ca"]
	v.shows["legacy server"] = w.shown(bag["legacy_0.server.cert"]+bag["chain"], bag["legacy_0.server.key"], x509.ExtKeyUsageServerAuth, legacyHost)
	v.shows["global client"] = w.shown(bag["client.cert"]+bag["chain"], bag["client.key"], x509.ExtKeyUsageClientAuth, "")

	clients := map[string]struct{ Cert, Key string }{}
	require.NoError(w.t, json.Unmarshal([]byte(bag["legacy_0.processed_client_requests"]), &clients))
	v.shows["named client"] = w.shown(clients[apiserver].Cert+bag["chain"], clients[apiserver].Key, x509.ExtKeyUsageClientAuth, "")

	var answers []struct {
		CA    string
		Chain []string
	}
	require.NoError(w.t, json.Unmarshal([]byte(w.Model.Bag(w.csr, life.Application)["certificates"]), &answers))
	v.trusts[csrParty] = answers[0].CA
	q := question{usage: x509.ExtKeyUsageServerAuth, host: csrHost, key: w.csrKey}
	all := parseAll(w.t, strings.Join(answers[0].Chain, "\n"))
	q.leaf, q.between = all[0], all[1:]
	v.shows["CSR leaf"] = q

	var set []string
	require.NoError(w.t, json.Unmarshal([]byte(w.Model.Bag(w.trust, life.Application)["certificates"]), &set))
	v.trusts["who takes version 1 of certificate_transfer"] = strings.Join(set, "\n")
	var root string
	require.NoError(w.t, json.Unmarshal([]byte(w.Model.Bag(w.trust, ours)["ca"]), &root))
	v.trusts["who takes version 0 of certificate_transfer"] = root
	return v
}

func (w *town) shown(chain, key string, usage x509.ExtKeyUsage, host string) question {
	w.t.Helper()
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	require.NoError(w.t, err)
	all := parseAll(w.t, chain)
	return question{leaf: all[0], between: all[1:], usage: usage, host: host, key: pair.PrivateKey}
}

// stage is that of the rotation, "none" at rest.
func (w *town) stage() string {
	w.t.Helper()
	result, err := w.Act("rotation-status", nil)
	require.NoError(w.t, err)
	stage, _ := result.Results["stage"].(string)
	return stage
}

// follow rotates to the end and returns what was told at the end of each stage.
// change may be nil; it is called after every hook.
func (w *town) follow(change func()) []view {
	w.t.Helper()
	const most = 16 // stages and waits for the CA above
	views := []view{w.look("before")}
	for range most {
		for ran, err := true, error(nil); ran; {
			ran, err = w.Model.Step()
			require.NoError(w.t, err)
			if change != nil && ran {
				change()
			}
			v := w.look(w.stage())
			if views[len(views)-1].stage == v.stage {
				views = views[:len(views)-1]
			}
			views = append(views, v)
		}
		if views[len(views)-1].stage == "none" && len(views) > 1 {
			return views
		}
		w.Now = w.Now.Add(hold)
		require.True(w.t, w.Now.Before(time.Now()), "the rotation reaches the present")
		for _, unit := range append(w.Model.Units(life.Application), w.Model.Units(life.Upper)...) {
			require.NoError(w.t, w.Model.Queue(unit, "update-status"))
		}
	}
	require.FailNow(w.t, "the rotation does not end", w.Status())
	return nil
}

// workers is how many programs run at a time.
const workers = 4

// TestEveryChainOfARotationVerifies has every implementation that is at hand
// judge what is shown in each stage of a rotation, by what is to be trusted in
// the same stage and in those beside it. What must be refused is asked of each
// too, so that a verifier that accepts everything is found out.
func TestEveryChainOfARotationVerifies(t *testing.T) {
	all := []string{"before", "preparing", "distributing", "issuing", "flipping", "retiring", "destroying", "none"}
	known := verifiers(t)
	trusted := newDatabases(t)
	t.Run("Chromium", func(t *testing.T) { known["Chromium"] = openChromium(t, trusted) })
	for name, c := range map[string]struct {
		begin  func(*town) error
		stages []string
	}{
		"from a root to a root":          {func(w *town) error { return w.Rotate("staged") }, all},
		"from a root to an intermediate": {func(w *town) error { return w.Above("10y") }, all},
		"in an emergency":                {func(w *town) error { return w.Rotate("emergency") }, []string{"before", "preparing", "replacing", "destroying", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, 6*time.Hour, map[string]any{})
			w.populate()
			before := w.look("before")
			require.NoError(t, c.begin(w))
			views := w.follow(nil)
			views = append([]view{before}, slices.DeleteFunc(views, func(v view) bool { return v.stage == "before" })...)
			var seen []string
			for _, v := range views {
				seen = append(seen, v.stage)
			}
			require.Equal(t, c.stages, seen)
			reach := 1
			if name == "in an emergency" {
				reach = 0 // who is a stage behind is cut off: that is its purpose
			}
			ask(t, known, views, reach)
		})
	}
}

// ask puts the questions of all views, each once, to all verifiers.
func ask(t *testing.T, known map[string]verifier, views []view, reach int) {
	t.Helper()
	type asked struct {
		question
		what    string
		refused bool
		browser bool // asked of browsers too: trust and chain of one stage
	}
	questions := map[string]asked{}
	for i, told := range views {
		for j, showing := range views {
			if max(i-j, j-i) > reach {
				continue
			}
			for _, who := range slices.Sorted(maps.Keys(told.trusts)) {
				for _, whose := range slices.Sorted(maps.Keys(showing.shows)) {
					q := showing.shows[whose]
					q.trust = told.trusts[who]
					what := fmt.Sprintf("%s, in %s, is shown the chain of the %s, in %s: ", who, told.stage, whose, showing.stage)
					add := func(q question, refused bool) {
						key := fmt.Sprint(q.trust, q.chain(), q.usage, q.host)
						questions[key] = asked{q, what + q.String(), refused, questions[key].browser || i == j && slices.Contains(browsers, who)}
					}
					add(q, false)
					add(q.as(x509.ExtKeyUsageClientAuth, ""), false)
					switch {
					case i != j:
					case q.host == "":
						add(q.as(x509.ExtKeyUsageServerAuth, legacyHost), true)
					default:
						add(q.as(x509.ExtKeyUsageServerAuth, wrongHost), true)
					}
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		t.Run(name, func(t *testing.T) {
			var group errgroup.Group
			var mu sync.Mutex
			accepted, refused, different := 0, 0, []string{}
			group.SetLimit(workers)
			for _, q := range questions {
				if name == "Chromium" && !q.browser {
					continue
				}
				group.Go(func() error {
					err := known[name](q.question)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == errNotAsked:
					case (err != nil) != q.refused:
						different = append(different, fmt.Sprintf("%s: %v", q.what, err))
					case q.refused:
						refused++
					default:
						accepted++
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
			require.Empty(t, different)
			require.NotZero(t, accepted)
			require.NotZero(t, refused)
			t.Logf("%d accepted, %d refused", accepted, refused)
		})
	}
}
