// A server that speaks Mongo's protocol: FerretDB, embedded, without its command, its telemetry and its state file.
//
// Prints one line, {"url": "mongodb://host:port/"}, when it listens.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "host:port; port 0 chooses one")
	handler := flag.String("handler", "sqlite", "sqlite or postgresql")
	store := flag.String("store", "", "file:FOLDER/ for sqlite, postgres://... for postgresql")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{TCP: *listen},
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Handler:       *handler,
		SQLiteURL:     *store,
		PostgreSQLURL: *store,
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { fmt.Printf("{\"url\": %q}\n", server.MongoDBURI()) }() // waits until Run listens
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
