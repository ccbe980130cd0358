// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requestHeader and responseHeader are net/rpc's Request and Response.
type requestHeader struct {
	ServiceMethod string
	Seq           uint64
}

type responseHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// sentByGob is a call as encoding/gob writes it. It is made before all tests,
// because that package numbers types as it meets them.
var sentByGob = func() []byte {
	var text bytes.Buffer
	encoder := gob.NewEncoder(&text)
	for _, value := range []any{
		requestHeader{ServiceMethod, 1},
		Request{"id", "/dir", "relation-set", []string{"--file", "-"}, true, []byte(`{"a":"b"}`), "token"},
		requestHeader{ServiceMethod, 2000},
		Request{ContextId: "id", Dir: strings.Repeat("/d", 100), CommandName: "is-leader"},
	} {
		if err := encoder.Encode(value); err != nil {
			panic(err)
		}
	}
	return text.Bytes()
}()

func TestCallsAreWrittenAsGobWritesThem(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	r := rpcRunner{out: bufio.NewWriter(&text), call: Request{ContextId: "id", Dir: "/dir", Token: "token"}}
	require.NoError(t, r.send(Command{Name: "relation-set", Args: []string{"--file", "-"}, Stdin: newSettings(map[string][]string{"a": {"b"}})}))
	r.sequence = 1999
	r.call = Request{ContextId: "id", Dir: strings.Repeat("/d", 100)}
	require.NoError(t, r.send(Command{Name: "is-leader"}))
	require.Equal(t, string(sentByGob), text.String())
}

func FuzzSend(f *testing.F) {
	f.Add("id", "/dir", "relation-set", "--file\n-", "token", "key", strings.Repeat("'\"", 300))
	f.Add("", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, id, dir, name, args, token, key, value string) {
		var text bytes.Buffer
		r := rpcRunner{out: bufio.NewWriter(&text), call: Request{ContextId: id, Dir: dir, Token: token}}
		first := Command{Name: name, Args: strings.Split(args, "\n"), Stdin: newSettings(map[string][]string{key: {value, value}})}
		require.NoError(t, r.send(first))
		require.NoError(t, r.send(Command{Name: name}))

		var stdin bytes.Buffer
		first.Stdin.WriteTo(&stdin)
		decoder := gob.NewDecoder(&text)
		for i, want := range []Request{{id, dir, name, first.Args, true, stdin.Bytes(), token}, {ContextId: id, Dir: dir, CommandName: name, Token: token}} {
			var header requestHeader
			require.NoError(t, decoder.Decode(&header))
			require.Equal(t, requestHeader{ServiceMethod, uint64(i + 1)}, header)
			var got Request
			require.NoError(t, decoder.Decode(&got))
			require.Equal(t, want, got)
		}
		require.Zero(t, text.Len())
	})
}

// receiver reads answers to calls that were not made.
func receiver(text io.Reader) *rpcRunner {
	return &rpcRunner{in: newGobReader(bufio.NewReader(text)), sequence: 1}
}

// FuzzReceive gives an agent's answer to encoding/gob too. What is accepted
// here must be there, and mean the same.
func FuzzReceive(f *testing.F) {
	for _, body := range append(bodies(7, "out", "err"), struct{}{}, struct{ Code uint }{1}, struct{ Other int }{1}, []string{"x"}) {
		f.Add(answer(f, responseHeader{ServiceMethod, 1, ""}, body))
		f.Add(answer(f, responseHeader{"", 1, "refused"}, body))
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Add([]byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		var stdout []byte
		a, err := receiver(bytes.NewReader(text)).receive(Command{Stdout: func(r io.Reader, size int) (err error) {
			stdout, err = io.ReadAll(r)
			require.LessOrEqual(t, len(stdout), size)
			return err
		}})
		decoder := gob.NewDecoder(bytes.NewReader(text))
		var header responseHeader
		var response Response
		switch err := err.(type) {
		case nil:
			require.NoError(t, decoder.Decode(&header))
			require.NoError(t, decoder.Decode(&response))
			require.Equal(t, responseHeader{header.ServiceMethod, 1, ""}, header)
			require.Equal(t, a.code, response.Code)
			require.Equal(t, string(response.Stdout), string(stdout))
			require.Equal(t, string(response.Stderr), string(a.stderr))
		case refusal:
			require.NoError(t, decoder.Decode(&header))
			require.NoError(t, decoder.DecodeValue(reflect.Value{}))
			require.Equal(t, string(err), header.Error)
		}
	})
}

// bodies are a response as agents of other versions might send it.
func bodies(code int, stdout, stderr string) []any {
	out, complaint := []byte(stdout), []byte(stderr)
	return []any{
		Response{code, out, complaint},
		struct {
			Stderr, Stdout []byte
			Code           int
		}{complaint, out, code},
		struct {
			Before uint8
			Code   int64
			Name   string
			Stdout []byte
			More   []byte
			Flag   bool
			Stderr []byte
			After  int16
		}{200, int64(code), "name", out, []byte("more"), true, complaint, -300},
	}
}

func answer(t testing.TB, values ...any) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := gob.NewEncoder(&text)
	for _, value := range values {
		require.NoError(t, encoder.Encode(value))
	}
	return text.Bytes()
}

func FuzzAnswers(f *testing.F) {
	f.Add(0, "true\n", "", "")
	f.Add(-5, "", "ERROR x", "bad request")
	f.Add(1<<40, strings.Repeat("x", 10_000), strings.Repeat("y", 300), "")
	f.Fuzz(func(t *testing.T, code int, stdout, stderr, refused string) {
		for _, body := range bodies(code, stdout, stderr) {
			text := answer(t, responseHeader{"", 1, refused}, body, responseHeader{"", 1, "no"}, struct{}{}, responseHeader{"", 1, ""}, body)
			r := receiver(bytes.NewReader(text))
			_, err := r.receive(Command{})
			if refused != "" {
				require.Equal(t, refusal(refused), err)
			} else {
				require.NoError(t, err)
			}
			_, err = r.receive(Command{})
			require.Equal(t, refusal("no"), err)
			a, err := r.receive(Command{})
			require.NoError(t, err)
			require.NoError(t, a.unread)
			require.Equal(t, []any{code, stdout, stderr}, []any{a.code, string(a.stdout), string(a.stderr)})
			_, err = r.receive(Command{})
			require.ErrorIs(t, err, io.EOF)
		}
	})
}

func TestAnswersInAnotherFormAreRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]any{
		"another type of code":   struct{ Code uint }{1},
		"another type of output": struct{ Stdout string }{"x"},
		"nothing that is known":  struct{ Exit int }{1},
		"no struct":              "text",
		"a list":                 []string{"text"},
		"a field with a list": struct {
			Code  int
			Lines []string
		}{1, []string{"x"}},
		"a field with a struct": struct {
			Code int
			Time struct{ Seconds int }
		}{Code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := answer(t, responseHeader{"", 1, ""}, body)
			_, err := receiver(bytes.NewReader(text)).receive(Command{})
			require.ErrorIs(t, err, errAnswer)
		})
	}
	t.Run("another call's", func(t *testing.T) {
		t.Parallel()
		_, err := receiver(bytes.NewReader(answer(t, responseHeader{"", 2, ""}, Response{}))).receive(Command{})
		require.EqualError(t, err, "call 1 was answered by 2")
	})
	t.Run("one that is cut off", func(t *testing.T) {
		t.Parallel()
		text := answer(t, responseHeader{"Jujuc.Main", 1, ""}, Response{300, []byte("out"), []byte("err")})
		for length := range len(text) {
			_, err := receiver(bytes.NewReader(text[:length])).receive(Command{})
			require.Error(t, err, "the first %d bytes", length)
		}
	})
}

// TestWordsOfTheAgentTakeNoMemory has answers that claim to be long and are not.
func TestWordsOfTheAgentTakeNoMemory(t *testing.T) {
	header := answer(t, responseHeader{"", 1, ""}, Response{})
	header = header[:len(header)-len("\x03\xff\x80\x00")] // but for its value
	for name, test := range map[string]struct {
		claim string
		want  error
	}{
		"a message that is too long":  {"\xfc\x10\x00\x00\x00", nil},
		"an output that never comes":  {"\xfc\x07\x00\x00\x00" + "?" + "\x02\xfc\x06\x00\x00\x00abc", io.ErrUnexpectedEOF},
		"an output beyond its bounds": {"\x07?\x02\xfd\x06\x00\x00a", errAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			kind := responseType(t)
			text := string(header) + strings.Replace(test.claim, "?", string(appendInt(nil, kind)), 1)
			var err error
			memory := allocated(func() { _, err = receiver(strings.NewReader(text)).receive(Command{}) })
			require.Error(t, err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.Less(t, memory, 256<<10)
		})
	}
}

// responseType is the number that encoding/gob has given to Response.
func responseType(t *testing.T) int64 {
	t.Helper()
	r := receiver(bytes.NewReader(answer(t, Response{Code: 1})))
	require.NoError(t, r.in.value(gobKnown{gobField{"Code", gobInt}, func() { r.in.uint() }}))
	require.Len(t, r.in.types, 1)
	for id := range r.in.types {
		return id
	}
	return 0
}

func TestWhatIsLeftUnreadHurtsNoOtherCall(t *testing.T) {
	t.Parallel()
	text := answer(t, responseHeader{"", 1, ""}, Response{Stdout: bytes.Repeat([]byte("x"), 100_000)}, responseHeader{"", 1, ""}, Response{Stdout: []byte("next")})
	r := receiver(bytes.NewReader(text))
	a, err := r.receive(Command{Stdout: func(stdout io.Reader, _ int) error {
		_, err := stdout.Read(make([]byte, 5000))
		require.NoError(t, err)
		return errBag
	}})
	require.NoError(t, err)
	require.ErrorIs(t, a.unread, errBag)
	a, err = r.receive(Command{})
	require.NoError(t, err)
	require.Equal(t, "next", string(a.stdout))
}
