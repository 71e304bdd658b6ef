#!/usr/bin/env python3
"""Makes the golden files of the cells beside the LSTM: numbers our own equations have to reproduce.

    python3 tests/golden/make_cells.py        (PyTorch 2.15.0 and safetensors 0.8.0)

GRU, RNN and projection are PyTorch's own modules. Peepholes, coupled gates and layer normalisation
PyTorch does not have: here they are the few lines of their papers' equations in `step_of`, and
autograd makes the gradients. Files are laid out as those of `make_golden.py`. Both directions are
PyTorch's own again.
"""

import torch
from make_golden import PRECISIONS, SEED, draw, leaf, save
from torch import nn
from torch.nn.functional import layer_norm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

LENGTHS, INPUTS, HIDDEN = [6, 4, 4, 1], 5, 3


def peephole(p, z, c_prev):
    i, f, g, o = z.chunk(4, dim=1)
    i, f = torch.sigmoid(i + p["p"][0] * c_prev), torch.sigmoid(f + p["p"][1] * c_prev)
    c = f * c_prev + i * torch.tanh(g)
    return torch.sigmoid(o + p["p"][2] * c) * torch.tanh(c), c


def coupled(p, z, c_prev):
    f, g, o = z.chunk(3, dim=1)
    f = torch.sigmoid(f)
    c = f * c_prev + (1 - f) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def normalised(p, z, c_prev):
    i, f, g, o = z.chunk(4, dim=1)
    c = torch.sigmoid(f) * c_prev + torch.sigmoid(i) * torch.tanh(g)
    shown = layer_norm(c, c.shape[1:], p["gain_c"][0], p["bias_c"][0])
    return torch.sigmoid(o) * torch.tanh(shown), c


def step_of(cell, p, x, h_prev, c_prev):
    """One step of a cell that PyTorch does not have."""
    of_x, of_h = x @ p["w_x"].T, h_prev @ p["w_h"].T
    if cell is normalised:
        of_x = layer_norm(of_x, of_x.shape[1:], p["gain_x"][0])
        of_h = layer_norm(of_h, of_h.shape[1:], p["gain_h"][0])
    h, c = cell(p, of_x + of_h + p["b"], c_prev)
    return (h @ p["w_p"].T if "w_p" in p else h), c


def loop(cell, p, x, batch_sizes, h, c):
    """A layer over packed rows: states after every position, and after the last of each row."""
    states, first = [], 0
    for active in batch_sizes.tolist():
        new_h, new_c = step_of(cell, p, x[first : first + active], h[:active], c[:active])
        h, c = torch.cat([new_h, h[active:]]), torch.cat([new_c, c[active:]])
        states.append(new_h)
        first += active
    return torch.cat(states), h, c


def module(kind, p, x, batch_sizes, h, c):
    """The same of a PyTorch module, its own parameters filled in."""
    width = p["w_x"].shape[1]
    if kind is nn.LSTM:
        layer = nn.LSTM(width, HIDDEN, proj_size=p["w_p"].shape[0])
    else:
        layer = kind(width, HIDDEN)
    b = p["b"][0]
    rows = p["w_x"].shape[0]
    # The GRU's fourth bias stands in the second vector, and nothing else does.
    second = torch.cat([torch.zeros(2 * rows - len(b), dtype=b.dtype), b[rows:]])
    named = {"weight_ih_l0": p["w_x"], "weight_hh_l0": p["w_h"], "bias_ih_l0": b[:rows]}
    named["bias_hh_l0"] = second
    if "w_p" in p:
        named["weight_hr_l0"] = p["w_p"]
    start = (h[None], c[None]) if kind is nn.LSTM else h[None]
    packed = PackedSequence(x, batch_sizes)
    out, last = torch.func.functional_call(layer.to(x.dtype), named, (packed, start))
    h_last, c_last = last if kind is nn.LSTM else (last, c[None])
    return out.data, h_last[0], c_last[0]


# Name: what runs it, blocks of its pre-activations and of its bias, its own tensors, width of h.
H, P = HIDDEN, 2
NORM = {"gain_x": (1, 4 * H), "gain_h": (1, 4 * H), "gain_c": (1, H), "bias_c": (1, H)}
CASES = {
    "gru": (module, nn.GRU, 3, 4, {}, H),
    "rnn": (module, nn.RNN, 1, 1, {}, H),
    "lstm_projection": (module, nn.LSTM, 4, 4, {"w_p": (P, H)}, P),
    "peephole": (loop, peephole, 4, 4, {"p": (3, H)}, H),
    "peephole_projection": (loop, peephole, 4, 4, {"p": (3, H), "w_p": (P, H)}, P),
    "coupled": (loop, coupled, 3, 3, {}, H),
    "layer_norm": (loop, normalised, 4, 4, NORM, H),
}


def make(name, run, cell, gates, biases, own, width):
    """Two layers, forward and every gradient: the loss gives each hidden state of the upper layer, and
    the last states of both, a weight of its own."""
    batch, positions = len(LENGTHS), sum(LENGTHS)
    has_c = cell not in (nn.GRU, nn.RNN)
    layers = []
    for inputs in (INPUTS, width):
        shapes = {"w_x": (gates * H, inputs), "w_h": (gates * H, width), "b": (1, biases * H)} | own
        layer = {key: draw(*shape, scale=0.6) for key, shape in shapes.items()}
        for key in ("gain_x", "gain_h", "gain_c"):
            if key in layer:
                layer[key] += 1.0
        layer |= {"h_0": draw(batch, width), "c_0": draw(batch, H) if has_c else torch.zeros(batch, 0)}
        weights = {"dh_last": draw(batch, width), "dc_last": torch.randn_like(layer["c_0"])}
        layers.append((layer, weights))
    x, dh = draw(max(LENGTHS), batch, INPUTS), draw(positions, width)
    tensors = {"lengths": torch.tensor(LENGTHS)}
    for precision, dtype in PRECISIONS.items():
        packed = pack_padded_sequence(x.to(dtype), LENGTHS)
        first = packed.data.clone().requires_grad_(True)
        case, h, loss = {"x": first, "dh": dh.to(dtype)}, first, 0.0
        learned = []
        for k, (layer, weights) in enumerate(layers):
            p = {key: leaf(value, dtype) for key, value in layer.items()}
            h, h_last, c_last = run(cell, p, h, packed.batch_sizes, p["h_0"], p["c_0"])
            for key, value in (("h_last", h_last), ("c_last", c_last)):
                weight = weights["d" + key].to(dtype)
                loss = loss + (value * weight).sum()
                case[f"{k}.{key}"], case[f"{k}.d{key}"] = value, weight
            learned.append(p)
        loss = loss + (h * dh.to(dtype)).sum()
        loss.backward()
        case |= {"h": h, "dx": first.grad}
        for k, p in enumerate(learned):
            for key, value in p.items():
                grad = value.grad if value.grad is not None else torch.zeros_like(value)
                case[f"{k}.{key}"], case[f"{k}.d{key}"] = value, grad
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save(f"cell_{name}", tensors, "make_cells.py")


def make_both(kind, gates, biases):
    """Two layers of PyTorch's own in both directions: the loss gives each state of the upper one a weight
    of its own."""
    batch, has_c = len(LENGTHS), kind is nn.LSTM
    learned = {}
    for layer, inputs in enumerate((INPUTS, 2 * H)):
        for direction in ("forward", "reverse"):
            shapes = {"w_x": (gates * H, inputs), "w_h": (gates * H, H), "b": (1, biases * H)}
            shapes |= {"h_0": (batch, H), "c_0": (batch, H if has_c else 0)}
            for key, shape in shapes.items():
                learned[f"{layer}.{direction}.{key}"] = draw(*shape, scale=0.6)
    x, dy = draw(max(LENGTHS), batch, INPUTS), draw(sum(LENGTHS), 2 * H)
    tensors = {"lengths": torch.tensor(LENGTHS)}
    for precision, dtype in PRECISIONS.items():
        p = {key: leaf(value, dtype) for key, value in learned.items()}
        packed = pack_padded_sequence(x.to(dtype), LENGTHS)
        first = packed.data.clone().requires_grad_(True)
        named, starts = {}, {"h_0": [], "c_0": []}
        for layer in (0, 1):
            for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
                w_x, w_h, b, h_0, c_0 = (
                    p[f"{layer}.{direction}.{key}"] for key in ("w_x", "w_h", "b", "h_0", "c_0")
                )
                second = torch.cat([torch.zeros(2 * gates * H - biases * H, dtype=dtype), b[0][gates * H :]])
                of = f"l{layer}{suffix}"
                named |= {f"weight_ih_{of}": w_x, f"weight_hh_{of}": w_h}
                named |= {f"bias_ih_{of}": b[0][: gates * H], f"bias_hh_{of}": second}
                starts["h_0"].append(h_0)
                starts["c_0"].append(c_0)
        stack = kind(INPUTS, H, num_layers=2, bidirectional=True).to(dtype)
        h_0, c_0 = (torch.stack(states) for states in starts.values())
        start = (h_0, c_0) if has_c else h_0
        out, _ = torch.func.functional_call(stack, named, (PackedSequence(first, packed.batch_sizes), start))
        (out.data * dy.to(dtype)).sum().backward()
        case = {"x": first, "dy": dy.to(dtype), "y": out.data, "dx": first.grad}
        for key, value in p.items():
            layer, direction, name = key.split(".")
            grad = value.grad if value.grad is not None else torch.zeros_like(value)
            case |= {key: value, f"{layer}.{direction}.d{name}": grad}
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save(f"both_{kind.__name__.lower()}", tensors, "make_cells.py")


def main():
    torch.set_num_threads(1)
    for number, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(SEED + number)
        make(name, *case)
    for number, case in enumerate([(nn.LSTM, 4, 4), (nn.GRU, 3, 4)]):
        torch.manual_seed(SEED + 100 + number)
        make_both(*case)


if __name__ == "__main__":
    main()
