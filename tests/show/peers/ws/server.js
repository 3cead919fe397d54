// SPDX-License-Identifier: Apache-2.0
// npm `ws` as a peer of the measurements; tests/show/peers/README.md says what a peer does.
//
//   node server.js broadcast|prepared [--batch] [--deflate] [--certificate FILE --key FILE]
//
// broadcast: as the library's documentation does it, `client.send` for each client and message.
// prepared: frames are made once, those of one read together, and written to the clients' sockets
// past the library, which has no public way for that.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const net = require("net");
const { WebSocketServer, WebSocket, Sender } = require("ws");

const [mode, ...rest] = process.argv.slice(2);

function option(name) {
  const at = rest.indexOf(name);
  return at < 0 ? undefined : rest[at + 1];
}

const batch = rest.includes("--batch");
const certificate = option("--certificate");
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(option("--key")) })
  : http.createServer();
const webSockets = new WebSocketServer({
  server,
  perMessageDeflate: rest.includes("--deflate") && {
    serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0,
  },
});

function broadcast(messages) {
  for (const message of messages)
    for (const client of webSockets.clients)
      if (client.readyState === WebSocket.OPEN) client.send(message, { binary: false });
}

function prepared(messages) {
  const frames = messages.flatMap((message) =>
    Sender.frame(message, { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true }));
  const bytes = Buffer.concat(frames);
  for (const client of webSockets.clients)
    if (client.readyState === WebSocket.OPEN) client._socket.write(bytes);
}

const send = { broadcast, prepared }[mode];
const source = net.createServer((socket) => {
  let rest = Buffer.alloc(0);
  socket.on("data", (data) => {
    rest = rest.length ? Buffer.concat([rest, data]) : data;
    const messages = [];
    let begin = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, begin)) {
      messages.push(rest.subarray(begin, end));
      begin = end + 1;
    }
    if (batch && messages.length > 0) send([rest.subarray(0, begin - 1)]);
    else if (messages.length > 0) send(messages);
    rest = Buffer.from(rest.subarray(begin));
  });
  socket.on("error", () => socket.destroy());
});

webSockets.on("connection", (client) => client.on("error", () => client.terminate()));
source.listen(0, "127.0.0.1", () =>
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
    const scheme = certificate ? "wss" : "ws";
    console.log(JSON.stringify({
      url: `${scheme}://127.0.0.1:${server.address().port}/`,
      source: `127.0.0.1:${source.address().port}`,
    }));
  }));
