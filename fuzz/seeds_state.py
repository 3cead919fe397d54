#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/state.c: seeds_state.py FOLDER"""
import os
import sys

A = '"exchange":"one","symbol":"A-KRW"'
LEVELS = '"bids":[["10","1"],["9.5","2"]],"asks":[["11","1"]]'


def told(kind, seq, rest):
    return '{"type":"%s","seq":%d,%s,"snapshot":true}' % (kind, seq, rest)


TICKER = told("ticker", 4, A + ',"ts":3,"recv":4,"last":"7"')
QUOTE = told("quote", 3, A + ',"recv":4,"bid":"7","ask":"8.50"')
TRADE = told("trade", 2, A + ',"ts":3,"recv":4,"id":"17","price":"7","size":"1","side":"buy"')
VOUCHED = '"action":"snapshot","proof":"chain","depth":3,'
BOOK = told("book", 4, A + ',"ts":3,"recv":4,' + VOUCHED + LEVELS)
STATUS = told("status", 1, A + ',"recv":1,"state":"down","reason":"x","channel":"quote"')
WHOLE = told("status", 1, '"exchange":"one","recv":1,"state":"live"')
KEYS = ('["17",3,4]', '[3,4,"buy","0.10","200"]', '["a-b",0,0]', '[1,2,"sell","0","1"]')
RECORDS = (
    "+book " + A + ',"recv":5,"action":"update","bids":[["10","0"]],"asks":[]}',
    "+book " + A + ',"recv":5,"action":"snapshot","proof":"whole","depth":2,' + LEVELS + "}",
    "+ticker " + A + ',"recv":5,"last":"8"}',
    "+trade " + A + ',"recv":5,"id":"18","price":"7","size":"1","side":"sell"}',
    "+trade " + A + ',"recv":400000000,"price":"7","size":"1","side":"sell"}',
    "+gap " + A + ',"recv":5,"channel":"book","filled":false,"reason":"lost"}',
    '+epoch "recv":5,"epoch":1,"prev":{"epoch":1,"seq":4},"node":"n"}',
    "+status " + A + ',"recv":5,"state":"down","channel":"book"}',
    '+status "exchange":"one","recv":5,"state":"down"}',
    "+status " + A + ',"recv":5,"state":"down"}',
    "+later " + A + "}",
)


def state(seq, messages, keys, names=A):
    return '{"type":"state","seq":%d,%s,"messages":[%s],"trades":[%s]}' % (
        seq, names, ",".join(messages), ",".join(keys))


FULL = state(4, (STATUS, TICKER, QUOTE, TRADE, BOOK), KEYS)
AHEAD = FULL.replace('"seq":4,"ex', '"seq":7,"ex', 1)


def seeds():
    yield FULL
    yield state(4, (WHOLE,), (), '"exchange":"one"')
    yield "\n".join((TICKER, QUOTE, TRADE, BOOK, STATUS, WHOLE))
    for record in RECORDS:
        for text in (FULL, AHEAD, BOOK, state(4, (), ())):
            yield record + "\n" + text
            yield text + "\n" + record
            yield "\n".join((record, RECORDS[0], text, record, RECORDS[1], text))
    yield "+ticker " + A + ',"recv":5,"last":"8","snapshot":true}'
    yield "+book " + A + ',"recv":5,' + VOUCHED + LEVELS + ',"snapshot":true}'
    yield "\n".join(RECORDS)
    yield "\n".join(RECORDS) + "\n" + FULL
    yield "\n".join(RECORDS) + "\n" + state(9, (TICKER,), KEYS[:1])
    for wrong in ('"seq":0', '"seq":-1', '"seq":9007199254740992', '"seq":1', '"seq":4,"seq":4'):
        yield FULL.replace('"seq":4', wrong, 1)
    for key in ("[]", '["",1,2]', '["1",1]', '["1",-1,2]', '[1,2,"hold","1","1"]',
                '[1,2,"buy","x","1"]', '["%s",1,2]' % ("1" * 41), "7"):
        yield state(4, (), (key,))
    yield state(4, (TICKER, TICKER), ())
    yield state(4, (TICKER.replace("A-KRW", "B-KRW"),), ())
    yield state(4, (TICKER.replace("one", "two"),), ())
    yield state(4, (TICKER[:-17] + "}",), ())
    yield state(4, (), (), '"exchange":"One"')
    yield state(4, (), (), '"exchange":"one","symbol":"a"')
    yield state(4, (STATUS.replace("quote", "q" * 99),), ())
    yield state(4, [STATUS.replace("quote", str(i)) for i in range(65)], ())
    yield state(4, (), ["[%d,1,\"buy\",\"1\",\"1\"]" % i for i in range(1001)])


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for number, seed in enumerate(seeds()):
        with open(os.path.join(sys.argv[1], "%03d" % number), "w") as out:
            out.write(seed)


if __name__ == "__main__":
    main()
