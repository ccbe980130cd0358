// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
)

// serverHost is a name of every server certificate of a hierarchy.
const serverHost = "server.example.com"

// hierarchy is one way in which certificates of every profile hang together.
type hierarchy struct {
	root *x509.Certificate
	// between is what is shown beside a leaf.
	between []*x509.Certificate
	issuer  *pki.Issuer
	// onlyNames is a hierarchy that allows no addresses.
	onlyNames bool
}

// leaf is a certificate with the key that goes with it.
type leaf struct {
	*x509.Certificate
	key pki.PrivateKey
}

func newKey(t *testing.T, kind pki.KeyType) pki.PrivateKey {
	t.Helper()
	key, err := pki.GenerateKey(kind)
	require.NoError(t, err)
	return key
}

func newRoot(t *testing.T, now time.Time, name string, kind pki.KeyType) *pki.Issuer {
	t.Helper()
	key := newKey(t, kind)
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: name, Organization: "Example"}, Validity: pki.NewValidity(now, 10*365*24*time.Hour),
	}, key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(root, key)
	require.NoError(t, err)
	return issuer
}

// issue makes a certificate of a profile, valid for as long as the template says.
func issue(t *testing.T, issuer *pki.Issuer, template pki.Template, key pki.PrivateKey) leaf {
	t.Helper()
	certificate, err := issuer.Issue(template, key.Public())
	require.NoError(t, err)
	return leaf{certificate, key}
}

const year = 365 * 24 * time.Hour

// valid is a validity as long as the issuer lets it be.
func valid(t *testing.T, issuer *pki.Issuer, now time.Time, lifetime time.Duration) pki.Validity {
	t.Helper()
	validity, err := pki.ValidityOf(issuer.Certificate()).Clip(now, lifetime)
	require.NoError(t, err)
	return validity
}

// below makes a CA of the profile SubCA.
func below(t *testing.T, now time.Time, issuer *pki.Issuer, constraints *pki.NameConstraints) *pki.Issuer {
	t.Helper()
	made := issue(t, issuer, pki.Template{
		Profile: pki.SubCA, Subject: pki.Subject{CommonName: "Issuing CA"}, Constraints: constraints, Validity: valid(t, issuer, now, 2*year),
	}, newKey(t, pki.ECDSAP256))
	next, err := pki.NewIssuer(made.Certificate, made.key)
	require.NoError(t, err)
	return next
}

// foreign makes a CA as an operator may bring it, with a path length that no
// profile of ours has.
func foreign(t *testing.T, now time.Time, name string, parent *x509.Certificate, signer crypto.Signer, pathLength int) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, MaxPathLen: pathLength,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(5 * year),
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return made, key
}

// heldToAddresses is the hierarchy with constraints that Java may stumble over.
const heldToAddresses = "a CA held to names and addresses"

// hierarchies are those that the charm can be part of, by name.
func hierarchies(t *testing.T, now time.Time) map[string]hierarchy {
	t.Helper()
	all := map[string]hierarchy{}
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA2048, pki.RSA3072, pki.RSA4096} {
		root := newRoot(t, now, "Root "+string(kind), kind)
		all["a root of "+string(kind)] = hierarchy{root: root.Certificate(), issuer: root}
	}
	old, next := newRoot(t, now, "Root G1", pki.RSA3072), newRoot(t, now, "Root G2", pki.ECDSAP256)
	cross, err := old.CrossSign(next.Certificate(), now)
	require.NoError(t, err)
	all["a cross-certificate"] = hierarchy{root: old.Certificate(), between: []*x509.Certificate{cross}, issuer: next}

	sub := below(t, now, old, nil)
	all["the CA of a requirer"] = hierarchy{root: old.Certificate(), between: []*x509.Certificate{sub.Certificate()}, issuer: sub}
	sub = below(t, now, next, nil)
	all["the CA of a requirer below a cross-certificate"] = hierarchy{root: old.Certificate(), between: []*x509.Certificate{sub.Certificate(), cross}, issuer: sub}
	sub = below(t, now, next, &pki.NameConstraints{PermittedDNS: []string{"example.com"}, PermittedIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	all[heldToAddresses] = hierarchy{root: next.Certificate(), between: []*x509.Certificate{sub.Certificate()}, issuer: sub}
	sub = below(t, now, next, &pki.NameConstraints{
		PermittedDNS: []string{"example.com"}, PermittedIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	})
	all["a CA held to names and addresses of both kinds"] = hierarchy{root: next.Certificate(), between: []*x509.Certificate{sub.Certificate()}, issuer: sub}
	sub = below(t, now, next, &pki.NameConstraints{PermittedDNS: []string{"example.com"}})
	all["a CA held to names"] = hierarchy{root: next.Certificate(), between: []*x509.Certificate{sub.Certificate()}, issuer: sub, onlyNames: true}

	top, topKey := foreign(t, now, "Corporate Root", nil, nil, 2)
	middle, middleKey := foreign(t, now, "Corporate Policy CA", top, topKey, 1)
	der, err := x509.MarshalPKCS8PrivateKey(middleKey)
	require.NoError(t, err)
	key, err := pki.ParsePrivateKeyDER(der)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(middle, key)
	require.NoError(t, err)
	all["an imported intermediate"] = hierarchy{root: top, between: []*x509.Certificate{middle}, issuer: issuer}
	sub = below(t, now, issuer, nil)
	all["three tiers"] = hierarchy{root: top, between: []*x509.Certificate{sub.Certificate(), middle}, issuer: sub}
	return all
}

// leaves makes a certificate of every leaf profile, by name.
func (h hierarchy) leaves(t *testing.T, now time.Time) map[string]leaf {
	t.Helper()
	subject, err := pki.LeafSubject(serverHost)
	require.NoError(t, err)
	texts := []string{serverHost, "*.example.com", "10.0.0.1"}
	if h.onlyNames {
		texts = texts[:2]
	}
	names, problems := pki.ParseNames(texts)
	require.Empty(t, problems)
	client, err := pki.LeafSubject("system:kube-apiserver")
	require.NoError(t, err)
	rsaKey := newKey(t, pki.RSA2048)
	long, short := valid(t, h.issuer, now, year), valid(t, h.issuer, now, year/4)
	made := map[string]leaf{
		"server": issue(t, h.issuer, pki.Template{Profile: pki.Server, Subject: subject, Names: names, Validity: long}, rsaKey),
		"client": issue(t, h.issuer, pki.Template{Profile: pki.Client, Subject: client, Names: names, Validity: long}, rsaKey),
		"leaf for both": issue(t, h.issuer, pki.Template{Profile: pki.Leaf, Subject: subject, Names: names, Usage: pki.ServerAuth | pki.ClientAuth, Validity: short},
			newKey(t, pki.ECDSAP256)),
		"leaf without subject": issue(t, h.issuer, pki.Template{Profile: pki.Leaf, Names: names, Usage: pki.ServerAuth, Validity: short}, newKey(t, pki.ECDSAP384)),
		"leaf for clients":     issue(t, h.issuer, pki.Template{Profile: pki.Leaf, Subject: client, Names: names, Usage: pki.ClientAuth, Validity: short}, newKey(t, pki.ECDSAP256)),
	}
	key := newKey(t, pki.ECDSAP256)
	answers, err := pki.ResponderSubject(h.issuer.Certificate().Subject.CommonName, key.Public())
	require.NoError(t, err)
	made["responder"] = issue(t, h.issuer, pki.Template{Profile: pki.Responder, Subject: answers, Validity: valid(t, h.issuer, now, 6*24*time.Hour)}, key)
	return made
}

// TestEveryProfileVerifies has every implementation that is at hand judge a
// certificate of every profile below every hierarchy: what it is for, and what
// it is not for.
func TestEveryProfileVerifies(t *testing.T) {
	const server, client, responder = x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageOCSPSigning
	known := verifiers(t)
	all := hierarchies(t, time.Now())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := all[name]
		leaves := h.leaves(t, time.Now())
		for _, who := range slices.Sorted(maps.Keys(known)) {
			t.Run(name+", by "+who, func(t *testing.T) {
				judge := func(l leaf, usage x509.ExtKeyUsage, host string) error {
					key, err := x509.ParsePKCS8PrivateKey(l.key.EncodeDER())
					require.NoError(t, err)
					return known[who](question{trust: pemOf(h.root), leaf: l.Certificate, between: h.between, usage: usage, host: host, key: key})
				}
				for of, c := range map[string]struct{ server, client, responder bool }{
					"server": {server: true, client: true}, "client": {client: true},
					"leaf for both": {server: true, client: true}, "leaf without subject": {server: true}, "leaf for clients": {client: true},
					"responder": {responder: true},
				} {
					for usage, wanted := range map[x509.ExtKeyUsage]bool{server: c.server, client: c.client, responder: c.responder} {
						host := ""
						if usage == server {
							host = serverHost
						}
						err := judge(leaves[of], usage, host)
						if err == errNotAsked {
							continue
						}
						if name == heldToAddresses && err != nil && strings.Contains(err.Error(), "out of bounds") {
							t.Skip("NOT VERIFIED: this Java reads past the end of an IPv4 address when it compares it with an excluded range of IPv6")
						}
						require.Equal(t, wanted, err == nil, "%s as %s: %v", of, usages[usage], err)
					}
					if c.server {
						require.NoError(t, judge(leaves[of], server, "any.example.com"), "%s: the wildcard", of)
						require.Error(t, judge(leaves[of], server, "server.example.org"), "%s: a wrong name", of)
					}
				}
			})
		}
	}
}

// TestOpenSSLAcceptsOCSPAnswers has openssl check an answer of each hierarchy's
// responder, and refuse one that another leaf signed.
func TestOpenSSLAcceptsOCSPAnswers(t *testing.T) {
	requireProgram(t, "openssl")
	for name, h := range hierarchies(t, time.Now()) {
		t.Run(name, func(t *testing.T) {
			leaves, f := h.leaves(t, time.Now()), newFiles(t)
			responder, err := pki.NewOCSPResponder(leaves["responder"].Certificate, h.issuer.Certificate(), leaves["responder"].key)
			require.NoError(t, err)
			now := time.Now().UTC().Truncate(time.Second)
			good, err := responder.Sign(pki.OCSPAnswer{Serial: leaves["server"].SerialNumber, Hash: crypto.SHA1, State: pki.Good, ThisUpdate: now, NextUpdate: now.Add(time.Hour)})
			require.NoError(t, err)
			check := func(answer []byte) error {
				path := filepath.Join(t.TempDir(), "answer")
				require.NoError(t, os.WriteFile(path, answer, 0o600))
				return run("openssl", "ocsp", "-respin", path, "-issuer", f.path(pemOf(h.issuer.Certificate())), "-cert", f.path(pemOf(leaves["server"].Certificate)),
					"-CAfile", f.path(pemOf(append([]*x509.Certificate{h.root}, h.between...)...)), "-no_nonce")
			}
			require.NoError(t, check(good))
			signer, err := x509.ParsePKCS8PrivateKey(leaves["client"].key.EncodeDER())
			require.NoError(t, err)
			forged, err := ocsp.CreateResponse(h.issuer.Certificate(), leaves["client"].Certificate, ocsp.Response{
				Status: ocsp.Good, SerialNumber: leaves["server"].SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: leaves["client"].Certificate,
			}, signer.(crypto.Signer))
			require.NoError(t, err)
			require.Error(t, check(forged), "a client certificate signs no answers")
		})
	}
}

// requireProgram skips a test that needs a program which is not there.
func requireProgram(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT VERIFIED: %s is not installed", name)
		}
	}
}
