# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy whose connections can be cut."""

import socket
import threading


class Proxy:
    def __init__(self, port):
        self.target = port
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.pairs = []
        self.heads = []  # the first bytes of each connection
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            number = len(self.pairs)
            self.pairs.append((client, server))
            self.heads.append(b"")
            threading.Thread(target=self._pump, args=(client, server, number), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, None), daemon=True).start()

    def _pump(self, source, target, number):
        try:
            while data := source.recv(65536):
                if number is not None and len(self.heads[number]) < 4096:
                    self.heads[number] += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.cut()
        for pair in self.pairs:
            for end in pair:
                end.close()
