// Command web is a small web application that reloads on HUP: it answers with the text of the
// file ./greeting, which it reads when it starts and again at each HUP. TERM ends it after the
// requests under way. With "ask" it is its own client, for the rule that says whether it answers.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
)

func main() {
	log.SetFlags(0) // the logger stamps
	log.SetPrefix("web: ")
	do, args := serve, os.Args[1:]
	if len(args) > 0 && args[0] == "ask" {
		do, args = ask, args[1:]
	}
	if len(args) != 1 {
		log.Fatal("usage: web [ask] unix:PATH|HOST:PORT")
	}
	if err := do(args[0]); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	var greeting atomic.Value
	text, err := os.ReadFile("greeting")
	if err != nil {
		return err
	}
	greeting.Store(string(text))

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	listener, err := listen(address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, greeting.Load().(string)) // the reader may be gone
	})}
	stopped := make(chan error, 1)
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				stopped <- server.Shutdown(context.Background())
				return
			}
			// A file that is wrong now leaves the old text in place.
			if text, err := os.ReadFile("greeting"); err != nil {
				log.Print(err)
			} else {
				greeting.Store(string(text))
				log.Print("reloaded")
			}
		}
	}()
	log.Printf("listening on %s", address)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// ask waits for the page of the web at the address. Who asks knows how long that may take.
func ask(address string) error {
	network := "tcp"
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		network, address = "unix", path
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	response, err := client.Get("http://web/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// listen understands unix:PATH and HOST:PORT. A socket that a killed web has left is in the way.
func listen(address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, "unix:")
	if !isUnix {
		return net.Listen("tcp", address)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}
