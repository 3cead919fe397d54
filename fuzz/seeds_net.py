#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/ws.c, http.c and others: seeds_net.py ws|http|... FOLDER"""
import os
import struct
import sys

MASK = b"\x37\xfa\x21\x3d"
REQUEST = b"GET /ws?since=a.1.2 HTTP/1.1\r\nHost: a\r\n"
HANDSHAKE = (b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")


def frame(first, payload, masked):
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    return head + MASK + bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))


def ws_seeds():
    scripts = [
        [(0x81, b"text"), (0x82, b"\xff\x00"), (0x81, b"")],
        [(0x01, "가".encode()[:1]), (0x89, b"p"), (0x80, "가".encode()[1:])],
        [(0x81, "\U0001f600 é".encode())],
        [(0x82, b"x" * 126), (0x82, b"y" * 300)],
        [(0x8a, b""), (0x88, b"\x03\xe8bye"), (0x81, b"late")],
        [(0x88, b"")],
        [(0x81, b"\xed\xa0\x80")],
        [(0x01, b"a"), (0x00, b"b"), (0x80, b"")],
    ]
    for masked in (False, True):
        for script in scripts:
            body = b"".join(frame(first, payload, masked) for first, payload in script)
            yield bytes([30 if masked else 31, 7]) + body  # messages of up to 32 KiB
            yield bytes([4 if masked else 5, 3]) + body  # of up to 4 bytes


def http_seeds():
    requests = [
        REQUEST + b"\r\n",
        REQUEST + HANDSHAKE + b"\r\n",
        b"\r\n" + REQUEST + b"\r\n" + REQUEST + b"Connection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /?since=%41&q=%zz HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET /" + b"a" * 4100,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 70 + b"\r\n",
        b"GET http://a.example:81/ws?x HTTP/1.1\r\nHost: b\r\n\r\n",
        b"GET HTTPS://[::1] HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"a,b\", \"c\"\r\n\r\n",
    ]
    answers = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ]
    for text in requests:
        yield bytes([0, 5]) + text
    for text in answers:
        yield bytes([1, 5]) + text


def handshake_seeds():
    fields = [
        b"",
        b"Origin: https://app.example\r\n",
        b"Origin: HTTP://[::1]:3000\r\nAccept-Encoding: gzip;q=0.5, identity;q=0, *\r\n",
        b"Origin: null\r\nAccept-Encoding: br, x-gzip ; q=1.000, identity;q=0.123\r\n",
        b"Origin: http://a:65536\r\nX-Range: 10.0.0.0/8\r\n",
        b"Origin: chrome-extension://abc\r\nX-Range: 2001:db8::/32\r\n",
        b"X-Forwarded-For: 192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: gw.example:8443\r\nX-Range: 192.0.2.1\r\n",
        b"X-Forwarded-For: [2001:db8::1]:80\r\nX-Forwarded-For: 10.0.0.1:80\r\n"
        b"X-Forwarded-Proto: ws, wss\r\nX-Range: 10.0.0.1/8\r\n",
        b"X-Forwarded-For: unknown\r\nX-Range: ::/129\r\n",
        b"X-Forwarded-Host: a/b\r\nX-Range: ::ffff:0:0/96\r\n",
        b"X-Forwarded-Proto: gopher\r\nIf-None-Match: \"0123-gzip\", W/\"x\"\r\n",
        b"If-None-Match: *\r\nAccept-Encoding: gzip;q=7\r\n",
    ]
    targets = [b"/ws?since=a.1.2&snapshot=0&batch=1", b"/ws?since=%41%2e&batch=%00",
               b"http://other:81/ws?x", b"HTTPS://[::1]"]
    for number, field in enumerate(fields):
        target = targets[number % len(targets)]
        head = b"GET " + target + b" HTTP/1.1\r\nHost: a.example:80\r\n"
        yield b"\x01" + head + HANDSHAKE + field + b"\r\n"
        yield b"\x00" + head + field + b"\r\n"
    yield b"\x00OPTIONS * HTTP/1.1\r\nHost: [::1]\r\n\r\n"
    yield b"\x00POST /ws HTTP/1.1\r\nHost:\r\n\r\n"


def reply_seeds():
    good = b"HTTP/1.1 200 OK\r\n"
    chunked = good + b"Transfer-Encoding: chunked\r\n\r\n"
    answers = [
        good + b"Content-Length: 5\r\n\r\nhello",
        good + b"Content-Length: 500\r\n\r\n",
        good + b"\r\nto the end",
        good + b"\r\n" + b"a" * 200,
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" + good + b"Content-Length: 0\r\n\r\n",
        chunked + b"a;x=y\r\n0123456789\r\n0\r\nTrailer: z\r\n\r\n",
        chunked + b"fffffffffffffffff\r\n",
        chunked + b"x\r\n",
        chunked + b"5;\x01\r\n",
        chunked + b"5x\r\n",
        chunked + b"5\r\nhello0",
        chunked + b"0" * 300,
        chunked + b"0\r\nA: \x01\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ]
    for wait in (b"17", b"99999999999", b"Sun, 06 Nov 1994 08:49:37 GMT", b"soon",
                 b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sunday, 06-Nov-45 08:49:37 GMT",
                 b"Sun Nov  6 08:49:37 1994", b"Sun, 06 Nov 2994 08:49:37 GMT",
                 b"Sun, 06 Foo 1994 08:49:37 GMT"):
        answers.append(b"HTTP/1.1 429 x\r\nRetry-After: " + wait
                       + b"\r\nContent-Length: 0\r\n\r\n")
    for text in answers:
        yield b"\x05" + text


def proxy_seeds():
    urls = [b"http://p", b"https://user:p%40ss@proxy.example:3128/", b"http://[2001:db8::1]:1",
            b"socks5://x", b"http://u@p@q", b"http://p/path", b"http://u:%zz@p", b"http://p:0",
            b"http://u:%01@p", b"http://"]
    rules = [b"*", b"example.com, .b.net *.c.org d.:443", b"10.0.0.0/8 192.0.2.1:80",
             b"2001:db8::/32 [::1]:80", b"a!", b"h:0", b"[::1"] + [b"a," * 257]
    hosts = [b"api.example.com", b"10.1.2.3", b"2001:db8::1", b"localhost", b"::1", b"127.0.0.1",
             b"192.0.2.1", b"d"]
    for number in range(max(len(urls), len(rules), len(hosts)) * 3):
        yield b"\0".join(part[number % len(part)] for part in (urls, rules, hosts))
    for rule in rules:
        for host in hosts:
            yield b"\0".join((urls[0], rule, host))


SEEDS = {"ws": ws_seeds, "http": http_seeds, "handshake": handshake_seeds, "reply": reply_seeds,
         "proxy": proxy_seeds}


def main():
    kind, folder = sys.argv[1], sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    for number, seed in enumerate(SEEDS[kind]()):
        with open(os.path.join(folder, f"{kind}-{number:02}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main()
