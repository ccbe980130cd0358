// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// hostileRow is one hostile input and what its sender gets.
type hostileRow struct {
	// name begins with the dialect, "csr" or "legacy".
	name string
	// csr makes the request; "" without openssl, where only that can make it.
	csr func(*stage) string
	// entries is the value in the databag, with the request in place of CSR.
	// When it is empty, the request is asked for properly.
	entries string
	// bag is what a sender of the legacy dialect writes; names of the sender
	// stand in it as the sender spells them.
	bag map[string]string
	// also is one more owner that writes the same.
	also string

	// code and reason are the error that the sender gets.
	code   int
	reason string
	// told is a word of the status, where nothing can be sent.
	told string
	// logged is a word of the log.
	logged string
	// kind is the place of a legacy answer, under the name commonName.
	kind, commonName string
	// subject and names are those of the certificate, if one is issued. Names
	// are separated by blanks.
	issued         bool
	subject, names string
}

// stage is a model in which hostile rows are tried one after another, beside
// neighbours who must not notice.
type stage struct {
	*site
	root               *x509.Certificate
	goodCSR            string
	hostile, good, old int
	published          map[string]string // to the good application of the CSR dialect
	given              map[string]string // to the good application of the legacy dialect
	sibling            map[string]string // to the good unit of the hostile application
	siblingCSR         string
	siblingAnswer      answer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{site: newSite(t, jujusim.Options{}, 1)}
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	s.goodCSR, _ = newCSR(t, named("good.example.com"))
	s.siblingCSR, _ = newCSR(t, named("sibling.example.com"))
	sibling := csrBag(t, s.siblingCSR)
	sibling["unit_name"], sibling["common_name"], sibling["sans"] = "hostile_1", "10.6.0.1", `["sibling.example.com"]`
	s.good = s.relate("good", map[string]map[string]string{"good/0": csrBag(t, s.goodCSR)})
	s.old = s.relate("etcd", etcdBags(1))
	s.hostile = s.relate("hostile", map[string]map[string]string{"hostile/0": {}, "hostile/1": sibling, "hostile/2": {}})
	s.root = s.site.root()
	requireServer(t, s.root, parseOne(t, s.answers(s.good)[s.goodCSR].Certificate))
	requireServer(t, s.root, serverPair(s.legacy(s.old), "etcd_0").leaf(t))
	requireServer(t, s.root, serverPair(s.legacy(s.hostile), "hostile_1").leaf(t))
	s.published, s.given = s.Bag(s.good, charm), s.legacy(s.old)
	s.sibling, s.siblingAnswer = s.answersOf("hostile_1"), s.answers(s.hostile)[s.siblingCSR]
	require.NotEmpty(t, s.siblingAnswer.Certificate)
	return s
}

// answersOf are the legacy answers to one unit of the hostile application.
func (s *stage) answersOf(unit string) map[string]string {
	bag := s.legacy(s.hostile)
	maps.DeleteFunc(bag, func(key, _ string) bool { return !strings.HasPrefix(key, unit+".") })
	return bag
}

// write replaces what an owner has in its databag.
func (s *stage) write(t *testing.T, owner string, bag map[string]string) {
	t.Helper()
	change := map[string]string{}
	for key := range s.Bag(s.hostile, owner) {
		change[key] = ""
	}
	maps.Copy(change, bag)
	require.NoError(t, s.SetBag(s.hostile, owner, change))
}

// play tries one row. Nothing is tidied up before the next one: that too must
// do no harm.
func (s *stage) play(t *testing.T, row hostileRow) {
	t.Helper()
	bag, csr := maps.Clone(row.bag), ""
	if bag == nil {
		bag = map[string]string{}
	}
	if row.csr != nil {
		if csr = row.csr(s); csr == "" {
			t.Skip("NOT TRIED: openssl, which makes this request, is not installed")
		}
	}
	if row.csr != nil || row.entries != "" {
		entries := row.entries
		if entries == "" {
			entries = `[{"certificate_signing_request": CSR, "ca": false}]`
		}
		quoted, err := json.Marshal(csr)
		require.NoError(t, err)
		bag["certificate_signing_requests"] = strings.ReplaceAll(entries, "CSR", string(quoted))
	}
	since, runs := len(s.Log()), len(s.Hooks())
	for _, owner := range []string{"hostile", "hostile/0", "hostile/2"} {
		if owner == "hostile/0" || owner == row.also {
			s.write(t, owner, bag)
		} else {
			s.write(t, owner, nil)
		}
	}
	require.NoError(t, s.Settle())
	require.Greater(t, len(s.Hooks()), runs, "the row must be seen")

	s.requireNeighbours(t)
	_, status := s.Status(charm + "/0")
	var log strings.Builder
	for _, line := range s.Log()[since:] {
		log.WriteString(line.String() + "\n")
	}
	require.NotContains(t, log.String(), "PRIVATE KEY")
	if row.logged != "" {
		require.Contains(t, log.String(), row.logged)
	}
	if row.told != "" {
		require.Contains(t, status, "denied: hostile")
		require.Contains(t, status, row.told)
		require.Contains(t, log.String(), row.told)
	}
	if csr != "" {
		s.requireAnswer(t, row, csr, status)
	} else {
		require.Empty(t, s.errors(s.hostile))
		require.Len(t, s.answers(s.hostile), 1, "only the sibling has an answer")
		s.requirePair(t, row)
	}
}

// requireNeighbours proves that nobody else noticed.
func (s *stage) requireNeighbours(t *testing.T) {
	t.Helper()
	require.Equal(t, s.published, s.Bag(s.good, charm), "a good application of the CSR dialect")
	require.Equal(t, s.given, s.legacy(s.old), "a good application of the legacy dialect")
	require.Equal(t, s.sibling, s.answersOf("hostile_1"), "another unit of the sender, in the legacy dialect")
	require.Equal(t, s.siblingAnswer, s.answers(s.hostile)[s.siblingCSR], "another unit of the sender, in the CSR dialect")
}

// requireAnswer looks at what a CSR got.
func (s *stage) requireAnswer(t *testing.T, row hostileRow, csr, status string) {
	t.Helper()
	got, answered := s.answers(s.hostile)[csr]
	refusal, refused := s.errors(s.hostile)[csr]
	require.Equal(t, row.issued, answered, "%+v", refusal)
	require.Equal(t, row.code != 0, refused)
	if refused {
		require.Len(t, s.errors(s.hostile), 1)
		require.Len(t, s.answers(s.hostile), 1)
		require.Equal(t, row.code, refusal.Error.Code)
		require.Equal(t, map[int]string{102: "DOMAIN_NOT_ALLOWED", 999: "OTHER"}[row.code], refusal.Error.Name)
		require.NotEmpty(t, refusal.Error.Message)
		require.NotEmpty(t, row.reason, "every row tells why")
		require.Contains(t, refusal.Error.Reason, row.reason)
		require.Contains(t, status, "denied: hostile")
	}
	if answered {
		require.Empty(t, s.errors(s.hostile))
		require.Equal(t, []string{got.Certificate, got.CA}, got.Chain)
		s.requireLeaf(t, row, parseOne(t, got.Certificate))
	}
}

// requirePair looks at what a unit of the legacy dialect got.
func (s *stage) requirePair(t *testing.T, row hostileRow) {
	t.Helper()
	bag := s.answersOf("hostile_0")
	if !row.issued {
		require.Empty(t, bag)
		return
	}
	var got pair
	if row.kind == "top" {
		got = serverPair(bag, "hostile_0")
	} else {
		got = processed(t, bag, "hostile_0."+row.kind)[row.commonName]
	}
	require.NotEmpty(t, got.Cert, "the answer must be under the very name that was asked for")
	leaf := got.leaf(t)
	s.requireLeaf(t, row, leaf)
	if row.kind == "processed_client_requests" {
		requireClientUsage(t, leaf)
	}
}

func requireClientUsage(t *testing.T, leaf *x509.Certificate) {
	t.Helper()
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, leaf.ExtKeyUsage)
}

// requireLeaf proves that the certificate says what the row says, and that
// nothing in the request made more of it than a leaf.
func (s *stage) requireLeaf(t *testing.T, row hostileRow, leaf *x509.Certificate) {
	t.Helper()
	require.NoError(t, leaf.CheckSignatureFrom(s.root))
	require.True(t, leaf.BasicConstraintsValid)
	require.False(t, leaf.IsCA)
	require.Zero(t, leaf.KeyUsage&^(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement))
	require.NotEmpty(t, leaf.ExtKeyUsage)
	for _, usage := range leaf.ExtKeyUsage {
		require.Contains(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, usage)
	}
	require.Empty(t, leaf.UnknownExtKeyUsage)
	require.Equal(t, row.subject, leaf.Subject.String())
	names, critical := alternativeNames(t, leaf)
	require.ElementsMatch(t, strings.Fields(row.names), names)
	if len(names) > 0 {
		require.Equal(t, row.subject == "", critical, "the names are critical when there is no subject, and only then")
	}
	known := []string{"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"}
	for _, extension := range leaf.Extensions {
		require.Contains(t, known, extension.Id.String(), "an extension of the request is in the certificate")
	}
}

// alternativeNames reads every name, also of kinds that crypto/x509 passes over.
func alternativeNames(t *testing.T, leaf *x509.Certificate) (names []string, critical bool) {
	t.Helper()
	i := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.17" })
	if i < 0 {
		return nil, false
	}
	var list []asn1.RawValue
	rest, err := asn1.Unmarshal(leaf.Extensions[i].Value, &list)
	require.NoError(t, err)
	require.Empty(t, rest)
	for _, name := range list {
		require.Equal(t, asn1.ClassContextSpecific, name.Class)
		text := string(name.Bytes)
		switch name.Tag {
		case 7:
			address, ok := netip.AddrFromSlice(name.Bytes)
			require.True(t, ok)
			text = address.String()
		case 8:
			var oid x509.OID
			require.NoError(t, oid.UnmarshalBinary(name.Bytes))
			text = oid.String()
		}
		kind := map[int]string{1: "email", 2: "DNS", 6: "URI", 7: "IP", 8: "RID"}[name.Tag]
		require.NotEmpty(t, kind, "a name of kind %d", name.Tag)
		names = append(names, kind+":"+text)
	}
	return names, leaf.Extensions[i].Critical
}

// TestHostileInputs tries everything that a requirer can do wrong, and proves
// after each that its neighbours have what they had.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	rows := slices.Concat(hostileTexts(), hostileKeys(), hostileSubjects(), hostileNames(), hostileExtensions(), hostileBags(), hostileLegacyNames())
	require.GreaterOrEqual(t, len(rows), 85)
	seen := map[string]bool{}
	dialects := map[string]int{}
	for _, row := range rows {
		dialect, _, _ := strings.Cut(row.name, ":")
		dialects[dialect]++
		require.False(t, seen[row.name], "two rows are called %q", row.name)
		seen[row.name] = true
	}
	t.Logf("%d rows: %v", len(rows), dialects)
	const stages = 5
	for i := range stages {
		t.Run(fmt.Sprintf("stage %d", i+1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for j := i; j < len(rows); j += stages {
				t.Run(rows[j].name, func(t *testing.T) { s.play(t, rows[j]) })
			}
			s.write(t, "hostile/0", nil)
			s.write(t, "hostile/2", nil)
			s.write(t, "hostile", nil)
			s.settle()
			s.requireNeighbours(t)
			require.Empty(t, s.errors(s.hostile))
			_, status := s.Status(charm + "/0")
			require.NotContains(t, status, "denied", "when the hostile are gone, nothing of them is left")
			requireNoKeyLeaks(t, s.site)
		})
	}
}
