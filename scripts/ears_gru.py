#!/usr/bin/env python3
"""Gated recurrent units that train about twice as fast as PyTorch's on a CPU; `train_ears.py --fast` uses them.

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


class Steps(torch.autograd.Function):
    @staticmethod
    def forward(context, inputs, weight, bias, first):
        states, gates = native.forward(inputs.contiguous(), weight.t().contiguous(), bias, first.contiguous())
        context.save_for_backward(states, gates, weight)
        return states[1:]

    @staticmethod
    def backward(context, d_states):
        return tuple(native.backward(d_states.contiguous(), *context.saved_tensors))


class Gru(nn.GRU):
    """One layer, the tracks first."""

    def forward(self, rows, state=None):
        rows = rows.transpose(0, 1)
        if state is None:
            state = rows.new_zeros(1, rows.shape[1], self.hidden_size)
        inputs = nn.functional.linear(rows, self.weight_ih_l0, self.bias_ih_l0)
        states = Steps.apply(inputs, self.weight_hh_l0, self.bias_hh_l0, state[0])
        return states.transpose(0, 1), states[-1][None]


def compare():
    torch.manual_seed(0)
    slow, fast = (kind(64, 128, batch_first=True) for kind in (nn.GRU, Gru))
    fast.load_state_dict(slow.state_dict())
    rows, first, told = torch.randn(4, 50, 64), torch.randn(1, 4, 128), []
    for gru in (slow, fast):
        x, h = rows.clone().requires_grad_(), first.clone().requires_grad_()
        states, last = gru(x, h)
        (states.sin().sum() + last.sum()).backward()
        told.append([states, x.grad, h.grad, *(p.grad for p in gru.parameters())])
    for a, b in zip(*told):
        assert (a - b).abs().max() <= 1e-5 * (1 + a.abs().max()), (a - b).abs().max()
    print("the same as PyTorch's")


if __name__ == "__main__":
    compare()
