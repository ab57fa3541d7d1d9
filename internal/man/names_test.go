package man_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// constants returns the values of the exported string constants of a package's directory that have
// the type: "" for those without one.
func constants(t *testing.T, dir, typ string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					found = append(found, values(t, spec.(*ast.ValueSpec), typ)...)
				}
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no constants of the type %q", dir, typ)
	}
	return found
}

func values(t *testing.T, spec *ast.ValueSpec, typ string) (found []string) {
	t.Helper()
	got := ""
	if ident, ok := spec.Type.(*ast.Ident); ok {
		got = ident.Name
	}
	if got != typ || !spec.Names[0].IsExported() {
		return nil
	}
	for _, value := range spec.Values {
		if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, text)
		}
	}
	return found
}

// TestEvents: svevents(5) has every kind of event and every state.
func TestEvents(t *testing.T) {
	p := find(t, "svevents", "5")
	for _, typ := range []string{"Kind", "Phase"} {
		for _, word := range constants(t, "../event", typ) {
			if !p.has(word) {
				t.Errorf("%s has no %s", p.path, word)
			}
		}
	}
}

// TestFields: svevents(5) or service(5) has every field of a record.
func TestFields(t *testing.T) {
	events, service := find(t, "svevents", "5"), find(t, "service", "5")
	r := filled(t)
	var line map[string]any
	if err := json.Unmarshal(r.Append(nil), &line); err != nil {
		t.Fatal(err)
	}
	for key := range line {
		if !events.has(key) && !service.has(key) {
			t.Errorf("neither %s nor %s has the field %s", events.path, service.path, key)
		}
	}
}

// filled is a record in which no field is zero.
func filled(t *testing.T) event.Record {
	t.Helper()
	var r event.Record
	for _, f := range reflect.ValueOf(&r).Elem().Fields() {
		switch {
		case f.Kind() == reflect.String:
			f.SetString("x")
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(1)
		case f.CanUint():
			f.SetUint(1)
		}
	}
	r.Time = r.Time.AddDate(1, 0, 0)
	r.Since, r.ReadySince = r.Time, r.Time
	r.Exit, r.PIDs = event.Exit{Ended: true}, []int{1}
	return r
}

// TestFiles: service(5) and scandir(5) have every name of a file, service(5) every setting; and they
// describe none that the code does not know.
func TestFiles(t *testing.T) {
	service, scandir := find(t, "service", "5"), find(t, "scandir", "5")
	files, settings := constants(t, "../svdir", ""), constants(t, "../settings", "")
	for _, name := range files {
		if name == svdir.Default {
			continue // no entry of a directory: the commands' pages have it
		}
		if !mentions(service, name) && !mentions(scandir, name) {
			t.Errorf("neither %s nor %s has the file %s", service.path, scandir.path, name)
		}
	}
	for _, name := range settings {
		if !service.has(name) {
			t.Errorf("%s has no setting %s", service.path, name)
		}
	}
	known := append(files, settings...)
	for _, head := range service.items() {
		for _, match := range pathname.FindAllStringSubmatch(head, -1) {
			if name := strings.Trim(match[1], `",/`); !slices.Contains(known, name) {
				t.Errorf("%s describes %s, which is in no list of names", service.path, name)
			}
		}
	}
}

// TestSettings: each setting has its default in service(5), and an example that it can be set to.
func TestSettings(t *testing.T) {
	service := find(t, "service", "5")
	for _, k := range settings.Keys {
		entry := service.entry(k.Name)
		if !slices.ContainsFunc(entry, func(line string) bool { return strings.HasPrefix(line, "Default:") }) {
			t.Errorf("%s: %s has no default", service.path, k.Name)
		}
		i := slices.Index(entry, "For example:")
		if i < 0 || i+1 == len(entry) {
			t.Errorf("%s: %s has no example", service.path, k.Name)
			continue
		}
		example := strings.TrimSuffix(strings.TrimPrefix(entry[i+1], ".Ql "), " .")
		if err := settings.Check("web@", k.Name, example); err != nil {
			t.Errorf("%s: %s cannot be %q: %v", service.path, k.Name, example, err)
		}
	}
}

// TestSinks: svmon-notify(5) has every kind of sink.
func TestSinks(t *testing.T) {
	p := find(t, "svmon-notify", "5")
	for _, kind := range constants(t, "../notify", "Kind") {
		if !p.has(kind) {
			t.Errorf("%s has no kind of sink %s", p.path, kind)
		}
	}
}

// TestMigrating: migrating(7) has every setting, and names no file that service(5) does not.
func TestMigrating(t *testing.T) {
	migrating, service := find(t, "migrating", "7"), find(t, "service", "5")
	for _, name := range constants(t, "../settings", "") {
		if !mentions(migrating, name) && name != "max-death-tally" { // s6's own, and the same
			t.Errorf("%s has no setting %s", migrating.path, name)
		}
	}
	for _, line := range migrating.lines {
		rest, ok := strings.CutPrefix(line, ".Pa ")
		if !ok {
			continue
		}
		for name := range strings.FieldsSeq(rest) {
			isPunctuation := strings.Trim(name, ",.:;") == ""
			if !isPunctuation && filepath.Dir(name) != svdir.Needs && !mentions(service, filepath.Base(name)) {
				t.Errorf("%s names %s, which %s does not", migrating.path, name, service.path)
			}
		}
	}
}

// mentions reports that the page has the path, or one that ends in it.
func mentions(p page, name string) bool {
	for _, line := range p.lines {
		for _, match := range pathname.FindAllStringSubmatch(line, -1) {
			if path := strings.Trim(match[1], `",/`); path == name || filepath.Base(path) == name {
				return true
			}
		}
	}
	return false
}

// pathname is a path in a page: "Pa supervise/lock".
var pathname = regexp.MustCompile(`\bPa (\S+)`)
