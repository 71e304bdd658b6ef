#!/usr/bin/env python3
"""Makes the golden files of recurrences with masks: numbers our own equations have to reproduce.

    python3 tests/golden/make_masks.py        (PyTorch 2.15.0 and safetensors 0.8.0)

PyTorch's own modules know no dropout inside a recurrence, so each cell is a loop of its equations,
and autograd makes the gradients. `mask` stands before what the recurrent product sees of h, a row for
each row of the batch; `mask_w` stands before w_h. Their entries are any numbers here, not only 0 and
1 / (1 - p): one taken for another then shows. With zoneout, `u_c` and `u_h` say for every position
which share of the new states enters. Files are laid out as those of `make_cells.py`.
"""

import torch
from make_cells import LENGTHS, NORM, H, P, coupled, make, normalised, peephole, step_of
from make_golden import SEED


def lstm(p, z, c_prev):
    i, f, g, o = z.chunk(4, dim=1)
    c = torch.sigmoid(f) * c_prev + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def rnn(p, z, c_prev):
    return torch.tanh(z), c_prev


def gru(p, of_x, of_h, h_prev):
    x_r, x_z, x_n = (of_x + p["b"][:, : 3 * H]).chunk(3, dim=1)
    h_r, h_z, h_n = of_h.chunk(3, dim=1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * (h_n + p["b"][:, 3 * H :]))
    return (1 - z) * n + z * h_prev


def loop(cell, p, x, batch_sizes, h, c):
    """A layer over packed rows, as in `make_cells.py`, through both masks or with zoneout."""
    if "mask_w" in p:
        p = p | {"w_h": p["mask_w"] * p["w_h"]}
    states, first = [], 0
    for active in batch_sizes.tolist():
        x_t, h_prev, c_prev = x[first : first + active], h[:active], c[:active]
        read = p["mask"][:active] * h_prev if "mask" in p else h_prev
        if cell is gru:
            new_h, new_c = gru(p, x_t @ p["w_x"].T, read @ p["w_h"].T, h_prev), c_prev
        else:
            new_h, new_c = step_of(cell, p, x_t, read, c_prev)
        if "u_h" in p:
            u_c, u_h = (p[u][first : first + active] for u in ("u_c", "u_h"))
            new_c, new_h = c_prev + u_c * (new_c - c_prev), h_prev + u_h * (new_h - h_prev)
        h, c = torch.cat([new_h, h[active:]]), torch.cat([new_c, c[active:]])
        states.append(new_h)
        first += active
    return torch.cat(states), h, c


def masks(gates, cells, width):
    return {"mask": (len(LENGTHS), width), "mask_w": (gates * H, width)}


def shares(gates, cells, width):
    return {"u_c": (sum(LENGTHS), cells), "u_h": (sum(LENGTHS), width)}


CASES = {
    "lstm": (lstm, 4, 4, {}, H),
    "gru": (gru, 3, 4, {}, H),
    "rnn": (rnn, 1, 1, {}, H),
    "peephole": (peephole, 4, 4, {"p": (3, H)}, H),
    "coupled_projection": (coupled, 3, 3, {"w_p": (P, H)}, P),
    "layer_norm": (normalised, 4, 4, NORM, H),
}


def main():
    torch.set_num_threads(1)
    for number, (name, (cell, gates, biases, own, width)) in enumerate(CASES.items()):
        cells = 0 if cell in (gru, rnn) else H
        for kind, tensors in (("masked", masks), ("zoned", shares)):
            torch.manual_seed(SEED + 100 + number)
            all_own = own | tensors(gates, cells, width)
            arguments = loop, cell, gates, biases, all_own, width
            make(f"{kind}_{name}", *arguments, stateless=(gru, rnn), script="make_masks.py")


if __name__ == "__main__":
    main()
