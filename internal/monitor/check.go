package monitor

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
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
				_, errWrite := io.WriteString(w, cli.Printable(f.Name+"/"+file+": "+cause(why))+"\n")
				if err == nil {
					err = errWrite
				}
			}
		}
		if fd, errOpen := svdir.Open(f.Dir); errOpen == nil {
			_ = unix.Close(fd) // nothing was written
		} else if !errors.Is(errOpen, fs.ErrNotExist) {
			complain(svdir.Rules, errOpen) // nobody knows what is in there
			continue
		}
		complain(svdir.Rules, eachRule(f.Dir, f.Name == hostName, func(name, _ string, _ *rule.Rule, why error) {
			complain(svdir.Rules+"/"+name, why)
		}))
	}
	return wrong, err
}
