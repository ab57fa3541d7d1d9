package monitor

import (
	"fmt"
	"io"
	"path/filepath"

	"vigil/internal/rule"
	"vigil/internal/svdir"
)

// Check looks at every rule of a scan directory, writes a line for each file that is wrong, and returns
// how many there are.
func Check(scan string, w io.Writer) (wrong int, err error) {
	found, err := svdir.All(scan)
	if err != nil {
		return 0, err
	}
	own := svdir.Found{Name: hostName, Dir: filepath.Join(scan, svdir.ScanOwn)}
	for _, f := range append(found, own) {
		complain := func(file string, why error) {
			if why != nil {
				wrong++
				_, errWrite := fmt.Fprintf(w, "%s/%s: %s\n", f.Name, file, cause(why))
				if err == nil {
					err = errWrite
				}
			}
		}
		complain(svdir.Rules, eachRule(f.Dir, f.Name == hostName, func(name, _ string, _ *rule.Rule, why error) {
			complain(svdir.Rules+"/"+name, why)
		}))
	}
	return wrong, err
}
