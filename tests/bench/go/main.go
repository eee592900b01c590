// rueidis: the driver of the benchmark's runner; see ../README.md, "How it is built".
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/rueidis"
)

const digits = 16
const silence = 10 * time.Second // a message that has not come by then is missing

var (
	url, ca               string
	channels, size, count int
	brokenOnce            bool
)

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

// User and system time of the whole process.
func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail("getrusage: %v", err)
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

func open() rueidis.Client {
	option := rueidis.ClientOption{DisableCache: true}
	scheme, where, _ := strings.Cut(url, "://")
	option.InitAddress = []string{where}
	switch scheme {
	case "unix":
		option.DialCtxFn = func(ctx context.Context, path string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
	case "rediss":
		pem, err := os.ReadFile(ca)
		if err != nil {
			fail("%v", err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		host, _, _ := net.SplitServerAddress(where)
		option.TLSConfig = &tls.Config{RootCAs: pool, ServerName: host}
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		fail("rueidis: %v", err)
	}
	return client
}

func report(from time.Time, cpuFrom float64, wrong int) {
	fmt.Printf("{\"messages\": %d, \"seconds\": %f, \"cpu_seconds\": %f, \"wrong\": %d}\n", count, time.Since(from).Seconds(),
		cpu()-cpuFrom, wrong)
}

// Message i belongs to channel i mod C, so a channel's numbers go up by C.
func receive() {
	client := open()
	next := make([]int, channels)
	for i := range next {
		next[i] = i
	}
	names := make([]string, channels)
	for i := range names {
		names[i] = "ws:bench:" + strconv.Itoa(i)
	}
	var first time.Time
	var seen atomic.Int64
	wrong := 0
	done := make(chan struct{})
	onMessage := func(message rueidis.PubSubMessage) {
		number := -1
		if len(message.Message) == size {
			if value, err := strconv.Atoi(message.Message[:digits]); err == nil {
				number = value
			}
		}
		if number < 0 || number != next[number%channels] {
			wrong++
		} else {
			next[number%channels] += channels
		}
		switch seen.Add(1) {
		case 1:
			first = time.Now()
		case int64(count):
			close(done)
		}
	}
	dedicated, _ := client.Dedicate()
	subscribed := make(chan struct{})
	confirmed := 0
	hooks := rueidis.PubSubHooks{OnMessage: onMessage, OnSubscription: func(subscription rueidis.PubSubSubscription) {
		if confirmed++; confirmed == channels {
			close(subscribed)
		}
	}}
	subscribe := func() <-chan error {
		broken := dedicated.SetPubSubHooks(hooks)
		for begin := 0; begin < channels; begin += 512 {
			end := min(begin+512, channels)
			command := dedicated.B().Subscribe().Channel(names[begin:end]...).Build()
			if err := dedicated.Do(context.Background(), command).Error(); err != nil {
				fail("rueidis: %v", err)
			}
		}
		return broken
	}
	broken := subscribe()
	<-subscribed
	cpuFrom := cpu()
	fmt.Println("ready")
	if brokenOnce { // a dedicated connection ends with its link, and the application takes another
		select {
		case <-broken:
			dedicated, _ = client.Dedicate()
			hooks.OnSubscription = nil
			broken = subscribe()
		case <-done:
		}
	}
	for before := int64(-1); ; {
		select {
		case <-done:
			if first.IsZero() {
				fail("no message came")
			}
			report(first, cpuFrom, wrong)
			return
		case err := <-broken:
			fail("rueidis: the link broke: %v", err)
		case <-time.After(silence):
			now := seen.Load()
			if now == before && now > 0 {
				fail("%d of %d messages are missing", int64(count)-now, count)
			}
			before = now
		}
	}
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "receive" {
		fail("usage: rueidis receive --url URL ...")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&url, "url", "", "")
	flags.StringVar(&ca, "ca", "", "")
	flags.IntVar(&channels, "channels", 1, "")
	flags.IntVar(&size, "size", 128, "")
	flags.IntVar(&count, "count", 1, "")
	flags.BoolVar(&brokenOnce, "broken-once", false, "")
	if err := flags.Parse(os.Args[2:]); err != nil || size < digits || channels < 1 || count < 1 {
		fail("numbers must be positive, and the size at least %d", digits)
	}
	receive()
}
