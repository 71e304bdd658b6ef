"""Sessions, and the batches that `tidegate train` makes of them (crates/train/src/batches.rs).

Items are numbered by falling frequency, ties by first appearance. A batch is packed as
`layout::Steps` packs it, which is also what PyTorch's PackedSequence holds: time first, the longest
row first, no padding.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

LENGTH_NOISE = 2.0


@dataclass
class Batch:
    """One batch of N positions; everything here is made before the clock starts."""

    ids: torch.Tensor  # [N] the item at each position
    targets: torch.Tensor  # [N] the item after it
    batch_sizes: torch.Tensor  # [T] rows that still run at each step
    padded_ids: torch.Tensor  # [T, B] the same items as a block, zero behind the end of a row
    flat: torch.Tensor  # [N] where each position lies in the flattened block
    repeat_rows: torch.Tensor  # [R] position of each item that the session already holds
    repeat_ids: torch.Tensor  # [R] that item
    repeat_lags: torch.Tensor  # [R] how long ago it last occurred, 0 for the position itself
    target_lag: torch.Tensor  # [N] the same for the target, -1 where it does not repeat
    weight: torch.Tensor  # [N] what the position counts in the loss


def read_sessions(path):
    """The sessions of a session-per-line file as arrays of item numbers, and the number of each item."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    counts = Counter(item for line in lines for item in line)
    # Counter keeps the order of first appearance and sorted() is stable: ties are settled.
    order = sorted(counts, key=lambda item: -counts[item])
    number = {item: k for k, item in enumerate(order)}
    sessions = [np.array([number[item] for item in line], dtype=np.int64) for line in lines]
    return [session for session in sessions if len(session) > 1], number


def cut(sessions, max_length, recency=0.0):
    """Pieces of at most `max_length` targets that share one item with the next piece, each with
    the weight of its session: rising with its place in the file as exp(recency * place)."""
    last = max(len(sessions) - 1, 1)
    return [
        (session[start : start + max_length + 1], np.exp(recency * k / last))
        for k, session in enumerate(sessions)
        for start in range(0, len(session) - 1, max_length)
    ]


def epoch(pieces, batch_targets, seed, repeat_lags=0):
    """The batches of one epoch: like lengths together, at most `batch_targets` targets, shuffled."""
    random = np.random.default_rng(seed)
    targets = np.array([len(piece) - 1 for piece, _ in pieces])
    order = np.argsort(targets + LENGTH_NOISE * random.random(len(pieces)), kind="stable")
    batches, batch, filled = [], [], 0
    for k in order:
        if batch and filled + targets[k] > batch_targets:
            batches.append(batch)
            batch, filled = [], 0
        batch.append(pieces[k])
        filled += targets[k]
    batches.append(batch)
    random.shuffle(batches)
    return [pack(batch, repeat_lags) for batch in batches]


def pack(pieces, repeat_lags):
    """Lays the pieces of a batch out, time first, longest first."""
    pieces = sorted(pieces, key=lambda piece: len(piece[0]), reverse=True)
    weights = np.array([weight for _, weight in pieces], dtype=np.float32)
    pieces = [piece for piece, _ in pieces]
    lengths = np.array([len(piece) - 1 for piece in pieces])
    steps, rows = lengths[0], len(pieces)
    block = np.zeros((steps, rows), dtype=np.int64)
    following = np.zeros((steps, rows), dtype=np.int64)
    for row, piece in enumerate(pieces):
        block[: len(piece) - 1, row] = piece[:-1]
        following[: len(piece) - 1, row] = piece[1:]
    runs = np.arange(steps)[:, None] < lengths[None, :]
    flat = np.flatnonzero(runs)
    entries, target_lag = repeats(pieces, steps, rows, flat, repeat_lags)
    return Batch(
        ids=torch.from_numpy(block.reshape(-1)[flat]),
        targets=torch.from_numpy(following.reshape(-1)[flat]),
        batch_sizes=torch.from_numpy(runs.sum(1)),
        padded_ids=torch.from_numpy(block),
        flat=torch.from_numpy(flat),
        repeat_rows=torch.from_numpy(entries[:, 0].copy()),
        repeat_ids=torch.from_numpy(entries[:, 1].copy()),
        repeat_lags=torch.from_numpy(entries[:, 2].copy()),
        target_lag=torch.from_numpy(target_lag),
        weight=torch.from_numpy(weights[flat % rows]),
    )


def repeats(pieces, steps, rows, flat, lags):
    """Every (position, item of the session so far, lag), and the lag of each target."""
    target_lag = np.full(len(flat), -1, dtype=np.int64)
    if lags == 0:
        return np.zeros((0, 3), dtype=np.int64), target_lag
    position = np.zeros(steps * rows, dtype=np.int64)
    position[flat] = np.arange(len(flat))
    entries = []
    for row, piece in enumerate(pieces):
        last = {}
        for t in range(len(piece) - 1):
            last[piece[t]] = t
            p = position[t * rows + row]
            for item, when in last.items():
                lag = min(t - when, lags - 1)
                entries.append((p, item, lag))
                if item == piece[t + 1]:
                    target_lag[p] = lag
    return np.array(entries, dtype=np.int64).reshape(-1, 3), target_lag
