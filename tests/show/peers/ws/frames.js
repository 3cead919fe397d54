// SPDX-License-Identifier: Apache-2.0
// npm ws takes every frame of the simulator, compressed and plain. The same as
// independent_frames.py; the test authority comes by NODE_EXTRA_CA_CERTS.
'use strict';
const fs = require('fs');
const WebSocket = require('ws');

const plan = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

function run(stream, deflate) {
  return new Promise((resolve) => {
    const result = {
      library: 'ws', stream: stream.name, offered: deflate, granted: false, frames: 0, error: null,
    };
    const socket = new WebSocket(stream.url, { perMessageDeflate: deflate });
    const end = setTimeout(() => socket.close(), plan.seconds * 1000);
    socket.on('open', () => {
      result.granted = socket.extensions !== '';
      stream.send.forEach((message) => socket.send(message));
    });
    socket.on('message', (data) => {
      result.frames += 1;
      try {
        JSON.parse(data.toString());
      } catch (error) {
        result.error = String(error);
      }
    });
    socket.on('error', (error) => { result.error = String(error); });
    socket.on('close', () => {
      clearTimeout(end);
      console.log(JSON.stringify(result));
      resolve();
    });
  });
}

(async () => {
  for (const deflate of [true, false]) {
    await Promise.all(plan.streams.map((stream) => run(stream, deflate)));
  }
})();
