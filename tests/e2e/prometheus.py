# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format 0.0.4: whatever a scraper could trip over fails."""

import re
from decimal import Decimal

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"not a label: {text[at:]!r}"
        assert match[1] not in labels, f"label twice: {text!r}"
        labels[match[1]] = match[2]
        at = match.end()
    assert not text.endswith(","), text
    return labels


def family_of(name, types):
    """The family that a sample of this name belongs to: a histogram's have endings of their own."""
    for ending in ("_bucket", "_sum", "_count"):
        if name.endswith(ending) and types.get(name[:-len(ending)]) == "histogram":
            return name[:-len(ending)]
    return name


def check_histogram(name, samples):
    """Buckets count up with their bounds to +Inf, which is the count; every series is whole."""
    series = {}
    for key, value in samples[name + "_bucket"].items():
        labels = dict(key)
        bound = Decimal(labels.pop("le").replace("+Inf", "Infinity"))
        buckets = series.setdefault(frozenset(labels.items()), [])
        assert not buckets or buckets[-1][0] < bound, f"{name}: bounds out of order: {labels}"
        buckets.append((bound, value))
    assert set(series) == set(samples[name + "_sum"]) == set(samples[name + "_count"]), name
    for key, buckets in series.items():
        counts = [value for _, value in buckets]
        assert all(value == int(value) for value in counts), f"{name}: {counts}"
        assert counts == sorted(counts) and counts[0] >= 0, f"{name}: {counts}"
        assert buckets[-1][0] == Decimal("Infinity"), f"{name}: no bucket +Inf"
        assert counts[-1] == samples[name + "_count"][key], f"{name}: +Inf is not the count"
        assert samples[name + "_sum"][key] >= 0, f"{name}: a sum of what is never negative"


def parse(body):
    """{name: {frozenset of labels: value}}, and {name: type}. A histogram's samples keep their own
    names (NAME_bucket, NAME_sum, NAME_count)."""
    text = body.decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    types, helps, samples, closed, current = {}, {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            assert re.fullmatch(NAME, name) and words and name not in helps, line
            helps[name] = words
            if current is not None:
                closed.add(current)
            assert name not in closed, f"{name} is not in one piece"
            current = name
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            assert name == current and name not in types and name not in samples, line
            assert kind in ("counter", "gauge", "histogram", "summary"), line
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            name, value = match[1], Decimal(match[3])
            family = family_of(name, types)
            assert family == current and family in types, f"sample outside its family: {line!r}"
            assert (types[family] == "counter") == name.endswith("_total"), f"suffix of {name}"
            assert types[family] != "histogram" or family != name, f"no part of a histogram: {line}"
            labels = labels_of(match[2] or "")
            assert ("le" in labels) == (family != name and name.endswith("_bucket")), line
            key = frozenset(labels.items())
            assert key not in samples.setdefault(name, {}), f"sample twice: {line!r}"
            assert types[family] != "counter" or value >= 0, line
            samples[name][key] = value
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(name, samples)
    assert set(types) == set(helps) == {family_of(name, types) for name in samples}, \
        "a family without its parts"
    return samples, types


class Metrics:
    def __init__(self, node):
        status, headers, body = node.get("/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
        self.samples, self.types = parse(body)

    def value(self, name, **labels):
        """Of one series; 0 when it is not there."""
        return self.samples.get(name, {}).get(frozenset(labels.items()), Decimal(0))

    def total(self, name, **labels):
        """Of all series with these labels among theirs."""
        return sum(value for key, value in self.samples.get(name, {}).items()
                   if set(labels.items()) <= key)
