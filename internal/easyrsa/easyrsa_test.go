// SPDX-License-Identifier: GPL-3.0-only

package easyrsa_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/easyrsa"
	"tls-authority/internal/pki"
)

func read(t testing.TB, f tree, more ...tar.Header) (easyrsa.PKI, error) {
	t.Helper()
	return easyrsa.ReadArchive(bytes.NewReader(f.archive(t, more...)))
}

func names(p easyrsa.PKI) []string {
	var names []string
	for _, leaf := range p.Leaves {
		names = append(names, leaf.Certificate.Subject.CommonName)
	}
	return names
}

func TestReadArchive(t *testing.T) {
	t.Parallel()
	f, ca := newTree(t)
	for sentence, format := range map[string]string{
		"as the charm writes it":        "%s",
		"with a dot before":             "./%s",
		"below the folders of a charm":  "var/lib/juju/agents/unit-easyrsa-0/charm/EasyRSA-3.0.9/%s",
		"below the root":                "/srv/%s",
		"out of the archive":            "../../etc/%s",
		"below another folder so named": "home/pki/%s",
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			p, err := read(t, f.moved(format))
			require.NoError(t, err)
			require.Equal(t, ca.cert.Raw, p.CA.Raw)
			require.True(t, pki.KeyMatches(p.CA, p.Key))
			require.Equal(t, []string{"client", "server.example"}, names(p))
			require.Empty(t, p.Left)
			for _, leaf := range p.Leaves {
				require.True(t, pki.KeyMatches(leaf.Certificate, leaf.Key))
				require.True(t, pki.PinsIssuer(leaf.Certificate))
			}
		})
	}
}

func TestReadArchiveIgnoresWhatIsNoFile(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	p, err := read(t, f,
		tar.Header{Name: "pki", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "pki/issued/link.crt", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		tar.Header{Name: "pki/private/ca.key", Typeflag: tar.TypeLink, Linkname: "pki/private/client.key"},
		tar.Header{Name: "pki/issued/pipe.crt", Typeflag: tar.TypeFifo},
		tar.Header{Name: "pki/issued/folder.crt/a.crt", Typeflag: tar.TypeReg, Size: 1},
		tar.Header{Name: "pki/issued/note.txt", Typeflag: tar.TypeReg, Size: 1},
	)
	require.NoError(t, err)
	require.Len(t, p.Leaves, 2)
	require.Empty(t, p.Left)
}

// The charm empties the index when its leader changes, and keeps no leaf.
func TestReadArchiveOfAnEmptyPKI(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	for _, index := range []string{"", "\n", "V\t300101000000Z\t\t02\tunknown\t/CN=client\n"} {
		p, err := read(t, tree{
			"pki/ca.crt": f["pki/ca.crt"], "pki/private/ca.key": f["pki/private/ca.key"], "pki/index.txt": index,
		})
		require.NoError(t, err)
		require.Empty(t, p.Leaves)
		require.Empty(t, p.Left)
	}
}

func TestReadArchiveLeavesOut(t *testing.T) {
	t.Parallel()
	const crt, key = "pki/issued/client.crt", "pki/private/client.key"
	for reason, spoil := range map[string]func(t *testing.T, f tree, ca authority){
		"its key is not in the archive": func(_ *testing.T, f tree, _ authority) { delete(f, key) },
		"the key of its name is not its key": func(_ *testing.T, f tree, _ authority) {
			f[key] = f["pki/private/server.example.key"]
		},
		"cannot read private key: it is encrypted": func(_ *testing.T, f tree, _ authority) {
			f[key] = encode("ENCRYPTED PRIVATE KEY", []byte{1})
		},
		"cannot read private key: damaged PRIVATE KEY": func(_ *testing.T, f tree, _ authority) {
			f[key] = encode("PRIVATE KEY", []byte{1})
		},
		"cannot read certificate: empty text": func(_ *testing.T, f tree, _ authority) { f[crt] = "" },
		"cannot read certificate: more than one PEM block": func(_ *testing.T, f tree, _ authority) {
			f[crt] += f["pki/ca.crt"]
		},
		"it is revoked": func(_ *testing.T, f tree, _ authority) {
			f["pki/index.txt"] = "R\t300101000000Z\t250101000000Z,superseded\t0002\tunknown\t/CN=client\r\n"
		},
		"it is not signed by the CA": func(t *testing.T, f tree, _ authority) {
			// The same name, another key: as after the CA was made anew.
			f[crt] = dump(newAuthority(t, "10.0.0.1").issue(t, "client", 2, newKey(t).Public()))
		},
		"it is the certificate of a CA": func(t *testing.T, f tree, ca authority) {
			f[crt] = dump(ca.issue(t, "client", 2, newKey(t).Public(), func(c *x509.Certificate) {
				c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
			}))
		},
		"its key is that of the CA": func(t *testing.T, f tree, ca authority) {
			f[crt], f[key] = dump(ca.issue(t, "client", 2, ca.key.Public())), f["pki/private/ca.key"]
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f, ca := newTree(t)
			spoil(t, f, ca)
			p, err := read(t, f)
			require.NoError(t, err)
			require.Equal(t, []string{"issued/client.crt: " + reason}, p.Left)
			require.Equal(t, []string{"server.example"}, names(p))
		})
	}
}

// The signature says nothing of the name of the issuer.
func TestReadArchiveComparesTheIssuer(t *testing.T) {
	t.Parallel()
	f, ca := newTree(t)
	other := authority{cert: newAuthority(t, "other").cert, key: ca.key}
	other.cert.PublicKey = ca.key.Public()
	f["pki/issued/client.crt"] = dump(other.issue(t, "client", 2, newKey(t).Public()))
	p, err := read(t, f)
	require.NoError(t, err)
	require.Equal(t, []string{"issued/client.crt: it is not signed by the CA"}, p.Left)
}

func TestReadArchiveShowsForeignNames(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	f["pki/issued/a\nb.crt"] = "x"
	f["pki/issued/"+strings.Repeat("c", 500)+".crt"] = "x"
	p, err := read(t, f)
	require.NoError(t, err)
	require.Len(t, p.Left, 2)
	require.Contains(t, p.Left[0], `"issued/a\nb.crt": `)
	for _, left := range p.Left {
		require.Less(t, len(left), 300)
		require.NotContains(t, left, "\n")
	}
}

func TestReadArchiveRefuses(t *testing.T) {
	t.Parallel()
	const ca, key = "pki/ca.crt", "pki/private/ca.key"
	for cause, spoil := range map[string]func(f tree){
		"it holds no pki/ca.crt":                                              func(f tree) { delete(f, ca) },
		"it holds no pki/private/ca.key":                                      func(f tree) { delete(f, key) },
		"ca.crt: cannot read certificate: does not begin with a PEM block":    func(f tree) { f[ca] = "certificate" },
		"ca.crt: cannot read certificate: more than one PEM block":            func(f tree) { f[ca] += f[ca] },
		`ca.crt: cannot read certificate: PEM block is a "PRIVATE KEY"`:       func(f tree) { f[ca] = f[key] },
		"ca.crt: it is not the certificate of a CA":                           func(f tree) { f[ca] = f["pki/issued/client.crt"] },
		"private/ca.key: it is not the key of ca.crt":                         func(f tree) { f[key] = f["pki/private/client.key"] },
		"private/ca.key: cannot read private key: it is encrypted":            func(f tree) { f[key] = encode("ENCRYPTED PRIVATE KEY", []byte{1}) },
		"private/ca.key: cannot read private key: the PEM block is encrypted": func(f tree) { f[key] = encryptedPEM },
		"private/ca.key: cannot read private key: empty text":                 func(f tree) { f[key] = "" },
		"index.txt: line 2 has no serial number":                              func(f tree) { f["pki/index.txt"] = "V\n" + "R\ta\tb\t/CN=c\td\n" },
		"index.txt: line 1 has too few fields":                                func(f tree) { f["pki/index.txt"] = "R 300101000000Z 250101000000Z 02 unknown /CN=client\n" },
		"it holds more than one pki folder":                                   func(f tree) { maps.Copy(f, f.moved("other/%s")) },
		"it holds ca.crt twice":                                               func(f tree) { f["./"+ca] = f[ca] },
		"pki/large is larger than 1048576 bytes":                              func(f tree) { f["pki/large"] = strings.Repeat("a", 1<<20+1) },
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			f, _ := newTree(t)
			spoil(f)
			p, err := read(t, f)
			require.EqualError(t, err, "cannot read easyrsa archive: "+cause)
			require.Empty(t, p)
		})
	}
}

// encryptedPEM is in the form of RFC 1423, which older releases wrote.
const encryptedPEM = `-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,00

AAAA
-----END RSA PRIVATE KEY-----
`

func TestReadArchiveBounds(t *testing.T) {
	t.Parallel()
	t.Run("as many entries as are allowed", func(t *testing.T) {
		t.Parallel()
		f, _ := newTree(t)
		_, err := read(t, f, entries(10_000-len(f), 0)...)
		require.NoError(t, err)
		_, err = read(t, f, entries(10_001-len(f), 0)...)
		require.EqualError(t, err, "cannot read easyrsa archive: it has more than 10000 entries")
	})
	t.Run("files that are too much together", func(t *testing.T) {
		t.Parallel()
		f, _ := newTree(t)
		_, err := read(t, f, entries(64, 1<<20)...)
		require.EqualError(t, err, "cannot read easyrsa archive: it unpacks to more than 67108864 bytes")
	})
	t.Run("a bomb behind the last entry", func(t *testing.T) {
		t.Parallel()
		f, _ := newTree(t)
		bomb := append(f.archive(t), bytes.Repeat(zeros(t, 10<<20), 20)...) // files of gzip may stand one behind the other
		_, err := easyrsa.ReadArchive(bytes.NewReader(bomb))
		require.EqualError(t, err, "cannot read easyrsa archive: it unpacks to more than 67108864 bytes")
	})
}

// entries makes n further entries.
func entries(n int, size int64) []tar.Header {
	var headers []tar.Header
	for i := range n {
		headers = append(headers, tar.Header{Name: fmt.Sprintf("pki/reqs/%d.req", i), Typeflag: tar.TypeReg, Size: size})
	}
	return headers
}

func unzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	return content
}

func zeros(t testing.TB, n int64) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	require.NoError(t, err)
	chunk := make([]byte, 1<<20)
	for ; n > 0; n -= int64(len(chunk)) {
		_, err = w.Write(chunk)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func TestReadArchiveRefusesDamagedFiles(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	whole := f.archive(t)
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		for n := 0; n < len(whole); n += 97 {
			_, err := easyrsa.ReadArchive(bytes.NewReader(whole[:n]))
			require.Error(t, err, n)
		}
		_, err := easyrsa.ReadArchive(bytes.NewReader(whole[:len(whole)-1]))
		require.Error(t, err)
	})
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		for i := 10; i < len(whole); i += 97 { // the header of gzip has no checksum
			changed := bytes.Clone(whole)
			changed[i] ^= 0x10
			_, err := easyrsa.ReadArchive(bytes.NewReader(changed))
			if err == nil {
				// A reference to other bytes that are the same.
				require.Equal(t, unzip(t, whole), unzip(t, changed), i)
			}
		}
	})
	t.Run("with text behind", func(t *testing.T) {
		t.Parallel()
		_, err := easyrsa.ReadArchive(io.MultiReader(bytes.NewReader(whole), strings.NewReader("more")))
		require.Error(t, err)
	})
	t.Run("not compressed", func(t *testing.T) {
		t.Parallel()
		_, err := easyrsa.ReadArchive(strings.NewReader("age-encryption.org/v1\n"))
		require.EqualError(t, err, "cannot read easyrsa archive: it is not compressed with gzip: gzip: invalid header")
	})
	t.Run("no tar inside", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := io.CopyN(w, rand.Reader, 4096)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, err = easyrsa.ReadArchive(&packed)
		require.Error(t, err)
	})
}

func TestNothingOfAKeyIsPrinted(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	secrets := []string{"PRIVATE KEY"}
	for name, content := range f {
		if strings.HasSuffix(name, ".key") {
			block, _ := pem.Decode([]byte(content))
			secrets = append(secrets, base64.StdEncoding.EncodeToString(block.Bytes)[40:80], fmt.Sprintf("%x", block.Bytes[40:60]))
		}
	}
	p, err := read(t, f)
	require.NoError(t, err)
	f["pki/private/ca.key"] = strings.Replace(f["pki/private/ca.key"], "A", "!", 1)
	_, err = read(t, f)
	require.Error(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		printed := fmt.Sprintf(verb+" "+verb+" %v", p.Key, p.Leaves[0].Key, err)
		for _, secret := range secrets[1:] {
			require.NotContains(t, printed, secret)
		}
	}
	require.NotContains(t, err.Error(), secrets[0]+"-----")
}

func TestIsArchive(t *testing.T) {
	t.Parallel()
	f, _ := newTree(t)
	require.True(t, easyrsa.IsArchive(f.archive(t)))
	for _, head := range []string{"", "\x1f", "PK\x03\x04", "age-encryption.org/v1\n"} {
		require.False(t, easyrsa.IsArchive([]byte(head)))
	}
}

// FuzzReadArchive changes the files and not the archive around them, whose
// checksum would hide everything else.
func FuzzReadArchive(f *testing.F) {
	good, _ := newTree(f)
	seed := func(entry string, content string) { f.Add(entry, []byte(content)) }
	seed("pki/issued/a.crt", good["pki/issued/client.crt"])
	seed("pki/private/client.key", good["pki/private/server.example.key"])
	seed("pki/ca.crt", good["pki/issued/client.crt"])
	seed("pki/private/ca.key", encryptedPEM)
	seed("pki/index.txt", good["pki/index.txt"])
	seed("pki/index.txt", "R\t\t\t-2\n")
	seed("a/../pki/ca.crt", "")
	f.Fuzz(func(t *testing.T, entry string, content []byte) {
		changed := maps.Clone(good)
		changed[entry] = string(content)
		header, _ := file(entry, string(content))
		if tar.NewWriter(io.Discard).WriteHeader(&header) != nil || strings.HasSuffix(entry, "/") {
			t.Skip("no entry has this name")
		}
		requirePKI(t, changed.archive(t))
		requirePKI(t, content)
	})
}

// requirePKI tells that whatever is accepted holds together.
func requirePKI(t *testing.T, archive []byte) {
	t.Helper()
	p, err := easyrsa.ReadArchive(bytes.NewReader(archive))
	if err != nil {
		require.Empty(t, p)
		return
	}
	require.True(t, p.CA.IsCA)
	require.True(t, pki.KeyMatches(p.CA, p.Key))
	for _, leaf := range p.Leaves {
		require.False(t, leaf.Certificate.IsCA)
		require.True(t, pki.KeyMatches(leaf.Certificate, leaf.Key))
		require.NoError(t, leaf.Certificate.CheckSignatureFrom(p.CA))
	}
}
