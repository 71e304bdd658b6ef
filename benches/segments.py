"""How well `tidegate segment` finds the types of users of a simulated shop, and how well anybody could.

    python benches/segments.py target/release/tidegate [--seeds 5] [--shops default distinct] [--bound]

For each shop and seed: simulate, train with default settings, segment with default settings (nobody says how many
types there are), and compare with the truth by the adjusted Rand index. With --bound, also by a judge who is told
everything that is hidden but the type (missions, styles, budgets and their changes) and has learned from 12,000 other
users of the same shop, types included, how each type shops: naive Bayes. What he cannot tell, no segments can.

Needs nothing but Python.
"""

import argparse
import collections
import math
import pathlib
import tempfile

from simulated import call, rows

TYPES = ["gatherer", "comparer", "collector", "stroller"]
LEARNED_FROM = 12_000


def adjusted_rand(a, b):
    def pairs(counts):
        return sum(n * (n - 1) / 2 for n in counts.values())

    both, one, other = (pairs(collections.Counter(x)) for x in (zip(a, b), a, b))
    chance = one * other / (len(a) * (len(a) - 1) / 2)
    most = (one + other) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def facts(shop, truth):
    """Of each session: the user, the type, and what happened in it given what was hidden."""
    events = collections.defaultdict(list)
    for row in rows(shop):
        events[row["session"]].append((row["kind"], row["item"], row["category"]))
    before = None
    for row in rows(truth):
        found = [("budget", row["budget"])]
        for name in ("mission", "style"):
            if before is not None and before["user"] == row["user"]:
                found.append(((name, before["last_" + name]), row[name]))
            else:
                found.append((name, row[name]))
            found.append((("within", name, row[name]), row["last_" + name]))
        session = events[row["session"]]
        kinds = [kind for kind, _, _ in session] + ["end"]
        found += [(("kind", a), b) for a, b in zip(kinds[1:], kinds[2:])]
        views = [(item, category) for kind, item, category in session if kind == "view"]
        for item, _ in views:
            style = item.split("-")[1]
            found.append(("style of a view", style if style == "basic" else style == row["style"]))
        route = row["mission"].split(">")
        for (_, a), (_, b) in zip(views, views[1:]):
            found.append(("move", "same" if a == b else b in route))
        for at in range(2, len(session)):
            back = session[at][0] == "view" and session[at][1] == session[at - 2][1]
            found.append(("second look", back))
        before = row
        yield row["user"], row["type"], found


def bound(program, folder, seed, shop, log, truth):
    """The types as the judge sees them, by user."""
    many, secrets = folder / "many.csv", folder / "many-truth.csv"
    call(program, "simulate", "--out", many, "--truth", secrets, "--users", str(LEARNED_FROM), "--seed", str(seed), "--shop", shop)
    counts = collections.defaultdict(lambda: [0.5] * len(TYPES))
    totals = collections.defaultdict(lambda: [0.0] * len(TYPES))
    users = {}
    for user, kind, found in facts(many, secrets):
        k = TYPES.index(kind)
        users[user] = k
        for given, what in found:
            counts[given, what][k] += 1
            totals[given][k] += 1
    values = collections.Counter(given for given, _ in counts)
    prior = collections.Counter(users.values())
    logs = {}
    for user, _, found in facts(log, truth):
        mine = logs.setdefault(user, [math.log(prior[k]) for k in range(len(TYPES))])
        for given, what in found:
            for k in range(len(TYPES)):
                mine[k] += math.log(counts[given, what][k] / (totals[given][k] + 0.5 * values[given]))
    return {user: mine.index(max(mine)) for user, mine in logs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shops", nargs="+", default=["default", "distinct"])
    parser.add_argument("--bound", action="store_true")
    asked = parser.parse_args()
    program = asked.program.resolve()
    print("shop      seed  users  segments  silhouette  stability  ARI   ARI of 4+ sessions" + "  bound  bound of 4+" * asked.bound)
    for shop in asked.shops:
        for seed in range(1, asked.seeds + 1):
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                log, truth, model, out = (folder / n for n in ("shop.csv", "truth.csv", "model", "out"))
                call(program, "simulate", "--out", log, "--truth", truth, "--seed", str(seed), "--shop", shop)
                call(program, "train", log, "--out", model)
                result = call(program, "segment", model, log, "--out", out)
                kinds, sessions = {}, collections.Counter()
                for row in rows(truth):
                    kinds[row["user"]] = row["type"]
                    sessions[row["user"]] += 1
                found = {row["user"]: row["segment"] for row in rows(out / "segments.csv")}

                def score(labels, least):
                    some = [user for user in kinds if sessions[user] >= least]
                    return adjusted_rand([kinds[u] for u in some], [labels[u] for u in some])

                line = f"{shop:<9} {seed:>4}  {result['users']:>5}  {result['clusters']:>8}  {result['silhouette']:>10.3f}"
                line += f"  {result['stability']:>9.3f}  {score(found, 1):.3f}  {score(found, 4):>18.3f}"
                if asked.bound:
                    best = bound(program, folder, seed, shop, log, truth)
                    line += f"  {score(best, 1):.3f}  {score(best, 4):>11.3f}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
