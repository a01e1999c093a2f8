"""Adam for vectors and small matrices; orthogonalised momentum (Muon) for the large ones.

Plain Adam spends its steps on what dominates the gradient, colour; an orthogonal step moves every
direction of a weight matrix alike, so shapes are learned at the same time."""

import torch
import torch.distributed as dist


def orthogonal(m, steps=5):
    """The nearest semi-orthogonal matrix, roughly, by Newton-Schulz iterations; [..., rows, columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = m.shape[-2] > m.shape[-1]
    x = m.mT if tall else m
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Each parameter as a matrix [out, everything else]; `lr` is the root mean square of a step."""

    def __init__(self, groups, momentum=0.95):
        super().__init__(groups, dict(lr=0.0, momentum=momentum))

    @torch.no_grad()
    def step(self):
        todo, workers = [], dist.get_world_size() if dist.is_initialized() else 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buf = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buf.lerp_(p.grad, 1 - group["momentum"])
                todo.append((p, p.grad.lerp(buf, group["momentum"]), group["lr"]))
        moves = [p.new_zeros(()).expand_as(p) for p, _, _ in todo]
        alike = {}                                                # matrices of one shape go together
        for i, (p, g, _) in enumerate(todo):
            if workers == 1 or i % workers == dist.get_rank():    # workers share this, the slow part
                m = g.reshape(g.shape[1], -1) if g.dim() == 5 else g.reshape(g.shape[0], -1)
                alike.setdefault(m.shape, []).append((i, m))
        for shape, found in alike.items():
            made = orthogonal(torch.stack([m for _, m in found])) * max(shape) ** 0.5
            for (i, _), m in zip(found, made):
                moves[i] = m.reshape(todo[i][0].shape)
        if workers > 1:
            flat = torch.cat([u.flatten() for u in moves])
            dist.all_reduce(flat)
            moves = [u.view_as(p) for u, (p, _, _) in zip(flat.split([p.numel() for p, _, _ in todo]), todo)]
        for u, (p, _, lr) in zip(moves, todo):
            p.add_(u, alpha=-lr)
