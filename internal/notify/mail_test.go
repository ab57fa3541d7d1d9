package notify

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smtpServer is Debian's aiosmtpd with a maildir; it says no to who it is told.
const smtpServer = `
import sys, asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
class Handler(Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('later'):
            return '451 come again'
        envelope.rcpt_tos.append(address)
        return '250 OK'
    async def handle_DATA(self, server, session, envelope):
        if b'poison' in envelope.content:
            return '554 not that'
        return await super().handle_DATA(server, session, envelope)
c = Controller(Handler(sys.argv[1]), hostname='127.0.0.1', port=int(sys.argv[2]), server_hostname='test')
c.start()
print('ready', flush=True)
sys.stdin.read()
c.stop()
`

// smtpd starts the server, with its mails in the directory mail.
func (h *house) smtpd() (address string) {
	h.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	h.check(err)
	address = free.Addr().String()
	h.check(free.Close())
	_, port, err := net.SplitHostPort(address)
	h.check(err)
	cmd := exec.CommandContext(h.t.Context(), "/usr/bin/python3", "-c", smtpServer, filepath.Join(h.scan, "mail"), port)
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	h.check(err)
	out, err := cmd.StdoutPipe()
	h.check(err)
	h.check(cmd.Start())
	h.t.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait() // it was told to end
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		h.t.Fatalf("%q, %v: apt-get install --no-install-recommends python3-aiosmtpd", line, err)
	}
	return address
}

func (h *house) mails(count int) string {
	h.t.Helper()
	var found []string
	h.until(func() bool {
		found, _ = filepath.Glob(filepath.Join(h.scan, "mail/new/*")) // the pattern is right
		return len(found) >= count
	})
	var all strings.Builder
	for _, path := range found {
		content, err := os.ReadFile(path)
		h.check(err)
		all.Write(content)
	}
	return all.String()
}

func TestMail(t *testing.T) {
	h := newHouse(t)
	via := h.smtpd()
	h.sink(".svscan/notify/a", fmt.Sprintf("mail ops@example.org via %s from svmon@example.org on failed,mine", via))
	h.sink(".svscan/notify/later", fmt.Sprintf("mail later@example.org via %s", via))
	h.happen(1, strings.Replace(failed, "crash", "grüße", 1))
	text := h.mails(1)
	for _, want := range []string{
		"From: <svmon@example.org>", "To: <ops@example.org>", "X-RcptTo: ops@example.org",
		"Subject: =?utf-8?q?web@2:_failed:_exit_3,_gr=C3=BC=C3=9Fe,_5_deaths_in_a_row?=",
		"Auto-Submitted: auto-generated", "Message-ID: <", "Content-Type: text/plain; charset=utf-8",
		`web@2: failed: exit 3, gr=C3=BC=C3=9Fe, 5 deaths in a row`, `"why":"gr=C3=BC=C3=9Fe"`,
	} {
		if !strings.Contains(text, want) && !strings.Contains(strings.ReplaceAll(text, "=\n", ""), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	h.saw(`.svscan/svmon .svscan/notify/later: unable to deliver: 451 "come again"`)
	h.happen(2, `{"service":"web","event":"mine","text":"poison"}`)
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: refused: 554 \"not that\"")
	if text := h.mails(2); !strings.Contains(text, "1 more event (refused): 1 mine") {
		t.Errorf("got\n%s", text)
	}
}
