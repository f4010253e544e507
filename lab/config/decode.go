package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// strictly decodes without viper's weak conversions, which take true for 1 and
// 2.5 for 2. What only text can say (environment, flags) is converted from
// text.
func strictly(c *mapstructure.DecoderConfig) {
	c.WeaklyTypedInput = false
	c.DecodeHook = mapstructure.ComposeDecodeHookFunc(
		plainNumbers,
		splitList,
		mapstructure.TextUnmarshallerHookFunc(), // Size
		fromText,
	)
}

// plainNumbers refuses what decoding would bend silently.
func plainNumbers(_, to reflect.Type, value any) (any, error) {
	switch number := value.(type) {
	case float64:
		if to.Kind() == reflect.String {
			return nil, fmt.Errorf("is the number %v here: put quotes around it", number)
		}
		return nil, fmt.Errorf("%v is not a whole number", number)
	case int:
		if to == reflect.TypeFor[time.Duration]() {
			return nil, fmt.Errorf("%d has no unit: say 30s, 10m or 1h", number)
		}
	}
	return value, nil
}

// splitList turns one text into a list: 4KiB, 64KiB.
func splitList(_, to reflect.Type, value any) (any, error) {
	text, ok := value.(string)
	if !ok || to.Kind() != reflect.Slice {
		return value, nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts, nil
}

// fromText reads what only text can say: the environment has nothing else, and
// a duration is text in a file, too.
func fromText(_, to reflect.Type, value any) (any, error) {
	text, ok := value.(string)
	if !ok {
		return value, nil
	}
	var read any
	var err error
	switch {
	case to == reflect.TypeFor[time.Duration]():
		read, err = time.ParseDuration(text)
	case to.Kind() == reflect.Int:
		read, err = strconv.Atoi(text)
	case to.Kind() == reflect.Uint64:
		read, err = strconv.ParseUint(text, 10, 64)
	case to.Kind() == reflect.Bool:
		read, err = strconv.ParseBool(text)
	default:
		return value, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not %s", text, kindName(to))
	}
	return read, nil
}

// decodeProblem makes one Error of what mapstructure found, the first of it.
func decodeProblem(err error) *Error {
	key, cause := "", err
	var at *mapstructure.DecodeError
	for errors.As(cause, &at) {
		key, cause = at.Name(), at.Unwrap()
	}
	text := cause.Error()
	if names, ok := strings.CutPrefix(text, "has invalid keys: "); ok {
		name, _, _ := strings.Cut(names, ", ")
		return problem(join(key, name), "unknown key%s", Hint(name, keysUnder(key)))
	}
	var kind *mapstructure.UnconvertibleTypeError
	var parse *mapstructure.ParseError
	switch {
	case errors.As(cause, &kind):
		return problem(key, "%v is not %s", kind.Value, kindName(kind.Expected.Type()))
	case errors.As(cause, &parse):
		return problem(key, "%v is not %s", parse.Value, kindName(parse.Expected.Type()))
	case strings.HasPrefix(text, "expected a map"):
		return problem(key, "is not an entry with keys: %s", strings.Join(keysUnder(key), ", "))
	case strings.HasPrefix(text, "source data must be an array or slice"):
		return problem(key, "is not a list")
	}
	return problem(key, "%v", cause)
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// kindName says in plain words what a type of Config wants.
func kindName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return "a size such as 64KiB"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s or 10m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Uint64:
		return "a whole number from 0 up"
	}
	return "a whole number"
}

// keysUnder returns the keys that an entry such as kernels[2] may have.
func keysUnder(entry string) []string {
	top, _, _ := strings.Cut(entry, "[")
	if top == "" {
		return keysOf(reflect.TypeFor[Config](), true)
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Tag.Get("mapstructure") == top {
			return keysOf(field.Type.Elem(), true)
		}
	}
	return nil
}

// keysOf returns a struct's keys: all of them, or those that one text can set.
func keysOf(t reflect.Type, all bool) []string {
	var names []string
	for field := range t.Fields() {
		entries := field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct
		if all || !entries {
			names = append(names, field.Tag.Get("mapstructure"))
		}
	}
	return names
}
