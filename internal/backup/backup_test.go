// SPDX-License-Identifier: GPL-3.0-only

package backup_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/backup"
	"tls-authority/internal/pki"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	for sentence, locks := range map[string]struct{ seals, opens backup.Lock }{
		"a recipient and its identity":       {seals, opens},
		"an identity, for its own recipient": {opens, opens},
		"a recipient that outlives quantum":  {backup.Lock{Recipient: hybrid.Recipient().String()}, backup.Lock{Identity: hybrid.String()}},
		"an identity that outlives quantum":  {backup.Lock{Identity: hybrid.String()}, backup.Lock{Identity: hybrid.String()}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			want := newContent(t)
			sealed := seal(t, want, locks.seals)
			require.True(t, backup.IsBackup(sealed))
			require.NotContains(t, string(sealed), want.Application)
			got, err := open(sealed, locks.opens)
			require.NoError(t, err)
			requireSame(t, want, got)
		})
	}
}

func TestRoundTripOfUnusualContent(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	rsa, err := pki.GenerateKey(pki.RSA2048)
	require.NoError(t, err)
	random := make([]byte, 200_000)
	_, err = rand.Read(random)
	require.NoError(t, err)
	for sentence, c := range map[string]backup.Content{
		"no key and no record":       {Created: time.Date(2026, 1, 1, 0, 0, 0, 5, time.FixedZone("", 3600))},
		"a record of several chunks": {Created: time.Unix(0, 0), Record: map[string]string{"legacy": fmt.Sprintf("%x", random)}},
		"a key of RSA, far down":     {Created: time.Unix(0, 0), Keys: map[int]pki.PrivateKey{4711: rsa}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := open(seal(t, c, seals), opens)
			require.NoError(t, err)
			requireSame(t, c, got)
		})
	}
}

// What is in the files of this release has to stay readable.
func TestTheFormat(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	want := newContent(t)
	sealed := seal(t, want, seals)
	require.True(t, bytes.HasPrefix(sealed, []byte("age-encryption.org/v1\n-> X25519 ")))
	require.JSONEq(t, fmt.Sprintf(`{
		"format": "tls-authority-backup", "version": 1,
		"application": "tls-authority", "model": "a-model", "created": "2026-05-06T07:08:09Z",
		"record": {"authority": %q, "legacy-3": %s}, "keys": {"1": %q, "2": %q}}`,
		want.Record["authority"], encodeJSON(t, want.Record["legacy-3"]),
		base64.StdEncoding.EncodeToString(want.Keys[1].EncodeDER()), base64.StdEncoding.EncodeToString(want.Keys[2].EncodeDER()),
	), string(unzip(t, unlock(t, sealed, opens))))
}

func encodeJSON(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	seals, _ := newPair(t)
	for cause, spoil := range map[string]func(c *backup.Content, lock *backup.Lock){
		"the key of generation 7 is missing": func(c *backup.Content, _ *backup.Lock) { c.Keys[7] = pki.PrivateKey{} },
		`the text of "a" in the record is not UTF-8`: func(c *backup.Content, _ *backup.Lock) {
			c.Record["a"] = "\xff"
		},
		"the content cannot be encoded": func(c *backup.Content, _ *backup.Lock) {
			c.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
		"the content is longer than 67108864 bytes": func(c *backup.Content, _ *backup.Lock) {
			c.Record["a"] = strings.Repeat("\x01", 11<<20)
		},
		"the passphrase is shorter than 12 characters": func(_ *backup.Content, lock *backup.Lock) {
			*lock = backup.Lock{Passphrase: "elf Zeichün"}
		},
		"passphrase and recipient are set: want one of them": func(_ *backup.Content, lock *backup.Lock) {
			lock.Passphrase = "a good passphrase"
		},
		"none of passphrase, recipient and identity is set: want one of them": func(_ *backup.Content, lock *backup.Lock) {
			*lock = backup.Lock{}
		},
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			c, lock := newContent(t), seals
			spoil(&c, &lock)
			var sealed bytes.Buffer
			require.EqualError(t, backup.Seal(&sealed, c, lock), "cannot seal backup: "+cause)
			require.Empty(t, sealed.Bytes())
		})
	}
}

func TestSealTellsThatWritingFailed(t *testing.T) {
	t.Parallel()
	seals, _ := newPair(t)
	c := newContent(t)
	whole := len(seal(t, c, seals))
	for _, room := range []int{0, 30, whole - 100, whole - 1} {
		err := backup.Seal(&full{room: room}, c, seals)
		require.ErrorIs(t, err, errFull)
		require.ErrorContains(t, err, "cannot seal backup: ")
	}
}

var errFull = errors.New("no space left")

// full is a file on a disk that has little room.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	f.room -= len(p)
	if f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestOpenWithTheWrongKey(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	_, other := newPair(t)
	byPassphrase := sealByHand(t, cheap(t, "short"), compressed(t, []byte(`{"format":"tls-authority-backup","version":1}`)))
	_, err := open(byPassphrase, backup.Lock{Passphrase: "short"})
	require.NoError(t, err)
	forRecipient := seal(t, newContent(t), seals)
	for cause, tc := range map[string]struct {
		sealed []byte
		lock   backup.Lock
	}{
		"the passphrase is wrong":                                            {byPassphrase, backup.Lock{Passphrase: "shorter"}},
		"it was sealed for a recipient of another identity":                  {forRecipient, other},
		"it was sealed for a recipient: give its identity, not a passphrase": {forRecipient, backup.Lock{Passphrase: "a good passphrase"}},
		"it was sealed with a passphrase: give that, not an identity":        {byPassphrase, opens},
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			c, err := open(tc.sealed, tc.lock)
			require.EqualError(t, err, "cannot open backup: "+cause)
			require.ErrorIs(t, err, backup.ErrWrongKey)
			require.Empty(t, c)
		})
	}
	_, err = open(forRecipient, seals)
	require.EqualError(t, err, "cannot open backup: a recipient only seals: give its identity, or the passphrase")
	require.NotErrorIs(t, err, backup.ErrWrongKey)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, opens := newPair(t)
	own, err := age.ParseX25519Identity(opens.Identity)
	require.NoError(t, err)
	const head = `{"format":"tls-authority-backup","version":1`
	for sentence, tc := range map[string]struct{ text, cause string }{
		"a newer version of another shape": {`{"format":"tls-authority-backup","version":2,"keys":[]}`,
			"it has version 2 and this charm knows 1: refresh the charm first"},
		"no version":                     {`{"format":"tls-authority-backup"}`, "it has version 0, which no charm wrote"},
		"another format":                 {`{"format":"other","version":1}`, "it is not a backup of this charm"},
		"no format":                      {`{}`, "it is not a backup of this charm"},
		"no object":                      {`null`, "it is not a backup of this charm"},
		"no JSON":                        {`secret`, "it is not a backup of this charm"},
		"nothing":                        {``, "it is not a backup of this charm"},
		"two objects":                    {head + `}` + head + `}`, "it is not a backup of this charm"},
		"a field of another type":        {head + `,"record":{"a":1}}`, "the file is damaged"},
		"a key that is none":             {head + `,"keys":{"3":"c2VjcmV0"}}`, "the key of generation 3 cannot be read"},
		"an empty key":                   {head + `,"keys":{"3":""}}`, "the key of generation 3 cannot be read"},
		"a generation that is no number": {head + `,"keys":{"secret":""}}`, "the file is damaged"},
		"a time that is none":            {head + `,"created":"secret"}`, "the file is damaged"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			c, err := open(sealByHand(t, own.Recipient(), compressed(t, []byte(tc.text))), opens)
			require.EqualError(t, err, "cannot open backup: "+tc.cause)
			require.Empty(t, c)
		})
	}
	t.Run("content that is not compressed", func(t *testing.T) {
		t.Parallel()
		sealed := sealByHand(t, own.Recipient(), func(w io.Writer) { _, _ = io.WriteString(w, head+"}") })
		_, err := open(sealed, opens)
		require.EqualError(t, err, "cannot open backup: the file is damaged")
	})
	t.Run("more behind the compressed content", func(t *testing.T) {
		t.Parallel()
		sealed := sealByHand(t, own.Recipient(), func(w io.Writer) {
			compressed(t, []byte(head+"}"))(w)
			_, _ = io.WriteString(w, "more")
		})
		_, err := open(sealed, opens)
		require.EqualError(t, err, "cannot open backup: the file is damaged")
	})
	t.Run("content that unpacks to far too much", func(t *testing.T) {
		t.Parallel()
		sealed := sealByHand(t, own.Recipient(), func(w io.Writer) {
			compressed(t, []byte(head))(w)
			var spaces bytes.Buffer
			compressed(t, bytes.Repeat([]byte(" "), 10<<20))(&spaces)
			for range 20 { // files of gzip may stand one behind the other
				_, err := w.Write(spaces.Bytes())
				require.NoError(t, err)
			}
			_, err := io.WriteString(w, "not read as far as here")
			require.NoError(t, err)
		})
		require.Less(t, len(sealed), 2<<20)
		c, err := open(sealed, opens)
		require.EqualError(t, err, "cannot open backup: it holds more than 67108864 bytes")
		require.Empty(t, c)
	})
	t.Run("a passphrase that costs hours to try", func(t *testing.T) {
		t.Parallel()
		sealed := sealByHand(t, cheap(t, "passphrase"), compressed(t))
		_, err := open(bytes.Replace(sealed, []byte(" 1\n"), []byte(" 21\n"), 1), backup.Lock{Passphrase: "passphrase"})
		require.EqualError(t, err, "cannot open backup: the file is damaged or not one of age")
	})
}

func TestOpenRefusesDamagedFiles(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	c := newContent(t)
	random := make([]byte, 100_000) // some chunks of age, of 64 KiB each
	_, err := rand.Read(random)
	require.NoError(t, err)
	c.Record["random"] = fmt.Sprintf("%x", random)
	small, large := seal(t, newContent(t), seals), seal(t, c, seals)
	refuse := func(t *testing.T, file []byte, where int) {
		t.Helper()
		got, err := open(file, opens)
		require.ErrorContains(t, err, "cannot open backup: ", where)
		require.Empty(t, got, where)
	}
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		for n := 0; n < len(small); n += 5 {
			refuse(t, small[:n], n)
		}
		for n := 0; n < len(large); n += 499 {
			refuse(t, large[:n], n)
		}
	})
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		for i := 0; i < len(small); i += 3 {
			changed := bytes.Clone(small)
			changed[i] ^= 1 << (i % 8)
			refuse(t, changed, i)
		}
	})
	t.Run("longer", func(t *testing.T) {
		t.Parallel()
		refuse(t, append(bytes.Clone(small), 0), len(small))
		refuse(t, append(bytes.Clone(small), small...), len(small))
	})
	t.Run("foreign", func(t *testing.T) {
		t.Parallel()
		for i, text := range []string{"", "\n", "\x1f\x8b\x08", "-----BEGIN AGE ENCRYPTED FILE-----\n", "age-encryption.org/v1\n", "age-encryption.org/v2\n"} {
			refuse(t, []byte(text), i)
		}
	})
}

func TestIsBackup(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{
		"age-encryption.org/v1\n-> X25519": true,
		"age-encryption.org/v1\n":          true,
		"age-encryption.org/v1":            false,
		"age-encryption.org/v11":           false,
		"\x1f\x8b":                         false,
		"":                                 false,
	} {
		require.Equal(t, want, backup.IsBackup([]byte(head)), head)
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	c := newContent(t)
	seals, opens := newPair(t)
	locks := []backup.Lock{seals, opens, {Passphrase: "a good passphrase"}}
	secrets := []string{
		leafKey, seals.Recipient, opens.Identity, "a good passphrase", fmt.Sprintf("%x", opens.Identity), fmt.Sprintf("%x", "a good passphrase"),
		base64.StdEncoding.EncodeToString(c.Keys[1].EncodeDER())[60:], fmt.Sprintf("%x", c.Keys[1].EncodeDER()[40:]),
	}
	holder := struct {
		Locks   []backup.Lock
		Pointer *backup.Lock
		Content backup.Content
	}{locks, &locks[1], c}
	printed := &strings.Builder{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{locks[0], locks[1], locks[2], &locks[1], c, &c, holder, &holder, map[string]any{"a": c}} {
			fmt.Fprintf(printed, verb+"\n", value)
		}
	}
	text, err := locks[1].MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[redacted]", string(text))
	fmt.Fprintln(printed, locks[1].String(), locks[1].GoString(), c.String(), encodeJSON(t, holder), encodeJSON(t, map[string]any{"lock": locks[0]}))
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(printed, nil)), slog.New(slog.NewJSONHandler(printed, nil))} {
		logger.Info("all", "lock", locks[1], "content", c, "holder", holder)
	}
	for _, secret := range secrets {
		require.NotContains(t, printed.String(), secret)
	}
	require.Contains(t, printed.String(), "[redacted]")
}

// FuzzParse shows that whatever is accepted is whole, and that no error
// repeats what was read.
func FuzzParse(f *testing.F) {
	seals, opens := newPair(f)
	good := unzip(f, unlock(f, seal(f, newContent(f), seals), opens))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1))
	f.Add(bytes.Replace(good, []byte(`"keys":{"1"`), []byte(`"keys":{"-1"`), 1))
	f.Add([]byte(`{"format":"tls-authority-backup","version":1,"record":null,"keys":{"1":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := backup.Parse(text)
		if err != nil {
			require.Empty(t, c)
			require.Less(t, len(err.Error()), 120)
			return
		}
		for _, key := range c.Keys {
			require.NotNil(t, key.Public())
		}
		again, err := open(seal(t, c, seals), opens)
		require.NoError(t, err)
		requireSame(t, c, again)
	})
}
