package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// TestOwnHasEveryKind reads the constants from the source, so that none can be forgotten.
func TestOwnHasEveryKind(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Kind" {
			return true
		}
		kinds++
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !Kind(word).Own() {
			t.Errorf("Own does not know %s, %v", word, err)
		}
		return true
	})
	if kinds < 30 || Kind("deployed").Own() {
		t.Errorf("%d kinds, deployed is own: %v", kinds, Kind("deployed").Own())
	}
}
