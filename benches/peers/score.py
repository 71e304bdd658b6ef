#!/usr/bin/env python3
"""Times scoring all items for many sessions and keeping the best, ours against PyTorch, in f32.

    cargo build --release
    python benches/peers/score.py --shape B10000,H100,V17376

q `[B, H]` is the LSTM's answer for each session, table `[V, H]` has a row for each item. What is
timed: the scores q · tableᵀ and, for each session, its 20 best items in order with their scores.

What is generous to PyTorch: the table lies transposed in memory if that is faster; it works through
the sessions in chunks, scores and results in buffers made beforehand, in the fastest chunk size and
thread count of those tried on a tenth of the sessions.

Exit codes: 0 done, 1 something failed or is missing, 2 the command line is wrong.
"""

import argparse
import re
from importlib.metadata import version

import rounds
from lstm_peers import need
from rounds import InProcess, fail, say

BEST = 20
CHUNKS = (32, 64, 128, 256, 512, 1024, 2048)


def parse(text):
    match = re.fullmatch(r"B([1-9]\d*),H([1-9]\d*),V([1-9]\d*)", text)
    if not match:
        fail(f"--shape {text}: say B10000,H100,V17376", 2)
    sessions, hidden, items = (int(size) for size in match.groups())
    if items < BEST:
        fail(f"--shape {text}: V is at least {BEST}", 2)
    return sessions, hidden, items


class Scores:
    """q, the table and the buffers of one way to work through `sessions` rows of q."""

    def __init__(self, torch, q, table, chunk):
        self.torch, self.q, self.chunk = torch, q, chunk
        self.table = table
        items = table.shape[1]
        self.scores = torch.empty(chunk, items)
        self.best = torch.empty(len(q), BEST), torch.empty(len(q), BEST, dtype=torch.int64)

    def __call__(self):
        with self.torch.inference_mode():
            for begin in range(0, len(self.q), self.chunk):
                q = self.q[begin : begin + self.chunk]
                scores = self.scores[: len(q)]
                self.torch.mm(q, self.table, out=scores)
                out = tuple(each[begin : begin + self.chunk] for each in self.best)
                self.torch.topk(scores, BEST, out=out)


def torch_engine(sizes, options):
    torch = need("torch")
    sessions, hidden, items = sizes
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    q, table = torch.randn(sessions, hidden), torch.randn(items, hidden)
    tables = {"": table.t(), ", table transposed": table.t().contiguous()}

    def engine(rows, chunk, layout, threads):
        return InProcess(
            "torch",
            f"chunks of {chunk}{layout}, {rounds.threads_text(threads)}",
            Scores(torch, q[:rows], tables[layout], chunk),
            lambda: torch.set_num_threads(threads),
        )

    part = max(sessions // 10, min(sessions, 2048))
    ways = {}
    for threads in rounds.thread_counts(options):
        for chunk in (size for size in CHUNKS if size <= max(part, CHUNKS[0])):
            for layout in tables:
                tried = engine(part, chunk, layout, threads)
                ways[tried] = chunk, layout, threads
    best = rounds.fastest(list(ways), options.seconds / 8)
    chosen = engine(sessions, *ways[best])
    chosen.tried = best.tried
    check(torch, chosen)
    return chosen


def check(torch, engine):
    """The chunks give what one product and one topk of the first and the last rows give."""
    engine.call()
    work = engine.call
    for rows in (slice(0, 4), slice(-4, None)):
        values = torch.topk(work.q[rows] @ work.table, BEST)[0]
        difference = (values - work.best[0][rows]).abs().max()
        if not difference < 1e-3:
            fail(f"the scores of the chunks differ from the plain ones by {difference:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--shape", default="B10000,H100,V17376", help="[default: B10000,H100,V17376]"
    )
    rounds.add_common_arguments(parser, seconds=2.0)
    options = parser.parse_args()
    rounds.check_common_arguments(options)
    sizes = parse(options.shape)
    rounds.under_other_malloc()
    binary = rounds.find_binary(options)
    engines = []
    if binary:
        engines.append(rounds.Ours(binary, "score", options.shape, None, options.threads))
    engines.append(torch_engine(sizes, options))
    say(f"{options.shape}: {options.rounds} rounds")
    result = rounds.contest(engines, options.rounds, options.seconds)
    rounds.finish(
        {
            "machine": rounds.machine() | (engines[0].machine if binary else {}),
            "versions": {"torch": f"torch {version('torch')}"},
            "shape": options.shape,
            "best": BEST,
            "flops": 2 * sizes[0] * sizes[1] * sizes[2],
            "threads": options.threads,
            **result,
        },
        options,
    )


if __name__ == "__main__":
    main()
