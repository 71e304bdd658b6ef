#!/usr/bin/env python3
"""Fits tanh x = x P(x^2) / Q(x^2) on (0, 9.01] in relative error: the coefficients of math.rs.

    python crates/cpu/fit_tanh.py          (needs numpy)

Lawson's method: least squares on a fine grid, again and again, each time with more weight where the
error was large, until it is about as large everywhere. The error of a quotient is made linear by
dividing by the denominator of the round before.
"""

import numpy as np

LIMIT, DEGREE, ROUNDS = 9.01, 4, 400


def powers(u, coefficients):
    return sum(c * u**k for k, c in enumerate(coefficients))


def fit():
    x = (np.cos(np.pi * (np.arange(4000) + 0.5) / 4000) + 1) / 2 * LIMIT
    x = np.sort(np.concatenate([x, np.linspace(1e-3, 1, 400)]))
    truth, u = np.tanh(x), (x / LIMIT) ** 2
    weight, q = np.ones_like(x), np.ones_like(x)
    best = (np.inf, None, None)
    for _ in range(ROUNDS):
        # x P(u) / (truth Q) - 1 = 0, where Q = 1 + ...
        numerator = (x / (truth * q))[:, None] * u[:, None] ** np.arange(DEGREE + 1)
        denominator = -(1 / q)[:, None] * u[:, None] ** np.arange(1, DEGREE + 1)
        root = np.sqrt(weight)
        matrix = np.concatenate([numerator, denominator], axis=1) * root[:, None]
        solution = np.linalg.lstsq(matrix, root / q, rcond=1e-17)[0]
        p, rest = solution[: DEGREE + 1], solution[DEGREE + 1 :]
        coefficients = np.concatenate([[1.0], rest])
        q = powers(u, coefficients)
        error = np.abs(x * powers(u, p) / (q * truth) - 1)
        if error.max() < best[0]:
            best = (error.max(), p, coefficients)
        weight *= np.sqrt(error / error.mean() + 1e-3)
        weight /= weight.mean()
    scale = LIMIT ** (2.0 * np.arange(DEGREE + 1))
    return best[0], best[1] / scale, best[2] / scale


if __name__ == "__main__":
    error, p, q = fit()
    print("P", *(f"{c:.9e}" for c in p))
    print("Q", *(f"{c:.9e}" for c in q))
    print(f"worst relative error {error:.2e}, {error / 2**-23:.2f} ulp")
