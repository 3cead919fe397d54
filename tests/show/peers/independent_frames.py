# SPDX-License-Identifier: Apache-2.0
"""Python's websockets and aiohttp take every frame of the simulator, compressed and plain.

    independent_frames.py FILE              FILE: {"seconds":N,"streams":[{"url","send":[...]},...]}

Prints one JSON line for each library, stream and kind: how many frames, and what went wrong.
The test authority comes by SSL_CERT_FILE.
"""

import asyncio
import json
import sys
import time

import aiohttp
import websockets


async def with_websockets(stream, seconds, deflate):
    compression = "deflate" if deflate else None
    async with websockets.connect(stream["url"], max_size=None, compression=compression) as socket:
        for message in stream["send"]:
            await socket.send(message)
        end = time.monotonic() + seconds
        frames = []
        while time.monotonic() < end:
            try:
                frames.append(await asyncio.wait_for(socket.recv(), end - time.monotonic()))
            except asyncio.TimeoutError:
                break
        granted = bool(socket.response_headers.get("Sec-WebSocket-Extensions"))
    return frames, granted


async def with_aiohttp(stream, seconds, deflate):
    frames = []
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(stream["url"], max_msg_size=0,
                                      compress=15 if deflate else 0) as socket:
            for message in stream["send"]:
                await socket.send_str(message)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    message = await socket.receive(max(0.01, end - time.monotonic()))
                except asyncio.TimeoutError:
                    break
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    raise RuntimeError(f"{message.type}: {socket.exception()!r}")
                frames.append(message.data)
            granted = bool(socket.compress)
    return frames, granted


async def run(library, stream, seconds, deflate):
    result = {"library": library.__name__.replace("with_", ""), "stream": stream["name"],
              "offered": deflate, "granted": False, "frames": 0, "error": None}
    try:
        frames, result["granted"] = await library(stream, seconds, deflate)
        result["frames"] = len(frames)
        for frame in frames:
            json.loads(frame)
    except Exception as error:  # whatever a library raises is the finding
        result["error"] = repr(error)
    print(json.dumps(result), flush=True)


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    for library in (with_websockets, with_aiohttp):
        for deflate in (True, False):
            await asyncio.gather(*(run(library, stream, plan["seconds"], deflate)
                                   for stream in plan["streams"]))


asyncio.run(main())
