# SPDX-License-Identifier: Apache-2.0
"""Python `websockets` as a peer of the measurements: its broadcast(), on one event loop.
tests/show/peers/README.md says what a peer does.

    websockets_server.py [--batch] [--deflate] [--certificate FILE --key FILE]
"""

import asyncio
import json
import ssl
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

BATCH = "--batch" in sys.argv
DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True,
                                         client_no_context_takeover=True)
LINE_MAX = 1 << 20


def tls():
    if "--certificate" not in sys.argv:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[sys.argv.index("--certificate") + 1],
                            sys.argv[sys.argv.index("--key") + 1])
    return context


async def main():
    clients = set()
    context = tls()

    async def on_client(connection):
        clients.add(connection)
        try:
            await connection.wait_closed()
        finally:
            clients.discard(connection)

    async def on_source(reader, writer):
        rest = b""
        while data := await reader.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            if BATCH and lines:
                lines = [b"\n".join(lines)]
            for line in lines:
                broadcast(clients, line.decode())
        writer.close()

    source = await asyncio.start_server(on_source, "127.0.0.1", 0, limit=LINE_MAX)
    options = {"extensions": [DEFLATE]} if "--deflate" in sys.argv else {}
    server = await serve(on_client, "127.0.0.1", 0, ssl=context, compression=None, backlog=1024,
                         **options)
    port, source_port = (one.sockets[0].getsockname()[1] for one in (server, source))
    print(json.dumps({"url": f"{'wss' if context else 'ws'}://127.0.0.1:{port}/",
                      "source": f"127.0.0.1:{source_port}"}), flush=True)
    await asyncio.Future()


asyncio.run(main())
