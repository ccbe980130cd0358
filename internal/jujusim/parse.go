// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flagSet reads flags as Juju's commands do (github.com/juju/gnuflag): flags
// and arguments may be mixed, short ones may be joined, "--" ends flags.
type flagSet struct {
	flags map[string]flag
	args  []string
}

type flag struct {
	boolean bool
	set     func(string) error
}

// errHelp asks for the tool's help text.
var errHelp = errors.New("help requested")

func (f *flagSet) define(fl flag, names []string) {
	if f.flags == nil {
		f.flags = map[string]flag{}
	}
	for _, name := range names {
		f.flags[name] = fl
	}
}

// text, boolean and integer define a flag under each of its names.
func (f *flagSet) text(target *string, names ...string) {
	f.define(flag{set: func(value string) error { *target = value; return nil }}, names)
}

func (f *flagSet) boolean(target *bool, names ...string) {
	f.define(flag{boolean: true, set: func(value string) (err error) {
		*target, err = strconv.ParseBool(value)
		return err
	}}, names)
}

func (f *flagSet) integer(target *int, names ...string) {
	f.define(flag{set: func(value string) error {
		parsed, err := strconv.ParseInt(value, 0, 64)
		*target = int(parsed)
		return err
	}}, names)
}

// parse returns the arguments that are no flags.
func (f *flagSet) parse(args []string) ([]string, error) {
	for f.args = args; len(f.args) > 0; {
		arg := f.args[0]
		switch {
		case arg == "-" || arg == "" || arg[0] != '-':
			return f.more(arg)
		case arg == "--":
			return f.args[1:], nil
		}
		f.args = f.args[1:]
		err := f.parseFlag(arg)
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// more keeps one argument and goes on after it.
func (f *flagSet) more(arg string) ([]string, error) {
	rest, err := f.parse(f.args[1:])
	return append([]string{arg}, rest...), err
}

func (f *flagSet) parseFlag(arg string) error {
	if name, found := strings.CutPrefix(arg, "--"); found {
		name, value, hasValue := strings.Cut(name, "=")
		if name == "" {
			return fmt.Errorf("empty option in argument %q", arg)
		}
		return f.assign(name, value, hasValue)
	}
	for letters := arg[1:]; letters != ""; {
		_, n := utf8.DecodeRuneInString(letters)
		name, rest := letters[:n], letters[n:]
		if f.flags[name].boolean && !strings.HasPrefix(rest, "=") {
			letters = rest
			err := f.assign(name, "", false)
			if err != nil {
				return err
			}
			continue
		}
		return f.assign(name, rest, rest != "")
	}
	return nil
}

func (f *flagSet) assign(name, value string, hasValue bool) error {
	shown := "--" + name
	if utf8.RuneCountInString(name) == 1 {
		shown = "-" + name
	}
	fl, found := f.flags[name]
	switch {
	case !found && (name == "help" || name == "h"):
		return errHelp
	case !found:
		return fmt.Errorf("option provided but not defined: %s", shown)
	case fl.boolean && !hasValue:
		value = "true"
	case !hasValue && len(f.args) == 0:
		return fmt.Errorf("option needs an argument: %s", shown)
	case !hasValue:
		value, f.args = f.args[0], f.args[1:]
	}
	err := fl.set(value)
	if err != nil {
		return fmt.Errorf("invalid value %q for option %s: %w", value, shown, err)
	}
	return nil
}

// parsePairs reads key=value arguments. Keys and values are trimmed, which
// costs a PEM text its last newline (juju/utils/keyvalues).
func parsePairs(args []string) (map[string]string, error) {
	pairs := map[string]string{}
	for _, arg := range args {
		if arg == "" {
			continue
		}
		key, value, found := strings.Cut(arg, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch _, twice := pairs[key]; {
		case !found:
			return nil, fmt.Errorf(`expected "key=value", got %q`, arg)
		case key == "":
			return nil, fmt.Errorf(`expected "key=value", got "=%s"`, value)
		case twice:
			return nil, fmt.Errorf("key %q specified more than once", key)
		}
		pairs[key] = value
	}
	return pairs, nil
}

func noMore(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unrecognized args: %q", args)
	}
	return nil
}
