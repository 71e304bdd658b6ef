#!/usr/bin/env python3
"""Makes the golden file of what stands between states and scores: pooling, attention of a row, dense layers.

    python3 tests/golden/make_readouts.py        (PyTorch 2.15.0 and safetensors 0.8.0)

Rows are packed as everywhere; here they are unpacked, row by row, and PyTorch's own functions do the
rest: `cumsum`, `cummax`, `mean`, `amax`, `softmax`, `linear` and the activations. Each outcome is weighted by
constants of its own to make a loss. Laid out as the files of `make_golden.py`.
"""

import torch
from make_golden import PRECISIONS, SEED, draw, leaf, save
from torch.nn.functional import elu, linear
from torch.nn.utils.rnn import pack_padded_sequence

LENGTHS, WIDTH, KEY, LAGS = [6, 4, 4, 1], 3, 2, 4


def rows(x):
    """The rows of packed positions, one after the other."""
    batch_sizes = [sum(length > t for length in LENGTHS) for t in range(LENGTHS[0])]
    first = [sum(batch_sizes[:t]) for t in range(LENGTHS[0])]
    return [torch.stack([x[first[t] + b] for t in range(length)]) for b, length in enumerate(LENGTHS)]


def packed(parts):
    """The other way round."""
    padded = torch.nn.utils.rnn.pad_sequence(parts)
    return pack_padded_sequence(padded, LENGTHS).data


def mean_so_far(x):
    return x.cumsum(0) / torch.arange(1, len(x) + 1, dtype=x.dtype)[:, None]


POOLS = {
    "mean_causal": lambda x: packed([mean_so_far(row) for row in rows(x)]),
    "max_causal": lambda x: packed([row.cummax(0).values for row in rows(x)]),
    "mean_row": lambda x: torch.stack([row.mean(0) for row in rows(x)]),
    "max_row": lambda x: torch.stack([row.max(0).values for row in rows(x)]),
}


def attention(query, key, value, lag_bias):
    contexts = []
    for b, (key, value) in enumerate(zip(rows(key), rows(value), strict=True)):
        lag = torch.arange(len(key) - 1, -1, -1).clamp(max=LAGS - 1)
        scores = key @ query[b] / KEY**0.5 + lag_bias[0, lag]
        contexts.append(scores.softmax(0) @ value)
    return torch.stack(contexts)


ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "elu": elu}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    batch, positions = len(LENGTHS), sum(LENGTHS)
    inputs = {
        "x": draw(positions, WIDTH),
        "query": draw(batch, KEY),
        "key": draw(positions, KEY),
        "lag_bias": draw(1, LAGS),
        "w": draw(5, WIDTH),
        "b": draw(1, 5),
    }
    weights = {name: draw(positions if "causal" in name else batch, WIDTH) for name in POOLS}
    weights["attention"] = draw(batch, WIDTH)
    weights |= {name: draw(positions, 5) for name in ACTIVATIONS}
    tensors = {"lengths": torch.tensor(LENGTHS)}
    for precision, dtype in PRECISIONS.items():
        case = {key: value.to(dtype) for key, value in inputs.items()}
        for name, weight in weights.items():
            p = {key: leaf(value, dtype) for key, value in inputs.items()}
            if name in POOLS:
                names, y = ["x"], POOLS[name](p["x"])
            elif name == "attention":
                names = ["query", "key", "x", "lag_bias"]
                y = attention(*(p[key] for key in names))
            else:
                names = ["x", "w", "b"]
                y = ACTIVATIONS[name](linear(p["x"], p["w"], p["b"][0]))
            (y * weight.to(dtype)).sum().backward()
            case |= {f"{name}.y": y, f"{name}.dy": weight.to(dtype)}
            case |= {f"{name}.d{key}": p[key].grad for key in names}
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save("readouts", tensors, "make_readouts.py")


if __name__ == "__main__":
    main()
