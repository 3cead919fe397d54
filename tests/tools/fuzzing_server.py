# SPDX-License-Identifier: Apache-2.0
"""Autobahn's fuzzing server on a free port of 127.0.0.1 (wstest itself listens on every address).
Runs under CPython 2.7 until it is terminated; the first line on stdout that starts with "port " has
the port.

    fuzzing_server.py SPEC.json"""

import json
import sys

from autobahntestsuite import choosereactor  # noqa: F401 (has to be imported first)
from autobahntestsuite import fuzzing
from twisted.internet import reactor


def listen(factory, _context):
    port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    factory.externalPort = port  # what the Host header must say
    sys.stdout.write("port %d\n" % port)
    sys.stdout.flush()


fuzzing.listenWS = listen
with open(sys.argv[1]) as spec:
    fuzzing.startServer(json.load(spec), 0)
reactor.run()
