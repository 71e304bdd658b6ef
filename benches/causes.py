"""Whether `tidegate explain` finds the cause that the simulator has planted behind a purchase.

    python3 benches/causes.py target/release/tidegate [--seeds 5] [--users 200]

A purchase of the simulated shop has one cause: the item was put into the cart, and only what lies there can be bought.
`truth-causes.csv` says when. For each seed: simulate, keep the sessions in which something is put into a cart, train,
and ask right before purchases which event raises the probability of the bought item most; the purchase itself is no
candidate. A case counts as found where that event is the cart. Beside it stand always naming the last event, and
naming any event by chance; intervals are a paired bootstrap over users, the mean of the seeds in each draw.

Needs nothing but Python.
"""

import argparse
import collections
import csv
import json
import pathlib
import random
import tempfile

from simulated import call, rows

SETTINGS = """
[model]
hidden = 96
embedding = 64
[model.dropout]
input = 0.0
layers = 0.0
readout = 0.0
"""


def with_carts(shop, kept):
    """Copies the sessions in which something is put into a cart; says when each of their users did what."""
    carts = {row["session"] for row in rows(shop) if row["kind"] == "cart"}
    times = collections.defaultdict(list)
    with open(kept, "w", newline="", encoding="utf-8") as file:
        out = None
        for row in rows(shop):
            if row["session"] in carts:
                out = out or csv.DictWriter(file, row)
                if file.tell() == 0:
                    out.writeheader()
                out.writerow(row)
                times[row["user"]].append(row["time"])
    return times


def cases(causes, table, times):
    """Of each user: whether the cart is found by each way, and the chance to hit it."""
    planted = {(row["user"], row["time"]): row["carted"] for row in rows(causes)}
    found = collections.defaultdict(dict)
    for row in rows(table):
        carted = planted.get((row["user"], row["at"]))
        if carted is None or row["rank"] != "1":
            continue
        own = found[row["user"]]
        own[row["by"]] = float(row["time"] == carted)
        before = [time for time in times[row["user"]] if time < row["at"]]
        own["last event"] = float(before[-1] == carted)
        own["chance"] = 1 / int(row["known"])
    return [own for own in found.values() if "attribution" in own and "occlusion" in own]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--users", type=int, default=150)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--draws", type=int, default=2000)
    arguments = parser.parse_args()
    ways = ["attribution", "occlusion", "last event", "chance"]
    seeds = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shop, kept, config = folder / "shop.csv", folder / "carts.csv", folder / "causes.toml"
        config.write_text(SETTINGS)
        for seed in range(1, arguments.seeds + 1):
            call(
                arguments.program, "simulate", "--out", shop, "--truth", folder / "truth.csv",
                "--events", arguments.events, "--seed", seed,
            )  # fmt: skip
            times = with_carts(shop, kept)
            call(
                arguments.program, "train", kept, "--config", config, "--out", folder / "model", "--force",
                "--features", "kind,gap", "--epochs", 14, "--patience", 0, "--seed", seed,
            )  # fmt: skip
            told = call(
                arguments.program, "explain", folder / "model", kept, "--all", arguments.users,
                "--before", "purchase", "--out", folder / "why", "--force",
            )  # fmt: skip
            own = cases(folder / "truth-causes.csv", folder / "why/causes.csv", times)
            seeds.append(own)
            shares = {way: round(sum(case[way] for case in own) / len(own), 3) for way in ways}
            residual = told["largest_residual"]
            jumps = told["with_jumps"]
            print(
                f"seed {seed}: {len(own)} cases, largest residual {residual:.1e}, {jumps} with jumps",
                json.dumps(shares), flush=True,
            )  # fmt: skip
    draw = random.Random(1)

    def mean(samples, value):
        return sum(sum(map(value, own)) / len(own) for own in samples) / len(samples)

    drawn = [[draw.choices(own, k=len(own)) for own in seeds] for _ in range(arguments.draws)]
    for name, value in [
        *((way, lambda case, way=way: case[way]) for way in ways),
        *(
            (f"{way} less {other}", lambda case, way=way, other=other: case[way] - case[other])
            for way in ways[:2]
            for other in ways[2:]
        ),
    ]:
        each = sorted(mean(samples, value) for samples in drawn)
        low, high = each[int(0.025 * len(each))], each[int(0.975 * len(each))]
        print(f"{name:28} {mean(seeds, value):.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
