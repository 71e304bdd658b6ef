#!/usr/bin/env python3
"""Cuts the 1/64 part of YooChoose that papers report on out of `yoochoose-clicks.dat`.

    python3 examples/yoochoose_split.py yoochoose-clicks.dat OUT

OUT gets train_sessions.txt and test_sessions.txt, one session a line, the log's own item ids,
the earliest session first. Needs nothing but Python; reads the 1.5 GB file three times, which
takes a few minutes and little memory.

The rules are those of NARM, STAMP and SR-GNN: sessions of one click go, then items with fewer
than five clicks, then sessions of one click again; a session's time is that of its last click;
the sessions of the last 24 hours are the test, without the items that training never has; of the
training sessions the latest stay, with 1/64 of all targets.
"""

import sys
from array import array
from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

MIN_CLICKS = 5
PART = 64
SECONDS = "%Y-%m-%dT%H:%M:%S"


def sessions(path):
    """(time of the last click, items) of each session; a session's lines stand together."""
    with open(path, encoding="ascii") as file:
        rows = (line.split(",", 3) for line in file)
        for _, clicks in groupby(rows, key=lambda row: row[0]):
            clicks = list(clicks)
            if len(clicks) > 1:
                # To the second, as text: ISO 8601 sorts by time.
                yield clicks[-1][1][:19], [click[2] for click in clicks]


def kept(path, frequent):
    """The same without rare items, and without sessions that one click is left of."""
    for time, items in sessions(path):
        items = [item for item in items if item in frequent]
        if len(items) > 1:
            yield time, items


def write(path, found):
    found.sort(key=lambda session: session[0])
    path.write_text("".join(" ".join(items) + "\n" for _, items in found), encoding="ascii")
    targets = sum(len(items) - 1 for _, items in found)
    print(f"{path}: {len(found):,} sessions, {targets:,} targets")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: yoochoose_split.py yoochoose-clicks.dat OUT")
    clicks, out = sys.argv[1], Path(sys.argv[2])
    counts = Counter(item for _, items in sessions(clicks) for item in items)
    frequent = {item for item, count in counts.items() if count >= MIN_CLICKS}

    # Seconds since the first of the year, and targets, of every session: two small columns.
    year = datetime(2014, 1, 1)
    times, targets = array("l"), array("l")
    for time, items in kept(clicks, frequent):
        times.append(int((datetime.fromisoformat(time) - year).total_seconds()))
        targets.append(len(items) - 1)
    split = max(times) - 24 * 60 * 60
    order = sorted((k for k in range(len(times)) if times[k] < split), key=times.__getitem__)
    wanted = sum(targets[k] for k in order) // PART
    latest = set()
    while wanted > 0:
        k = order.pop()
        latest.add(k)
        wanted -= targets[k]

    train, test, known = [], [], set()
    boundary = (year + timedelta(seconds=split)).strftime(SECONDS)
    for k, (time, items) in enumerate(kept(clicks, frequent)):
        if time < boundary:
            known.update(items)
            if k in latest:
                train.append((time, items))
        elif time > boundary:
            test.append((time, items))
    test = [(time, [item for item in items if item in known]) for time, items in test]
    out.mkdir(parents=True, exist_ok=True)
    write(out / "train_sessions.txt", train)
    write(out / "test_sessions.txt", [session for session in test if len(session[1]) > 1])


if __name__ == "__main__":
    main()
