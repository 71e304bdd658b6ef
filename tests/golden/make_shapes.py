#!/usr/bin/env python3
"""Makes the golden file of a whole model's shape: some steps of a training in windows.

    python3 tests/golden/make_shapes.py        (PyTorch 2.15.0 and safetensors 0.8.0)

Three `nn.LSTM`, of widths 5, 3, 4 or of one width with paths around the second and the third, states that start where they have learned
to, `cummax` of the states or none, a head of two `nn.Linear` with ELU, a table of items, cross-entropy,
SGD. Sessions are learned in windows of 3 targets: the states of a window are detached and begin the next,
as in PyTorch's own word language model (`repackage_hidden`). Two passes over the same sessions.
"""

import torch
from make_golden import PRECISIONS, SEED, draw, leaf, save
from torch import nn
from torch.nn.functional import cross_entropy, elu, linear

ITEMS, EMBEDDING, HEAD, RATE = 7, 6, [6, 3], 0.5
SESSIONS = [[2, 5, 2, 6, 0, 1, 3, 3, 4], [1, 3, 4, 0, 6], [4, 2]]


# Name: widths of the layers, whether there are paths around them, whether states are pooled, the window.
CASES = {
    "mixed": ([5, 3, 4], False, False, 3),
    "residual": ([4, 4, 4], True, False, 3),
    "max": ([4, 4], True, True, 100),
}


def shapes(widths):
    of = {"embedding.weight": (ITEMS, EMBEDDING), "output.weight": (ITEMS, HEAD[-1])}
    inputs = EMBEDDING
    for l, width in enumerate(widths):
        of |= {f"lstm.weight_ih_l{l}": (4 * width, inputs), f"lstm.weight_hh_l{l}": (4 * width, width)}
        of |= {f"lstm.bias_ih_l{l}": (1, 4 * width)}
        of |= {f"lstm.h_0_l{l}": (1, width), f"lstm.c_0_l{l}": (1, width)}
        inputs = width
    for k, width in enumerate(HEAD):
        of |= {f"head.{k}.weight": (width, inputs), f"head.{k}.bias": (1, width)}
        inputs = width
    return of


def layer(p, l):
    """One `nn.LSTM` over the given weights; its second bias is zero and does not learn."""
    inputs, width = p[f"lstm.weight_ih_l{l}"].shape[1], p[f"lstm.weight_hh_l{l}"].shape[1]
    names = {name: p[f"lstm.{name}_l{l}"] for name in ("weight_ih", "weight_hh")}
    named = {f"{name}_l0": value for name, value in names.items()}
    named["bias_ih_l0"] = p[f"lstm.bias_ih_l{l}"][0]
    named["bias_hh_l0"] = torch.zeros_like(named["bias_ih_l0"])
    lstm = nn.LSTM(inputs, width).to(named["bias_ih_l0"].dtype)
    return lambda x, start: torch.func.functional_call(lstm, named, (x, start))


def window_loss(p, case, first, states):
    """The mean over all targets of a window, and the states at its end, session by session."""
    widths, residual, pooled, window = case
    losses, ends = [], []
    for session, items in enumerate(SESSIONS):
        x, target = items[first:-1][:window], items[first + 1 :][:window]
        if not target:
            ends.append(None)
            continue
        y, end = p["embedding.weight"][x], []
        for l in range(len(widths)):
            start = (p[f"lstm.h_0_l{l}"], p[f"lstm.c_0_l{l}"]) if states is None else states[session][l]
            h, last = layer(p, l)(y, start)
            y = h + y if residual and l > 0 else h
            end.append(tuple(state.detach() for state in last))
        if pooled:
            y = y.cummax(0).values
        for k in range(len(HEAD)):
            y = elu(linear(y, p[f"head.{k}.weight"], p[f"head.{k}.bias"][0]))
        losses.append(cross_entropy(y @ p["output.weight"].T, torch.tensor(target), reduction="none"))
        ends.append(end)
    return torch.cat(losses).mean(), ends


def main():
    torch.set_num_threads(1)
    tensors = {f"session.{k}": torch.tensor(items) for k, items in enumerate(SESSIONS)}
    for number, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(SEED + number)
        widths, _, _, window = case
        begin = {key: draw(*shape, scale=0.7) for key, shape in shapes(widths).items()}
        for precision, dtype in PRECISIONS.items():
            p = {key: leaf(value, dtype) for key, value in begin.items()}
            optimizer = torch.optim.SGD(p.values(), lr=RATE)
            losses = []
            for _ in range(2):
                states = None
                for first in range(0, max(map(len, SESSIONS)) - 1, window):
                    optimizer.zero_grad()
                    loss, states = window_loss(p, case, first, states)
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.detach())
            tensors[f"{precision}.{name}.losses"] = torch.stack(losses)
            for key, value in begin.items():
                tensors[f"{precision}.{name}.before.{key}"] = value.to(dtype)
                tensors[f"{precision}.{name}.after.{key}"] = p[key]
    save("shapes", tensors, "make_shapes.py")


if __name__ == "__main__":
    main()
