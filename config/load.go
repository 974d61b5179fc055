package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Prefix begins the name of every variable that is revoker's own.
const Prefix = "REVOKER_"

// ErrInvalid is wrapped by every error of the configuration, which no restart makes go away.
var ErrInvalid = errors.New("the configuration is wrong")

// Invalid marks err as one of the configuration; nil stays nil. Its text ends with where the variables are described. To unwrap it
// once gives err.
func Invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalidError{err}
}

type invalidError struct{ error }

func (e invalidError) Error() string {
	return fmt.Sprintf("%v:\n%v\n`revoker run --help` describes the variables", ErrInvalid, e.error)
}

func (e invalidError) Unwrap() error { return e.error }

func (e invalidError) Is(target error) bool { return target == ErrInvalid }

// Override is what the flags of a command set instead of the environment. Empty values set nothing.
type Override struct {
	// Server replaces NATS_URL, and the servers of a context.
	Server string
	// Context replaces all NATS_ variables: another cluster must not be sent the credentials of this one.
	Context string
}

func (o Override) apply(n *NATS) {
	if o.Context != "" {
		*n = NATS{Context: o.Context}
	}
	if o.Server != "" {
		n.URL = NewServerURLs(o.Server)
	}
}

// Default returns the configuration of an empty environment.
func Default() Config {
	var cfg Config
	for _, v := range variables(&cfg) {
		if err := v.parse(absent(v.name)); err != nil {
			panic(fmt.Sprintf("the default of %s: %v", v.name, err)) // a mistake in config.go, caught by any test
		}
	}
	return cfg
}

// Load reads the configuration from the environment. An empty value counts as unset, except where the declaration keeps
// it. The error names every variable that can't be used, quoting the value of none; what only the API needs is checked
// by [Config.ValidateAPI], for not every command calls it.
func Load(overrides ...Override) (Config, error) {
	var cfg Config
	var errs []error
	known, set := map[string]bool{}, map[string]bool{}
	for _, v := range variables(&cfg) {
		known[v.name] = true
		name := v.name
		if value, present := os.LookupEnv(name); value != "" || present && v.tag.Get("empty") == "kept" {
			set[name] = true
		} else {
			name = absent(name)
		}
		if err := v.parse(name); err != nil {
			errs = append(errs, err)
			_ = v.parse(absent(v.name)) // so that no rule between two variables is broken by its absence
			continue
		}
		errs = append(errs, v.checkRange())
	}
	cfg.nameBulkLane(set)
	errs = append(errs, unknown(known, os.Environ())...)
	for _, o := range overrides {
		o.apply(&cfg.NATS)
	}
	errs = append(errs, cfg.validate()...)
	return cfg, errors.Join(errs...)
}

// unknown returns an error for each variable of our prefix that no field declares and that is not Kubernetes' own, since a
// typo must not be a silent default.
func unknown(known map[string]bool, environ []string) []error {
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix) && !known[name] && !injected(name, value) {
			errs = append(errs, fmt.Errorf("%s: no such variable", name))
		}
	}
	return errs
}

// variable is one field of Config that a variable sets.
type variable struct {
	name  string
	tag   reflect.StructTag
	field reflect.StructField
	value reflect.Value
}

// variables returns the leaves of cfg in the order of their declaration.
func variables(cfg *Config) []variable { return leaves(reflect.ValueOf(cfg).Elem()) }

func leaves(structure reflect.Value) []variable {
	var list []variable
	for i := range structure.NumField() {
		field, value := structure.Type().Field(i), structure.Field(i)
		if name := field.Tag.Get("envconfig"); name != "" {
			list = append(list, variable{name, field.Tag, field, value})
		} else {
			list = append(list, leaves(value)...)
		}
	}
	return list
}

// absent turns a name into one that no environment can have, since a name ends at the first "=".
func absent(name string) string { return "=" + name }

// parse sets the field from the variable called name, or to its default. envconfig stops at the first field it can't
// parse and quotes the value, so it is given a struct of this one field, and its error is put in our words.
func (v variable) parse(name string) error {
	field := v.field
	field.Tag = reflect.StructTag(fmt.Sprintf("envconfig:%q default:%q", name, v.tag.Get("default")))
	one := reflect.New(reflect.StructOf([]reflect.StructField{field}))
	err := envconfig.Process("", one.Interface())
	var parse *envconfig.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s: not %s", v.name, v.kind())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	v.value.Set(one.Elem().Field(0))
	return nil
}
