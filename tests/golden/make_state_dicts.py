#!/usr/bin/env python3
"""Makes state dicts as people save them, and the scores that PyTorch gives with them.

    python3 tests/golden/make_state_dicts.py        (PyTorch 2.15.0 and safetensors 0.8.0)

`state_dict_NAME.safetensors` holds a module's `state_dict()` and no more, under the names that its
author gave; `state_dict_scores.safetensors` the sessions, and of each module the scores of all items
and the last hidden state after each session, in single and in double precision. The module saved in
F16 is rounded first, so that both sides compute with the same numbers.
"""

import torch
from make_golden import FOLDER, PRECISIONS, SEED, save
from safetensors.torch import save_file
from torch import nn

ITEMS, WIDTH, HIDDEN = 9, 5, 4
SESSIONS = [[3, 1, 4, 1, 5, 0], [2], [6, 6, 8], [7, 0, 7, 2]]


class Shop(nn.Module):
    """Both biases of every layer are drawn, as PyTorch does."""

    def __init__(self, kind, layers, **options):
        super().__init__()
        self.emb = nn.Embedding(ITEMS, WIDTH)
        self.rnn = kind(WIDTH, HIDDEN, layers, **options)
        self.fc = nn.Linear(options.get("proj_size", HIDDEN), ITEMS)

    def forward(self, session):
        states, _ = self.rnn(self.emb(session))
        return self.fc(states[-1]), states[-1]


CASES = {
    "lstm": (lambda: Shop(nn.LSTM, 2), torch.float32),
    "lstm_projection": (lambda: Shop(nn.LSTM, 2, proj_size=3), torch.float64),
    "gru": (lambda: Shop(nn.GRU, 2), torch.float16),
    "rnn": (lambda: Shop(nn.RNN, 1), torch.bfloat16),
}


def main():
    torch.set_num_threads(1)
    lengths = torch.tensor([len(session) for session in SESSIONS])
    tensors = {"lengths": lengths, "items": torch.tensor(sum(SESSIONS, []))}
    for number, (name, (make, dtype)) in enumerate(CASES.items()):
        torch.manual_seed(SEED + number)
        module = make()
        # Larger than PyTorch draws them, or a gate would hardly matter.
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_((2 * parameter).to(dtype))
        state = {key: value.to(dtype) for key, value in module.state_dict().items()}
        save_file(state, FOLDER / f"state_dict_{name}.safetensors")
        for precision, kind in PRECISIONS.items():
            rows = [module.to(kind)(torch.tensor(session)) for session in SESSIONS]
            for key, part in zip(("scores", "hidden"), zip(*rows)):
                tensors[f"{precision}.{name}.{key}"] = torch.stack(part)
    save("state_dict_scores", tensors, "make_state_dicts.py")


if __name__ == "__main__":
    main()
