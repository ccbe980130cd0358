// SPDX-License-Identifier: GPL-3.0-only

package backup_test

import (
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/backup"
)

func TestParseLock(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	public := hybrid.Recipient().String()
	for sentence, tc := range map[string]struct {
		content map[string]string
		want    backup.Lock
	}{
		"a passphrase":                {map[string]string{"passphrase": " two words "}, backup.Lock{Passphrase: " two words "}},
		"a passphrase from a file":    {map[string]string{"passphrase": "two words\r\n"}, backup.Lock{Passphrase: "two words"}},
		"a recipient":                 {map[string]string{"recipient": "\t" + seals.Recipient + "\n"}, seals},
		"a recipient of another kind": {map[string]string{"recipient": public}, backup.Lock{Recipient: public}},
		"an identity":                 {map[string]string{"identity": opens.Identity, "passphrase": "", "note": "a note"}, opens},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			lock, err := backup.ParseLock(tc.content)
			require.NoError(t, err)
			require.Equal(t, tc.want, lock)
		})
	}
}

func TestParseLockReadsTheFilesOfAge(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	file := "# created: 2026-05-06T07:08:09Z\n# public key: " + seals.Recipient + "\n" + opens.Identity + "\n"
	lock, err := backup.ParseLock(map[string]string{"identity": file})
	require.NoError(t, err)
	want := newContent(t)
	got, err := open(seal(t, want, lock), lock)
	require.NoError(t, err)
	requireSame(t, want, got)
}

func TestParseLockRefuses(t *testing.T) {
	t.Parallel()
	seals, opens := newPair(t)
	const (
		noRecipient = "the recipient is not one public key of age (age1...)"
		noIdentity  = "the identity is not one private key of age (AGE-SECRET-KEY-1...)"
	)
	for sentence, tc := range map[string]struct {
		content map[string]string
		cause   string
	}{
		"nothing":                   {nil, "none of passphrase, recipient and identity is set: want one of them"},
		"nothing but a newline":     {map[string]string{"passphrase": "\n"}, "none of passphrase, recipient and identity is set: want one of them"},
		"another key":               {map[string]string{"password": "a good passphrase"}, "none of passphrase, recipient and identity is set: want one of them"},
		"two keys":                  {map[string]string{"passphrase": "a", "identity": opens.Identity}, "passphrase and identity are set: want one of them"},
		"three keys":                {map[string]string{"passphrase": "a", "recipient": "b", "identity": "c"}, "passphrase and recipient and identity are set: want one of them"},
		"an identity as recipient":  {map[string]string{"recipient": opens.Identity}, "the recipient is a private key of age: give it as identity"},
		"a recipient as identity":   {map[string]string{"identity": seals.Recipient}, "the identity is a public key of age: give it as recipient"},
		"a recipient cut short":     {map[string]string{"recipient": seals.Recipient[:40]}, noRecipient},
		"two recipients":            {map[string]string{"recipient": seals.Recipient + "\n" + seals.Recipient}, noRecipient},
		"a key of SSH as recipient": {map[string]string{"recipient": "ssh-ed25519 AAAA"}, noRecipient},
		"an identity cut short":     {map[string]string{"identity": opens.Identity[:40]}, noIdentity},
		"an identity in lower case": {map[string]string{"identity": "age-secret-key-1qqqq"}, noIdentity},
		"comments only":             {map[string]string{"identity": "# created"}, noIdentity},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			lock, err := backup.ParseLock(tc.content)
			require.EqualError(t, err, "cannot read the lock of backups: "+tc.cause)
			require.Zero(t, lock)
		})
	}
}
