// SPDX-License-Identifier: GPL-3.0-only

package easyrsa

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// An archive holds four files for each certificate, of a few KiB each: the
// bounds leave room for 2,500 certificates.
const (
	maxEntries  = 10_000
	maxUnpacked = 64 << 20
	maxFile     = 1 << 20
)

var errTooLarge = fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)

// unpack reads the archive to its very end, where gzip proves that nothing is
// missing, and returns the files that are of use.
func unpack(r io.Reader) (folder, error) {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("it is not compressed with gzip: %w", err)
	}
	unpacked := &boundedReader{r: packed, left: maxUnpacked}
	files, err := readEntries(tar.NewReader(unpacked))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, unpacked)
	if err != nil {
		return nil, err
	}
	return files, nil
}

func readEntries(entries *tar.Reader) (folder, error) {
	files := folder{}
	root := ""
	for n := 0; ; n++ {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return files, nil
		case err != nil:
			return nil, err
		case n == maxEntries:
			return nil, fmt.Errorf("it has more than %d entries", maxEntries)
		case header.Typeflag != tar.TypeReg:
			continue // a link says nothing that its target does not say
		case header.Size > maxFile:
			return nil, fmt.Errorf("%s is larger than %d bytes", show(header.Name), maxFile)
		}
		above, name, useful := locate(header.Name)
		if !useful {
			continue
		}
		if len(files) > 0 && above != root {
			return nil, errors.New("it holds more than one pki folder")
		}
		root = above
		if _, twice := files[name]; twice {
			// Which one counts would depend on who reads the archive.
			return nil, fmt.Errorf("it holds %s twice", show(name))
		}
		files[name], err = io.ReadAll(entries)
		if err != nil {
			return nil, err
		}
	}
}

// locate splits the name of an entry into the folders above the pki folder
// and the name below it. Easy-RSA keeps further copies, of requests and by
// serial number, which are of no use. Nothing is ever written under a name, so
// one that climbs out of the archive does no harm.
func locate(entry string) (above, name string, useful bool) {
	clean := path.Clean("/" + entry)
	const folder = "/pki/"
	i := strings.LastIndex(clean, folder)
	if i < 0 {
		return "", "", false
	}
	above, name = clean[:i], clean[i+len(folder):]
	inside, file := path.Split(name)
	switch {
	case name == caCertificate, name == index:
		useful = true
	case inside == issued:
		useful = strings.HasSuffix(file, certificateSuffix)
	case inside == private:
		useful = strings.HasSuffix(file, keySuffix)
	}
	return above, name, useful
}

// boundedReader fails where io.LimitReader would pretend that the end was
// reached.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
