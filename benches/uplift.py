"""Whether `tidegate audience` finds whom a campaign changes, in a simulated shop where that is known.

    python3 benches/uplift.py target/release/tidegate [--seeds 1 2 3 4 5] [--users 20000]

For each seed: simulate the treated shop, train a model on what came before the campaign, estimate the uplift of
every user, and compare with the truth, which the simulator writes beside the log: each user was lived twice,
with the voucher and without.

    qini       the Qini coefficient of the ranking by uplift [95 % interval over users]; 0 is random
    by model   the same of the ranking by the model's probability of a purchase
    true       by type: the share that would buy with the voucher less that which would without
    score      the mean of the users' estimated uplift
    checked    the same set right by what came true (doubly robust) [95 % interval]:
               u + T (y - m1) / e - (1 - T) (y - m0) / (1 - e), the mean over the type
    r          correlation of each user's score with the true uplift of the user's type

Nobody tells `audience` of types. Where users have come once or twice, nobody could know theirs, so mean scores
of types lie between the truths; the second figure does not. Needs nothing but Python.
"""

import argparse
import collections
import math
import pathlib
import tempfile

from simulated import call, rows

# The campaign of the shop, and the last second before it.
AT, BEFORE = "2026-04-30", "2026-04-29T23:59:59"
TRAIN = "--horizon 14d --task next-item --task purchase --features kind,gap --hidden 64 --epochs 6"


def mean(values):
    return sum(values) / len(values)


def correlation(a, b):
    ma, mb = mean(a), mean(b)
    both = sum((x - ma) * (y - mb) for x, y in zip(a, b))
    return both / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


def checked(users, share):
    """The mean uplift of some users, set right by what came true, and half of its 95 % interval."""
    found = []
    for row in users:
        u, y = float(row["score"]), float(row["outcome"])
        if row["treated"] == "1":
            found.append(u + (y - float(row["if_contacted"])) / share)
        else:
            found.append(u - (y - float(row["if_not"])) / (1 - share))
    m = mean(found)
    return m, 1.96 * math.sqrt(sum((x - m) ** 2 for x in found)) / len(found)


def interval(found):
    return f"{found['estimate']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def one(program, seed, users, folder):
    at = lambda name: str(folder / name)
    call(program, *f"simulate --shop treated --users {users} --seed {seed}".split(), "--out", at("shop.csv"), "--truth", at("truth.csv"))
    trained = call(program, *f"train {TRAIN} --until {BEFORE} --seed {seed} --force".split(), at("shop.csv"), "--out", at("model"))
    told = call(program, *f"audience --at {AT} --seed {seed} --force".split(), at("model"), at("shop.csv"), "--out", at("audience"))
    trial = told["trial"]
    print(f"seed {seed}: {users} users, {trial['treated']['users']} treated; trained in {trained['wall_s']:.0f} s, audience in {told['wall_s']:.0f} s")
    print(f"  qini      {interval(trial['qini'])}")
    print(f"  by model  {interval(trial['qini_by_prediction'])}")
    print(f"  effect    {interval(trial['effect'])}")
    for warning in trial["warnings"]:
        print(f"  {warning}")
    types = {row["user"]: row["type"] for row in rows(at("truth.csv"))}
    true = {row["type"]: row for row in rows(at("truth-uplift.csv"))}
    by = collections.defaultdict(list)
    for row in rows(at("audience/audience.csv")):
        by[types[row["user"]]].append(row)
    share = trial["treated"]["users"] / (trial["treated"]["users"] + trial["control"]["users"])
    print("  type          users     true    score  checked [95 %]")
    figures = {}
    for name, row in true.items():
        truth, score = float(row["uplift"]), mean([float(user["score"]) for user in by[name]])
        m, half = checked(by[name], share)
        figures[name] = (truth, score, m, abs(m - truth) <= half)
        print(f"  {name:12} {len(by[name]):6}  {truth:+.4f}  {score:+.4f}  {m:+.4f} [{m - half:+.4f}, {m + half:+.4f}]")
    scores = [float(user["score"]) for name in true for user in by[name]]
    truths = [float(true[name]["uplift"]) for name in true for _ in by[name]]
    r = correlation(scores, truths)
    print(f"  r {r:.3f}", flush=True)
    return figures, trial, r


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--users", type=int, default=20_000)
    asked = parser.parse_args()
    program = asked.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        found = [one(program, seed, asked.users, pathlib.Path(folder)) for seed in asked.seeds]
    n = len(found)
    print(f"over {n} seeds")
    above = sum(trial["qini"]["low"] > 0 for _, trial, _ in found)
    ahead = sum(trial["ahead_of_prediction"]["low"] > 0 for _, trial, _ in found)
    print(f"  interval of the Qini coefficient above 0: {above} of {n}; ahead of the ranking by the model: {ahead} of {n}")
    for name in found[0][0]:
        of = [figures[name] for figures, _, _ in found]
        truth, score, m = (mean([x[k] for x in of]) for k in range(3))
        inside = sum(x[3] for x in of)
        print(f"  {name:12}  true {truth:+.4f}  score {score:+.4f}  checked {m:+.4f}, truth inside its interval {inside} of {n}")
    print(f"  r {mean([r for _, _, r in found]):.3f}")


if __name__ == "__main__":
    main()
