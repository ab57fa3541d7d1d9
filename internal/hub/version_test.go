package hub

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// testdata/vN has journals that vigil of version N of the format has left: a hub goes on with them.
func TestJournalsOfEachVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	must(t, os.CopyFS(dir, os.DirFS("testdata/v1")))
	const boot = "ec3c81f6-4bcd-4195-8a84-05ab3a8aa38c"
	j, r := recovery(t, dir, boot)
	if got := seqs(t, r.text()); !slices.Equal(got, []string{"1-36"}) || r.epoch != "FNTZGSLG4BDRN75I3YYJD2DYLJ" || len(r.wrong) > 0 {
		t.Fatalf("has %q of %q; wrong: %v", got, r.epoch, r.wrong)
	}
	for source, n := range map[string]uint64{"web": 6, "flap": 13, "done": 8, ".svscan/svevents": 4, "/svscan": 4, "mine": 0} {
		if r.counts[source].N != n {
			t.Errorf("of %s the last n is %d, want %d", source, r.counts[source].N, n)
		}
	}
	j.epoch = r.epoch
	must(t, j.begin(r))
	in := intake{counts: r.counts, seq: r.seq, kept: r.recent()}
	var b batch
	in.lines(&b, []byte(at("web", "resumed", 7, 1)), noon)
	must(t, j.append(&b, in.counts))
	must(t, j.file.Close())
	if _, r := recovery(t, dir, boot); !slices.Equal(seqs(t, r.text()), []string{"1-37"}) {
		t.Errorf("then it has %q", seqs(t, r.text()))
	}
}
