package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"time"
)

// errAnswer says that a server says more than any has to.
var errAnswer = errors.New("its answers are too long")

// A bound is a connection of which only so much is read.
type bound struct {
	net.Conn

	left int // bytes
}

func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswer
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// sendMail hands the message to a mail server. It has been delivered once the server has taken it.
func sendMail(ctx context.Context, p *parcel) error {
	conn, err := dialer.DialContext(ctx, "tcp", p.sink.Via)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	host, _, _ := net.SplitHostPort(p.sink.Via) // it was looked at when it was read
	client, err := smtp.NewClient(&bound{conn, maxAnswer}, host)
	if err != nil {
		_ = conn.Close() // that it is no mail server is what counts
		return err
	}
	defer func() { _ = client.Close() }() // what it said to DATA counts
	return converse(client, p, host, isLoopback(conn.RemoteAddr()))
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// converse speaks SMTP. Where the server can, it is encrypted, but on the way to this host: the
// certificate that Debian makes for a local server is nobody's.
func converse(client *smtp.Client, p *parcel, host string, isLocal bool) error {
	name := hostname()
	if err := client.Hello(name); err != nil {
		return err
	}
	if can, _ := client.Extension("STARTTLS"); can && !isLocal {
		if err := client.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	}
	from := p.sink.From
	if from == "" {
		from = "svmon@" + name
	}
	if err := client.Mail(from); err != nil {
		return err
	}
	if err := client.Rcpt(p.sink.Target); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(letter(p, from, name, time.Now())); err != nil {
		return err
	}
	err = w.Close()
	var answer *textproto.Error
	if errors.As(err, &answer) && answer.Code >= 500 {
		return fmt.Errorf("%w: %w", errRefused, err) // only now does it know the message
	}
	if err == nil {
		_ = client.Quit() // it has the message
	}
	return err
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// letter is the message as a mail.
func letter(p *parcel, from, host string, now time.Time) []byte {
	var b bytes.Buffer
	line := p.news.line()
	header := func(key, value string) { fmt.Fprintf(&b, "%s: %s\r\n", key, value) }
	header("From", "<"+from+">")
	header("To", "<"+p.sink.Target+">")
	header("Subject", mime.QEncoding.Encode("utf-8", subject(line)))
	header("Date", now.Format(time.RFC1123Z))
	header("Message-ID", "<"+p.id+"@"+host+">")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	_, _ = body.Write([]byte(line + "\n\n"))    // a buffer takes it
	_, _ = body.Write(append(p.news.raw, '\n')) // the same
	_ = body.Close()
	return b.Bytes()
}

// maxSubject is how many characters of a line people see.
const maxSubject = 120

func subject(line string) string {
	if runes := []rune(line); len(runes) > maxSubject {
		return string(runes[:maxSubject-1]) + "…"
	}
	return line
}
