"""Train the default model. Stop it whenever you like; the same command goes on from where it was.

    python training/train.py --run RUN_FOLDER [--state training/state/resume.pt]

One latent, two pictures: z throws the dice of the drawing program (creatures.py) and goes through
the generator. The losses are the classic adversarial ones (non-saturating, lazy R1, minibatch
standard deviation, an averaged copy of the weights) plus, because the twin is known, a pixel
difference to the drawn twin and a difference of discriminator features. The pair terms are what
makes a few CPU hours go a long way; the adversarial term keeps edges from going soft. Resolution
grows by the stages of recipe.json, which is read again at every start.
"""

import argparse
import copy
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent))
from creatures import Z_DIM, draw, latents, sheet  # noqa: E402
from network import Discriminator, Generator  # noqa: E402
from optimiser import Muon  # noqa: E402

# How much each part counts in the pixel term: background, rim, body, spots, mouth, eyes.
PART_WEIGHTS = (0.7, 1.0, 1.0, 2.0, 3.0, 3.5)


def stage_at(recipe, seen):
    """The stage that picture number `seen` falls in, and how many pictures into it."""
    for stage in recipe["stages"]:
        if seen < stage["pictures"]:
            return stage, seen
        seen -= stage["pictures"]
    last = recipe["stages"][-1]
    return last, last["pictures"] + seen


def pair_loss(fake, real, parts):
    """Weighted absolute difference at full, half and quarter size."""
    weight = sum(w * parts[:, i:i + 1] for i, w in enumerate(PART_WEIGHTS))
    diff = ((fake - real).abs() * weight).mean()
    for k in (2, 4):
        diff = diff + 0.5 * ((F.avg_pool2d(fake, k) - F.avg_pool2d(real, k)).abs() * F.avg_pool2d(weight, k)).mean()
    return diff


def average_gradients(params, flag=0.0):
    """The mean of the workers' gradients, in place; returns the sum of their flags."""
    if not dist.is_initialized():
        return flag
    grads = [p.grad for p in params if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads] + [grads[0].new_tensor([flag])])
    dist.all_reduce(flat)
    mean, at = flat / dist.get_world_size(), 0
    for g in grads:
        g.copy_(mean[at:at + g.numel()].view_as(g))
        at += g.numel()
    return float(flat[-1])


class Trainer:
    """One worker of one or more; all hold the same weights and see their own part of each batch."""

    def __init__(self, run, recipe, device, rank=0, workers=1):
        self.run, self.recipe, self.device = Path(run), recipe, device
        self.rank, self.workers = rank, workers
        self.asked, self.stop = False, False                 # to stop, by a signal; by all workers
        torch.manual_seed(recipe["seed"])
        self.g = Generator().to(device)
        self.d = Discriminator().to(device)
        self.ema = copy.deepcopy(self.g).eval().requires_grad_(False)
        large = lambda p: (p.dim() == 5 and p.shape[-1] == 3) or p.dim() == 2
        mapping = list(self.g.style.parameters())
        own = {id(p) for p in mapping}
        body = [p for p in self.g.parameters() if id(p) not in own]
        # A mapping layer's weights are stored 100 times larger than a convolution's.
        self.g_opt = torch.optim.Adam([{"params": [p for p in body if not large(p)]},
                                       {"params": [p for p in mapping if not large(p)], "gain": 60.0}],
                                      betas=(0.9, 0.99))
        self.m_opt = Muon([{"params": [p for p in body if large(p)]},
                           {"params": [p for p in mapping if large(p)], "gain": 100.0}])
        self.d_opt = torch.optim.Adam(self.d.parameters(), betas=(0.0, 0.99))
        self.step, self.seen, self.seconds, self.size = 0, 0, 0.0, None
        self.amp = device.type == "cuda"
        self.draw, self.synthesis, self.judge = draw, self.g.synthesis, self.d
        self.stage, self.anneal = None, 1.0                  # a stage set by hand and its first picture
        if self.amp:
            self.d.to(memory_format=torch.channels_last)

    def compile(self, what):
        """Fuses the drawing program, or it and both networks; the first steps of each size take long.
        R1 differentiates the discriminator twice, which compiled code cannot, so it stays plain there."""
        torch._dynamo.config.cache_size_limit = 64
        self.draw = torch.compile(draw, dynamic=False)
        if what == "all":
            self.synthesis = torch.compile(self.g.synthesis, dynamic=False)
            self.judge = torch.compile(self.d, dynamic=False)

    # --- state ---------------------------------------------------------------------
    def save(self):
        state = {"g": self.g.state_dict(), "d": self.d.state_dict(), "g_ema": self.ema.state_dict(),
                 "g_opt": self.g_opt.state_dict(), "m_opt": self.m_opt.state_dict(), "d_opt": self.d_opt.state_dict(),
                 "step": self.step, "seen": self.seen, "seconds": self.seconds, "size": self.size,
                 "recipe": self.recipe}
        part = self.run / "state.pt.part"
        torch.save(state, part)
        os.replace(part, self.run / "state.pt")

    def load(self, path):
        state = torch.load(path, map_location=self.device, weights_only=True)
        full = lambda tensors: {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        self.ema.load_state_dict(full(state["g_ema"]))
        self.g.load_state_dict(full(state.get("g", state["g_ema"])))
        self.d.load_state_dict(full(state["d"]))
        if "m_opt" in state:
            self.g_opt.load_state_dict(state["g_opt"])
            self.m_opt.load_state_dict(state["m_opt"])
            self.d_opt.load_state_dict(state["d_opt"])
        self.step, self.seen, self.seconds = state["step"], state["seen"], state["seconds"]
        self.size = state.get("size")

    # --- one step ------------------------------------------------------------------
    def train_step(self):
        stage, into = self.stage or stage_at(self.recipe, self.seen)
        if self.stage:
            into = self.seen - into
        size, batch, dev = self.size, _, _ = stage["size"], stage["batch"], self.device
        ease = min(1.0, (into + batch) / 1000)               # each stage starts gently
        ease *= self.anneal
        for group in self.g_opt.param_groups:
            group["lr"] = stage["lr"] * group.get("gain", 1.0) * ease
            group["betas"] = (stage["beta1"], 0.99)
        for group in self.m_opt.param_groups:
            group["lr"] = stage["lr_matrix"] * group.get("gain", 1.0) * ease
        for group in self.d_opt.param_groups:
            group["lr"] = stage["lr_d"]
        noise = torch.Generator(device="cpu").manual_seed(self.recipe["seed"] * 1_000_003 + self.step)
        z = torch.randn(batch, Z_DIM, generator=noise)[self.rank::self.workers].to(dev)
        window = None
        if side := stage.get("window"):                      # each picture's part, elsewhere each time
            step = size // stage["whole"]
            place = lambda: (torch.randint((size - side) // step + 1, (batch,), generator=noise)
                             [self.rank::self.workers] * step).tolist()
            window = place(), place(), side
        real, parts = self.draw(z, size, masks=True, window=window)
        # A tensor, so that its value is no reason to compile again.
        fade = torch.tensor(into / stage["fade"], device=dev) if into < stage["fade"] else None
        frozen = stage.get("frozen", False)                  # layers up to `whole` stay as they are
        half = lambda: torch.autocast(dev.type, torch.bfloat16, enabled=self.amp)
        with half():
            with torch.set_grad_enabled(not frozen):
                w = self.g.mapping(z)
            if window:
                fake, small = self.g.windows(w, size, *window, stage["whole"], frozen)
            else:
                fake = self.synthesis(w, size)
        fake = fake.float()
        log = {}
        adversarial = stage["adversarial"] > 0
        if adversarial:
            with half():
                real_score, real_feats = self.judge(real, fade)
                fake_score, _ = self.judge(fake.detach(), fade)
            d_loss = (F.softplus(-real_score) + F.softplus(fake_score)).mean()
            log["d"], log["score_gap"] = d_loss, (real_score - fake_score).mean()
            if self.step % self.recipe["r1_every"] == 0:
                x = real.detach().requires_grad_(True)
                score, _ = self.d(x, fade)
                grad, = torch.autograd.grad(score.sum(), x, create_graph=True)
                r1 = grad.square().sum((1, 2, 3)).mean()
                d_loss = d_loss + 0.5 * stage["r1"] * self.recipe["r1_every"] * r1
                log["r1"] = r1
            self.d_opt.zero_grad(set_to_none=True)
            d_loss.backward()
            average_gradients(self.d.parameters())
            self.d_opt.step()
        pairs = pair_loss(fake, real, parts)
        g_loss = stage["pairs"] * pairs
        log["pairs"] = pairs
        if stage.get("keeps"):                               # seen from afar it is the coarse picture
            keeps = (F.avg_pool2d(fake, fake.shape[-1] // small.shape[-1]) - small.float()).abs().mean()
            g_loss = g_loss + stage["keeps"] * keeps
            log["keeps"] = keeps
        if adversarial:
            self.d.requires_grad_(False)
            with half():
                score, feats = self.judge(fake, fade)
            tells = sum(F.l1_loss(a.float(), b.detach().float()) for a, b in zip(feats, real_feats)) / len(feats)
            fool = F.softplus(-score).mean()
            g_loss = g_loss + stage["features"] * tells + stage["adversarial"] * fool
            log["features"], log["g"] = tells, fool
        self.g.zero_grad(set_to_none=True)
        g_loss.backward()
        if adversarial:
            self.d.requires_grad_(True)
        self.stop = average_gradients(self.g.parameters(), float(self.asked)) > 0
        self.g_opt.step()
        self.m_opt.step()
        self.seen += batch
        self.step += 1
        with torch.no_grad():
            self.g.latent_avg.lerp_(w.detach().float().mean(0), 0.005)
            keep = 0.5 ** (batch / min(self.recipe["ema_half_life"], 0.05 * self.seen + 1))
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.g.parameters()), 1 - keep)
            self.ema.latent_avg.copy_(self.g.latent_avg)
        return size, log

    def picture(self, size):
        """Rows of drawn pictures, each above its generated twins."""
        from PIL import Image
        with torch.no_grad():
            z = latents(range(100, 132), self.device)
            real, fake = draw(z, size), self.ema(z, size, fixed_noise=True)
        rows = [t for r in range(0, 32, 8) for t in (real[r:r + 8], fake[r:r + 8])]
        page = Image.fromarray(sheet(torch.cat(rows), 8))
        scale = max(1, 96 // size)
        page = page.resize((page.width * scale, page.height * scale), Image.NEAREST)
        page.save(self.run / "twins.part.png")
        os.replace(self.run / "twins.part.png", self.run / "twins.png")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", required=True, help="folder of this run: state.pt, log.jsonl, twins.png")
    ap.add_argument("--state", help="a committed state to start from when the run folder has none")
    ap.add_argument("--recipe", default=str(Path(__file__).parent / "recipe.json"))
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--workers", type=int, default=1,
                    help="processes of one thread that share each batch, for a CPU busy with other work")
    ap.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    ap.add_argument("--meet", help=argparse.SUPPRESS)
    ap.add_argument("--threads", type=int, default=0)
    ap.add_argument("--compile", choices=("none", "draw", "all"), default="none", help="fuse with torch.compile: the drawing program, "
                    "or the networks too; pays on a GPU")
    ap.add_argument("--size", type=int, help="the recipe's stage of this size, however many pictures were seen")
    ap.add_argument("--anneal", type=float, default=0.0, help="let the learning rates fall over this last share of --minutes")
    ap.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    ap.add_argument("--steps", type=float, default=math.inf, help="stop after so many steps")
    ap.add_argument("--save-every", type=float, default=180.0, help="seconds between saves")
    a = ap.parse_args()
    others = []
    if a.workers > 1:
        torch.set_num_threads(1)
        if a.rank == 0:
            a.meet = tempfile.mktemp(prefix="bendwave-train-")
            others = [subprocess.Popen([sys.executable, *sys.argv, "--rank", str(r), "--meet", a.meet])
                      for r in range(1, a.workers)]
        dist.init_process_group("gloo", init_method=f"file://{a.meet}", rank=a.rank, world_size=a.workers)
    elif a.threads:
        torch.set_num_threads(a.threads)
    if a.device.startswith("cuda"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    run = Path(a.run)
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(run, json.loads(Path(a.recipe).read_text()), torch.device(a.device), a.rank, a.workers)
    start = run / "state.pt" if (run / "state.pt").exists() else a.state
    if a.compile != "none":
        trainer.compile(a.compile)
    if start:
        trainer.load(start)
        print(f"going on from {start} at {trainer.seen} pictures", flush=True)
    if a.size:
        stage = next(s for s in reversed(trainer.recipe["stages"]) if s["size"] == a.size)
        # A run that was at this size already has no new layers to fade in.
        trainer.stage = stage, trainer.seen if trainer.size != a.size else -10**9

    def interrupted(*_):
        trainer.asked = True

    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, interrupted)
    began = saved = told = time.monotonic()
    told_seen, sums, count, first = trainer.seen, {}, {}, trainer.step
    size = 16
    while not trainer.stop and trainer.step - first < a.steps:
        t = time.monotonic()
        gone = (t - began) / (a.minutes * 60)
        trainer.asked = trainer.asked or gone > 1
        if a.anneal:
            trainer.anneal = min(1.0, max(0.02, (1 - gone) / a.anneal))
        size, log = trainer.train_step()
        trainer.seconds += time.monotonic() - t
        for k, v in log.items():
            sums[k] = sums.get(k, 0.0) + v.detach()
            count[k] = count.get(k, 0) + 1
        if a.rank:
            continue
        now = time.monotonic()
        if now - told > 30:
            line = {k: round(float(sums[k]) / count[k], 4) for k in sums}
            line = {"time": time.strftime("%H:%M:%S", time.gmtime()), "seen": trainer.seen, "size": size,
                    "per_second": round((trainer.seen - told_seen) / (now - told), 1), **line}
            with open(run / "log.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            told, told_seen, sums, count = now, trainer.seen, {}, {}
        if now - saved > a.save_every:
            trainer.save()
            trainer.picture(size)
            saved = now
    if a.rank:
        return
    for other in others:
        other.wait()
    trainer.save()
    trainer.picture(size)
    print(f"saved at {trainer.seen} pictures", flush=True)


if __name__ == "__main__":
    main()
