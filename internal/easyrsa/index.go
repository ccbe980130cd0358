// SPDX-License-Identifier: GPL-3.0-only

package easyrsa

import (
	"fmt"
	"math/big"
	"strings"
)

// serials is a set of serial numbers, in hexadecimal.
type serials map[string]bool

func (s serials) contain(serial *big.Int) bool { return s[serial.Text(16)] }

// parseIndex reads the database of openssl ca, of which only the lines of
// revoked certificates are of interest: their fields, parted by tabs, are R,
// the end of the validity, the time of the revocation, the serial number in
// hexadecimal, a file and a subject. A line of these that cannot be read is an
// error: to pass over it would bring a revoked certificate back. The easyrsa
// charm empties the database when its leader changes.
func parseIndex(text []byte) (serials, error) {
	revoked := serials{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fields := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if !strings.HasPrefix(fields[0], "R") {
			continue
		}
		if len(fields) < 4 {
			return nil, fmt.Errorf("line %d has too few fields", n)
		}
		serial, ok := new(big.Int).SetString(fields[3], 16)
		if !ok {
			return nil, fmt.Errorf("line %d has no serial number", n)
		}
		revoked[serial.Text(16)] = true
	}
	return revoked, nil
}
