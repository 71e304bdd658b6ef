#!/usr/bin/env python3
"""Makes the golden files: numbers of PyTorch that our own equations have to reproduce.

    python3 tests/golden/make_golden.py        (PyTorch 2.15.0 and safetensors 0.8.0)

Every file holds its case twice, computed in single and in double precision from the same inputs,
under the prefixes `f32.` and `f64.`; the version of PyTorch and the seed stand in the metadata.
All inputs are exact in single precision. `bias_hh` is zero and frozen: two trained biases would
move twice as far as the one bias that Tidegate has.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

SEED = 20261124
FOLDER = pathlib.Path(__file__).parent
PRECISIONS = {"f32": torch.float32, "f64": torch.float64}


def draw(*shape, scale=1.0):
    """Normal numbers, drawn in single precision."""
    return torch.randn(*shape, dtype=torch.float32) * scale


def save(name, tensors, script="make_golden.py"):
    """Writes one file; where it came from goes with it."""
    # One entry: the library writes several in an order that changes from run to run.
    made_by = f"tests/golden/{script}, PyTorch {torch.__version__.split('+')[0]}, seed {SEED}"
    tensors = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
    save_file(tensors, FOLDER / f"{name}.safetensors", metadata={"made_by": made_by})


def leaf(tensor, dtype):
    """A copy in the precision asked for, with a gradient of its own."""
    return tensor.to(dtype).clone().requires_grad_(True)


def build_lstm(weights, inputs, hidden, layers, dtype):
    """`nn.LSTM` with the given weights and a frozen bias of zero on the recurrent side."""
    lstm = nn.LSTM(inputs, hidden, num_layers=layers).to(dtype)
    with torch.no_grad():
        for key, value in weights.items():
            getattr(lstm, key).copy_(value)
        for layer in range(layers):
            bias = getattr(lstm, f"bias_hh_l{layer}")
            bias.zero_()
            bias.requires_grad_(False)
    return lstm


def lstm_weights(inputs, hidden, layers):
    weights = {}
    for layer in range(layers):
        width = inputs if layer == 0 else hidden
        weights[f"weight_ih_l{layer}"] = draw(4 * hidden, width, scale=0.6)
        weights[f"weight_hh_l{layer}"] = draw(4 * hidden, hidden, scale=0.6)
        weights[f"bias_ih_l{layer}"] = draw(4 * hidden, scale=0.5)
    return weights


def make_lstm(name, lengths, inputs, hidden, layers):
    """Forward and every gradient. The loss gives each hidden state of the top layer, and the last
    h and c of every layer, a weight of its own."""
    batch, steps = len(lengths), max(lengths)
    weights = lstm_weights(inputs, hidden, layers)
    x, h_0, c_0 = draw(steps, batch, inputs), draw(layers, batch, hidden), draw(layers, batch, hidden)
    positions = sum(lengths)
    dh, dh_last, dc_last = draw(positions, hidden), draw(layers, batch, hidden), draw(layers, batch, hidden)

    tensors = {"lengths": torch.tensor(lengths)}
    for precision, dtype in PRECISIONS.items():
        lstm = build_lstm(weights, inputs, hidden, layers, dtype)
        packed = pack_padded_sequence(x.to(dtype), lengths)
        packed_x = packed.data.clone().requires_grad_(True)
        start = leaf(h_0, dtype), leaf(c_0, dtype)
        out, (h_n, c_n) = lstm(PackedSequence(packed_x, packed.batch_sizes), start)
        loss = (out.data * dh.to(dtype)).sum()
        loss = loss + (h_n * dh_last.to(dtype)).sum() + (c_n * dc_last.to(dtype)).sum()
        loss.backward()

        case = {"x": packed_x, "dx": packed_x.grad, "h": out.data, "dh": dh.to(dtype)}
        for layer in range(layers):
            for ours, theirs in [("w_x", "weight_ih"), ("w_h", "weight_hh"), ("b", "bias_ih")]:
                parameter = getattr(lstm, f"{theirs}_l{layer}")
                case[f"{layer}.{ours}"], case[f"{layer}.d{ours}"] = parameter, parameter.grad
            for key, value in [
                ("h_0", start[0]), ("c_0", start[1]), ("dh_0", start[0].grad), ("dc_0", start[1].grad),
                ("h_last", h_n), ("c_last", c_n), ("dh_last", dh_last), ("dc_last", dc_last),
            ]:
                case[f"{layer}.{key}"] = value[layer].to(dtype)
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save(name, tensors)


def make_cross_entropy():
    """The weighted mean of the cross-entropies, without and with label smoothing."""
    positions, columns, width = 5, 7, 3
    q, table, bias = draw(positions, width), draw(columns, width), draw(columns, scale=0.5)
    weight = torch.tensor([1.0, 0.5, 2.0, 0.25, 1.5])
    target = torch.tensor([6, 0, 3, 3, 1])
    tensors = {"target": target}
    for precision, dtype in PRECISIONS.items():
        for name, smoothing in [("plain", 0.0), ("smooth", 0.125)]:
            leaves = [leaf(tensor, dtype) for tensor in (q, table, bias)]
            logits = leaves[0] @ leaves[1].T + leaves[2]
            losses = nn.functional.cross_entropy(
                logits, target, reduction="none", label_smoothing=smoothing
            )
            loss = (losses * weight.to(dtype)).sum() / weight.to(dtype).sum()
            loss.backward()
            case = {"smoothing": torch.tensor([smoothing], dtype=dtype), "loss": loss.reshape(1)}
            case["weight"] = weight.to(dtype)
            for key, tensor in zip(["q", "table", "column_bias"], leaves):
                case[key], case["d" + key] = tensor, tensor.grad
            tensors |= {f"{precision}.{name}.{key}": value for key, value in case.items()}
    save("cross_entropy", tensors)


def single(value):
    """The nearest number of single precision: what our own constants can hold."""
    return float(torch.tensor(value, dtype=torch.float32))


def make_adam():
    """Adam, Adam with L2 and AdamW, the parameter after each of 20 steps with given gradients.
    `exact` has constants whose corrections 1 − βᵗ are exact in single precision for 12 steps."""
    rows, columns, steps = 3, 4, 20
    start, gradients = draw(rows, columns), draw(steps, rows * columns)
    usual = (single(0.9), single(0.999)), single(0.01), single(1e-8)
    exact = (0.5, 0.75), 2.0**-6, 2.0**-27
    kinds = {
        "adam": (torch.optim.Adam, usual, 0.0, steps),
        "adam_l2": (torch.optim.Adam, usual, 0.125, steps),
        "adamw": (torch.optim.AdamW, usual, 0.125, steps),
        "exact": (torch.optim.Adam, exact, 0.0, 12),
        "exact_l2": (torch.optim.Adam, exact, 0.125, 12),
        "exact_w": (torch.optim.AdamW, exact, 0.125, 12),
    }
    tensors = {}
    for precision, dtype in PRECISIONS.items():
        for name, (kind, (betas, rate, epsilon), decay, count) in kinds.items():
            w = leaf(start, dtype)
            optimizer = kind([w], lr=rate, betas=betas, eps=epsilon, weight_decay=decay)
            path = []
            for gradient in gradients[:count]:
                w.grad = gradient.reshape(rows, columns).to(dtype)
                optimizer.step()
                path.append(w.detach().clone().flatten())
            constants = [betas[0], betas[1], rate, epsilon, decay]
            case = {
                "start": start.to(dtype),
                "gradients": gradients[:count].to(dtype),
                "path": torch.stack(path),
                "constants": torch.tensor(constants, dtype=dtype),
            }
            tensors |= {f"{precision}.{name}.{key}": value for key, value in case.items()}
    save("adam", tensors)


# What the cases of `make_optimizers` set; a case names what it has otherwise.
OPTIMIZER_CONSTANTS = {
    "lr": single(0.01), "weight_decay": 0.0, "momentum": 0.0, "nesterov": False,
    "alpha": single(0.99), "eps": single(1e-8), "centered": False, "lr_decay": 0.0,
    "initial_accumulator_value": 0.0,
}


def make_optimizers():
    """SGD, Adagrad and RMSprop with all that they can be asked for, the parameter after each of 20
    steps with given gradients; all cases start alike and see the same gradients."""
    rows, columns, steps = 2, 3, 20
    start, gradients = draw(rows, columns), draw(steps, rows * columns)
    sgd, adagrad, rmsprop = torch.optim.SGD, torch.optim.Adagrad, torch.optim.RMSprop
    momentum = single(0.9)
    decay = {"weight_decay": 0.125}
    kinds = {
        "sgd": (sgd, {}),
        "sgd_l2": (sgd, decay),
        "sgd_momentum": (sgd, {"momentum": momentum}),
        "sgd_momentum_l2": (sgd, {"momentum": momentum} | decay),
        "sgd_nesterov": (sgd, {"momentum": momentum, "nesterov": True}),
        "sgd_nesterov_l2": (sgd, {"momentum": momentum, "nesterov": True} | decay),
        "adagrad": (adagrad, {"eps": single(1e-10)}),
        "adagrad_l2": (adagrad, {"initial_accumulator_value": 0.5} | decay),
        "adagrad_decay": (adagrad, {"lr_decay": 0.125}),
        "rmsprop": (rmsprop, {}),
        "rmsprop_l2": (rmsprop, {"alpha": 0.75, "eps": 2.0**-10} | decay),
        "rmsprop_momentum": (rmsprop, {"momentum": momentum}),
        "rmsprop_centered": (rmsprop, {"centered": True}),
        "rmsprop_centered_momentum_l2": (rmsprop, {"momentum": 0.5, "centered": True} | decay),
    }
    own = {
        sgd: ["lr", "weight_decay", "momentum", "nesterov"],
        adagrad: ["lr", "weight_decay", "eps", "lr_decay", "initial_accumulator_value"],
        rmsprop: ["lr", "weight_decay", "alpha", "eps", "momentum", "centered"],
    }
    tensors = {}
    for precision, dtype in PRECISIONS.items():
        case = {"start": start.to(dtype), "gradients": gradients.to(dtype)}
        for name, (kind, constants) in kinds.items():
            constants = OPTIMIZER_CONSTANTS | constants
            w = leaf(start, dtype)
            optimizer = kind([w], **{key: constants[key] for key in own[kind]})
            path = []
            for gradient in gradients:
                w.grad = gradient.reshape(rows, columns).to(dtype)
                optimizer.step()
                path.append(w.detach().clone().flatten())
            case[f"{name}.path"] = torch.stack(path)
            case[f"{name}.constants"] = torch.tensor(list(constants.values()), dtype=dtype)
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save("optimizers", tensors)


def make_training():
    """Ten losses of a next-item model: embedding, LSTM, softmax tied to the embedding. Adam's
    constants are the exact ones of `make_adam`."""
    items, width, lengths, rounds = 11, 6, [7, 5, 5, 2], 10
    table = draw(items, width, scale=0.5)
    weights = lstm_weights(width, width, 1)
    bias = torch.zeros(items)
    ids = torch.randint(items, (max(lengths) + 1, len(lengths)))
    seen = pack_padded_sequence(ids[:-1], lengths).data
    target = pack_padded_sequence(ids[1:], lengths).data
    batch_sizes = pack_padded_sequence(ids[:-1], lengths).batch_sizes
    constants = [0.5, 0.75, 2.0**-6, 2.0**-27, 0.0]

    tensors = {"lengths": torch.tensor(lengths), "ids": seen, "target": target}
    for precision, dtype in PRECISIONS.items():
        lstm = build_lstm(weights, width, width, 1, dtype)
        e, b = leaf(table, dtype), leaf(bias, dtype)
        parameters = {
            "table": e, "w_x": lstm.weight_ih_l0, "w_h": lstm.weight_hh_l0,
            "b": lstm.bias_ih_l0, "column_bias": b,
        }
        case = {key: value.detach().clone() for key, value in parameters.items()}
        optimizer = torch.optim.Adam(
            parameters.values(), lr=constants[2], betas=tuple(constants[:2]), eps=constants[3]
        )
        losses = []
        for _ in range(rounds):
            optimizer.zero_grad()
            h = lstm(PackedSequence(e[seen], batch_sizes))[0].data
            loss = nn.functional.cross_entropy(h @ e.T + b, target)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        case["losses"] = torch.stack(losses)
        case["constants"] = torch.tensor(constants, dtype=dtype)
        case |= {f"after.{key}": value for key, value in parameters.items()}
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save("training", tensors)


def bpr_max(scores, target, regularization):
    """Hidasi, Karatzoglou 2018: the negatives are all columns but the target."""
    own = scores.gather(1, target[:, None])
    negatives = torch.ones_like(scores, dtype=torch.bool).scatter(1, target[:, None], False)
    share = torch.softmax(scores.masked_fill(~negatives, -torch.inf), 1)
    ahead = -torch.log((share * torch.sigmoid(own - scores)).sum(1))
    return ahead + regularization * (share * scores**2).sum(1)


def top1_max(scores, target):
    own = scores.gather(1, target[:, None])
    negatives = torch.ones_like(scores, dtype=torch.bool).scatter(1, target[:, None], False)
    share = torch.softmax(scores.masked_fill(~negatives, -torch.inf), 1)
    return (share * (torch.sigmoid(scores - own) + torch.sigmoid(scores**2))).sum(1)


def focal(z, y, gamma, alpha):
    """Lin et al. 2017, as the paper has it."""
    q = torch.where(y == 1, torch.sigmoid(z), 1 - torch.sigmoid(z))
    a = torch.where(y == 1, alpha, 1 - alpha)
    return -a * (1 - q) ** gamma * torch.log(q)


def make_losses():
    """Losses and their gradients by z, weighted means over the positions; `true` is 0 or 1, `share`
    lies between."""
    positions, columns = 5, 4
    z, share = draw(positions, columns, scale=2.0), torch.rand(positions, columns)
    true = torch.randint(2, (positions, columns)).float()
    weight = torch.tensor([1.0, 0.5, 2.0, 0.25, 1.5])
    target = torch.tensor([3, 0, 1, 1, 2])
    of_columns = torch.tensor([0.5, 3.0, 1.0, 0.25])
    functional = nn.functional

    def bce(z, y, positive):
        return functional.binary_cross_entropy_with_logits(
            z, y, pos_weight=positive, reduction="none"
        )

    # Each gives a loss an output or a position, from z in a precision and its constants in the same.
    cases = {
        "bce": (lambda z, k: bce(z, share.to(z), None), []),
        "bce_positive": (lambda z, k: bce(z, share.to(z), k), of_columns.tolist()),
        "squared": (lambda z, k: functional.mse_loss(z, share.to(z), reduction="none"), []),
        "huber": (
            lambda z, k: functional.huber_loss(z, share.to(z), reduction="none", delta=float(k[0])),
            [0.75],
        ),
        "focal": (lambda z, k: focal(z, true.to(z), *k), [2.0, 0.25]),
        "focal_slow": (lambda z, k: focal(z, true.to(z), *k), [0.5, 0.75]),
        "poisson": (
            lambda z, k: functional.poisson_nll_loss(z, share.to(z), reduction="none"),
            [],
        ),
        "bpr_max": (lambda z, k: bpr_max(z, target, k[0]), [0.0]),
        "bpr_max_small": (lambda z, k: bpr_max(z, target, k[0]), [0.75]),
        "top1_max": (lambda z, k: top1_max(z, target), []),
    }
    tensors = {"target": target}
    for precision, dtype in PRECISIONS.items():
        case = {"z": z.to(dtype), "share": share.to(dtype), "true": true.to(dtype)}
        case["weight"] = weight.to(dtype)
        for name, (loss_of, constants) in cases.items():
            scores, constants = leaf(z, dtype), torch.tensor(constants, dtype=dtype)
            losses = loss_of(scores, constants).reshape(positions, -1).mean(1)
            loss = (losses * weight.to(dtype)).sum() / weight.to(dtype).sum()
            loss.backward()
            case |= {f"{name}.loss": loss.reshape(1), f"{name}.dz": scores.grad}
            case[f"{name}.constants"] = constants.reshape(1, -1)
        # PyTorch's own mean over classes that count differently; all positions count alike.
        scores, constants = leaf(z, dtype), of_columns.to(dtype)
        loss = functional.cross_entropy(scores, target, weight=constants)
        loss.backward()
        case |= {"classes.loss": loss.reshape(1), "classes.dz": scores.grad}
        case["classes.constants"] = constants.reshape(1, -1)
        tensors |= {f"{precision}.{key}": value for key, value in case.items()}
    save("losses", tensors)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    make_lstm("lstm_one_layer", lengths=[6, 6, 6], inputs=5, hidden=4, layers=1)
    make_lstm("lstm_two_layers", lengths=[4, 4], inputs=3, hidden=5, layers=2)
    make_lstm("lstm_packed", lengths=[6, 4, 4, 1], inputs=5, hidden=3, layers=2)
    make_cross_entropy()
    make_adam()
    make_training()
    make_optimizers()
    make_losses()


if __name__ == "__main__":
    main()
