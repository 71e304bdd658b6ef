"""Holds what `tidegate explain --all` says against the causes that the simulator has planted.

    tidegate simulate --out shop.csv --truth truth.csv
    tidegate train shop.csv --out model --features kind,gap
    tidegate explain model shop.csv --all 400 --before purchase --out why
    python3 examples/explain_causes.py shop.csv truth-causes.csv why/causes.csv

A purchase of the simulated shop has one cause: the item was put into the cart, and only what lies there
can be bought. `truth-causes.csv` says when (`carted`), and when the item was seen first (`viewed`). The
questions were put right before purchases, so the purchase itself is no candidate. A case counts as found
where the event that raises the answer most is that cart; beside it stand always naming the last event,
and naming any event by chance. Needs nothing but Python 3.8.
"""

import csv
import json
import math
import sys
from collections import defaultdict


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def interval(found, cases):
    """95 per cent interval of a share (Wilson 1927)."""
    if cases == 0:
        return [None, None]
    z, p = 1.96, found / cases
    middle = p + z * z / (2 * cases)
    spread = z * math.sqrt(p * (1 - p) / cases + z * z / (4 * cases * cases))
    whole = 1 + z * z / cases
    return [round((middle - spread) / whole, 3), round((middle + spread) / whole, 3)]


def main(log, causes, table):
    planted = {(row["user"], row["time"]): row for row in rows(causes)}
    times = defaultdict(list)
    for row in rows(log):
        times[row["user"]].append(row["time"])
    asked = {}
    for row in rows(table):
        case = asked.setdefault((row["user"], row["at"]), {"known": int(row["known"])})
        if row["rank"] == "1":
            case[row["by"]] = row
    cases = defaultdict(int)
    chance, missing = 0.0, 0
    for (user, at), case in asked.items():
        truth = planted.get((user, at))
        if truth is None:
            missing += 1
            continue
        cases["all"] += 1
        before = [time for time in times[user] if time < at]
        cases["last event"] += before[-1] == truth["carted"]
        chance += 1 / case["known"]
        for by in ("attribution", "occlusion"):
            top = case.get(by)
            if top is None:
                continue
            cases[by] += top["time"] == truth["carted"]
            # Cart or first look: either way the item that was bought.
            cases[by + ", cart or first look"] += top["time"] in (truth["carted"], truth["viewed"])
            if before[-1] != truth["carted"]:
                cases[by + ", cart not last"] += top["time"] == truth["carted"]
        cases["cart not last"] += before[-1] != truth["carted"]
    count = cases.pop("all")
    apart = cases.pop("cart not last")
    found = {
        name: {"found": hits, "share": round(hits / of, 4), "interval": interval(hits, of)}
        for name, hits in sorted(cases.items())
        for of in [apart if name.endswith("not last") else count]
        if of
    }
    result = {"cases": count, "cart is not the last event": apart, "without a planted cause": missing}
    print(json.dumps({**result, "found": found, "chance": round(chance / max(count, 1), 4)}, indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
