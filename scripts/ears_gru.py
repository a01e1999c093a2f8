#!/usr/bin/env python3
"""Gated recurrent units that train about twice as fast as PyTorch's on a CPU; `train_ears.py --fast` uses them.

Derivatives that grow without bound on their way back in time are held back, each track's for itself, so that one
does not drown the others'.

    python3 scripts/ears_gru.py

compares them with PyTorch's. Needs torch, ninja and a C++ compiler.
"""
import os

import torch
from torch import nn
from torch.utils.cpp_extension import load

native = load(
    "ears_gru",
    [os.path.join(os.path.dirname(os.path.abspath(__file__)), "ears_gru.cpp")],
    extra_cflags=["-O3", "-march=native", "-ffast-math"],
)


# Products of many frames with 16-bit factors (bfloat16), the sums in 32.
HALVES = True


class Product(torch.autograd.Function):
    """rows · weightᵀ + bias."""

    @staticmethod
    def forward(context, rows, weight, bias):
        rows, weight = rows.bfloat16(), weight.bfloat16()
        context.save_for_backward(rows, weight)
        return nn.functional.linear(rows, weight).float().add_(bias)

    @staticmethod
    def backward(context, d_out):
        rows, weight = context.saved_tensors
        flat, half = d_out.flatten(0, -2), d_out.bfloat16()
        d_rows = (half @ weight).float()
        d_weight = (half.flatten(0, -2).t() @ rows.flatten(0, -2)).float()
        return d_rows, d_weight, flat.sum(0)


class Steps(torch.autograd.Function):
    @staticmethod
    def forward(context, inputs, weight, bias, first):
        states, gates = native.forward(inputs.contiguous(), weight.t().contiguous(), bias, first.contiguous())
        context.save_for_backward(states, gates, weight)
        return states[1:]

    @staticmethod
    def backward(context, d_states):
        return tuple(native.backward(d_states.contiguous(), *context.saved_tensors, HALVES))


class Gru(nn.GRU):
    """One layer, the tracks first."""

    def forward(self, rows, state=None):
        rows = rows.transpose(0, 1)
        if state is None:
            state = rows.new_zeros(1, rows.shape[1], self.hidden_size)
        linear = Product.apply if HALVES else nn.functional.linear
        inputs = linear(rows, self.weight_ih_l0, self.bias_ih_l0)
        states = Steps.apply(inputs, self.weight_hh_l0, self.bias_hh_l0, state[0])
        return states.transpose(0, 1), states[-1][None]


def told(gru, rows, first):
    x, h = rows.clone().requires_grad_(), first.clone().requires_grad_()
    gru.zero_grad()
    states, last = gru(x, h)
    (states.sin().sum() + last.sum()).backward()
    return [states.detach(), x.grad, h.grad, *(p.grad.clone() for p in gru.parameters())]


def compare():
    global HALVES
    torch.manual_seed(0)
    slow, fast = (kind(64, 136, batch_first=True) for kind in (nn.GRU, Gru))
    fast.load_state_dict(slow.state_dict())
    rows, first = torch.randn(29, 50, 64), torch.randn(1, 29, 136)
    want = told(slow, rows, first)
    for HALVES, most in ((False, 1e-5), (True, 2e-2)):
        worst = max(((a - b).abs().max() / (1 + a.abs().max())).item() for a, b in zip(want, told(fast, rows, first)))
        print(f"{'short' if HALVES else 'long'} numbers: PyTorch's within {worst:.1e}")
        assert worst <= most


if __name__ == "__main__":
    compare()
