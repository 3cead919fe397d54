// SPDX-License-Identifier: Apache-2.0

// gorilla/websocket as a peer of the measurements: prepared messages, one goroutine and one bounded
// channel a client, as in the library's chat example. tests/show/peers/README.md says what a peer
// does.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

const queueSize = 4096 // a client that is further behind is closed

type hub struct {
	lock    sync.Mutex
	clients map[chan *websocket.PreparedMessage]bool
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (h *hub) remove(queue chan *websocket.PreparedMessage) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.clients[queue] {
		delete(h.clients, queue)
		close(queue)
	}
}

func (h *hub) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	connection, err := upgrader.Upgrade(writer, request, nil)
	if err != nil {
		return
	}
	queue := make(chan *websocket.PreparedMessage, queueSize)
	h.lock.Lock()
	h.clients[queue] = true
	h.lock.Unlock()
	go func() {
		defer connection.Close()
		for message := range queue {
			if connection.WritePreparedMessage(message) != nil {
				h.remove(queue)
				return
			}
		}
	}()
	for {
		if _, _, err := connection.ReadMessage(); err != nil {
			h.remove(queue)
			return
		}
	}
}

func (h *hub) broadcast(line []byte) {
	message, err := websocket.NewPreparedMessage(websocket.TextMessage, line)
	if err != nil {
		return
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	for queue := range h.clients {
		select {
		case queue <- message:
		default:
			delete(h.clients, queue)
			close(queue)
		}
	}
}

func (h *hub) readSource(listener net.Listener) {
	for {
		source, err := listener.Accept()
		if err != nil {
			return
		}
		lines := bufio.NewScanner(source)
		lines.Buffer(make([]byte, 0, 65536), 1<<20)
		for lines.Scan() {
			h.broadcast(append([]byte(nil), lines.Bytes()...))
		}
		source.Close()
	}
}

func main() {
	source, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	clients, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	h := &hub{clients: map[chan *websocket.PreparedMessage]bool{}}
	go h.readSource(source)
	fmt.Printf("{\"url\":\"ws://%s/\",\"source\":\"%s\"}\n", clients.Addr(), source.Addr())
	os.Stdout.Sync()
	panic(http.Serve(clients, h))
}
