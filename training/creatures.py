"""The training pictures: glowing creatures, drawn from dice.

A picture is a pure function of a latent `z` (128 normal numbers, the same kind
of vector the network takes), so drawing N and generated picture N of the same
seed share one throw of the dice. All shapes are signed distances, evaluated
over the whole batch in torch, on whatever device `z` lives on.

    from creatures import draw, latents
    rgb, masks = draw(latents(range(16)), 256, masks=True)   # [16,3,256,256] in [-1,1], [16,6,256,256]

Every creature is built from the same parts, the mask channels in `PARTS`.
"""

import math

import numpy as np
import torch

Z_DIM = 128
N_DICE = 64
PARTS = ("background", "rim", "body", "spots", "mouth", "eyes")

# Die number of each trait; a hue takes two dice, x and y, because it is an angle.
TRAITS = (
    "hue_x", "hue_y", "rim_x", "rim_y", "accent_x", "accent_y", "tip_x", "tip_y",
    "tone_body", "chroma_body", "chroma_rim", "backdrop",
    "aura", "petals_b", "sheen", "size", "stretch", "egg", "pinch",
    "triangle", "square", "bands", "band_count", "edge_light", "petals_a", "petal_len", "petal_width",
    "petal_base", "petal_tip", "mane", "wings", "stripes", "vein", "droop",
    "back_len", "back_width", "back_tip", "back_light", "eye_gap", "eye_height", "eye_size", "eye_stretch",
    "iris", "pupil", "slit", "lid", "lid_tilt", "gaze_x", "gaze_y", "sclera",
    "mouth_y", "mouth_width", "smile", "mouth_open", "cheeks", "cheek_pos", "gem", "beads",
    "crown", "crown_radius", "crown_spread", "antenna", "antenna_spread", "lift",
)
assert len(TRAITS) == N_DICE
_INDEX = {name: i for i, name in enumerate(TRAITS)}


def latents(seeds, device="cpu"):
    """The latents of the given seeds, one per row, as the instrument draws them."""
    rows = [np.random.RandomState(int(s)).randn(1, Z_DIM).astype(np.float32) for s in seeds]
    return torch.from_numpy(np.concatenate(rows)).to(device)


def dice(z):
    """128 latent numbers -> 64 dice, standard normal. Two latent axes turn each die,
    and only the direction of z counts, exactly as in the network's first layer."""
    z = z * torch.rsqrt((z * z).mean(1, keepdim=True) + 1e-8)
    return (z[:, :N_DICE] + z[:, N_DICE:]) * math.sqrt(0.5)


def _lch(l, c, h):
    """OKLCH -> linear sRGB, tensors [B] -> [B,3]; colours out of gamut are clipped."""
    a, b = c * torch.cos(h), c * torch.sin(h)
    l_ = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m_ = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s_ = (l - 0.0894841775 * a - 1.2914855480 * b) ** 3
    rgb = torch.stack((4.0767416621 * l_ - 3.3077115913 * m_ + 0.2309699292 * s_,
                       -1.2684380046 * l_ + 2.6097574011 * m_ - 0.3413193965 * s_,
                       -0.0041960863 * l_ - 0.7034186147 * m_ + 1.7076147010 * s_), 1)
    return rgb.clamp(0.0, 1.5)


def _petal(u, v, length, width, base, tip):
    """One petal along v, of half width width·t^base·(1-t)^tip with peak 1: its signed distance,
    the place t along it, and a plainer distance, smooth far away, for glows."""
    t = (v / length).clamp(0.0, 1.0)
    peak = base / (base + tip)
    norm = peak ** base * (1 - peak) ** tip
    profile = (t + 1e-4) ** base * (1.0001 - t) ** tip / norm
    stem = 0.22 * (1.0 - t) + 0.06
    profile = torch.maximum(profile, stem * (t < 1).to(t.dtype))
    slope = width / length * profile * (base / (t + 0.02) - tip / (1.02 - t))
    ends = (v - length).clamp_min(0.0) + (-v).clamp_min(0.0) * 2.0
    d = u.abs() - width * profile
    return d * torch.rsqrt(1 + slope.clamp(-5, 5) ** 2) + ends, t, d + ends


def traits(z):
    """The named traits of each latent, uniform in [0,1] (hues as angles), tensors [B]."""
    normal = dice(z)
    uniform = 0.5 * (1.0 + torch.erf(normal * math.sqrt(0.5)))
    found = {name: uniform[:, i] for name, i in _INDEX.items()}
    d = {name: normal[:, i] for name, i in _INDEX.items()}
    found["hue_body"] = torch.atan2(d["hue_y"], d["hue_x"])
    found["hue_rim"] = torch.atan2(d["rim_y"], d["rim_x"])
    found["hue_tip"] = torch.atan2(d["rim_y"] + 0.9 * d["tip_y"], d["rim_x"] + 0.9 * d["tip_x"])
    found["hue_accent"] = torch.atan2(d["accent_y"] - 0.6 * d["hue_y"], d["accent_x"] - 0.6 * d["hue_x"])
    return found


@torch.no_grad()
def draw(z, size, masks=False, window=None):
    """Pictures [B,3,size,size] in [-1,1] of the latents z [B,128]; with masks=True also
    [B,6,size,size] in [0,1], one channel for each of PARTS, summing to 1. With a window
    (tops, lefts, side), in pixels, only that square of each picture."""
    work = max(size, 32)
    pictures = _draw(z, work, masks, window)
    if work != size:
        pool = work // size
        pictures = tuple(p if p is None else torch.nn.functional.avg_pool2d(p, pool) for p in pictures)
    return pictures if masks else pictures[0]


def _draw(z, size, want_masks, window=None):
    p = traits(z.float())
    v4 = lambda t: t[:, None, None]                        # per-picture number, over the canvas
    at = lambda name, lo, hi: v4(lo + (hi - lo) * p[name])
    some = lambda name, gate, hi: v4(((p[name] - gate).clamp_min(0.0) / (1 - gate)) * hi)  # often zero
    dev = z.device
    tops, lefts, side = window or ([0], [0], size)
    line_of = lambda starts: ((torch.tensor(starts, device=dev)[:, None] + torch.arange(side, device=dev) + 0.5)
                              / size * 2 - 1)
    x = line_of(lefts)[:, None, :]
    y = -line_of(tops)[:, :, None]
    x, y = x.expand(-1, y.shape[1], -1), y.expand(-1, -1, x.shape[2])
    y = y - at("lift", -0.05, 0.05)
    aa = max(1.6 * 2.0 / size, 0.013)
    fill = lambda d: (0.5 - d / aa).clamp(0.0, 1.0)
    line = lambda d, w: (1.0 - d.abs() / (w + 0.5 * aa)).clamp(0.0, 1.0)

    # --- palette -----------------------------------------------------------------
    hue, hue_rim, hue_tip, hue_acc = p["hue_body"], p["hue_rim"], p["hue_tip"], p["hue_accent"]
    tone = 0.36 + 0.24 * p["tone_body"]
    cb = 0.14 + 0.14 * p["chroma_body"]
    cr = 0.17 + 0.13 * p["chroma_rim"]
    # yellow lives brighter than blue, or it turns to mud
    col = lambda l, c, h: _lch(l + 0.07 * torch.cos(h - 1.85), c, h)[:, :, None, None]
    one = torch.ones_like(hue)
    body_mid, body_out = col(tone + 0.16, cb, hue), col(tone - 0.08, cb, hue + 0.35)
    body_edge = col(0.84 * one, 0.7 * cb, hue - 0.25)
    rim_in, rim_out = col(0.42 * one, cr, hue_rim), col(0.76 * one, cr * 0.9, hue_tip)
    rim_line = col(0.90 * one, 0.5 * cr, hue_tip)
    back_in, back_out = col(0.22 * one, 0.8 * cr, hue_rim - 0.3), col(0.52 * one, cr, hue_tip + 0.45)
    accent, accent_hi = col(0.74 * one, 0.17 * one, hue_acc), col(0.93 * one, 0.08 * one, hue_acc)
    glow = col(0.62 * one, cr, hue_tip)
    deep = col(0.30 * one, 0.08 * one, hue)

    # --- polar frame; the angle runs from the top, the same on both sides -----------
    r = torch.sqrt(x * x + y * y + 1e-6)
    ct = y / r
    size0 = at("size", 0.32, 0.49)
    # harmonics of the outline, as Chebyshev polynomials of cos(angle)
    h1, h2, h3, h4 = at("egg", -0.13, 0.13), at("pinch", -0.13, 0.13), at("triangle", -0.10, 0.10), at("square", -0.06, 0.06)
    outline = lambda c: size0 * (1 + h1 * c + h2 * (2 * c * c - 1) + h3 * (4 * c * c - 3) * c
                                 + h4 * (8 * c ** 4 - 8 * c * c + 1))
    stretch = at("stretch", 0.88, 1.16)                     # tall or wide
    rs = torch.sqrt((x * stretch) ** 2 + (y / stretch) ** 2 + 1e-6)
    body_r = outline((y / stretch) / rs)
    d_body = rs - body_r

    # --- rim: two layers of petals, tentacles, spikes, leaves -------------------------
    theta = torch.acos(ct.clamp(-1 + 1e-6, 1 - 1e-6))       # 0 top .. pi bottom
    out = (r - size0).clamp_min(0.0)
    theta = theta + at("droop", -0.6, 0.6) * out * torch.sin(theta)
    # 5, 7, 9 or 12 petals, by two dice; a few creatures are caught between two counts
    few, many = (((p[k] - 0.5) * 12 + 0.5).clamp(0, 1) for k in ("petals_a", "petals_b"))
    count = v4(5 + 2 * few + 4 * many + few * many)
    mane, wings = at("mane", -0.55, 0.55), at("wings", -0.34, 0.34)

    def layer(shift, len_frac, width_frac, base, tip):
        cell = theta * count / (2 * math.pi) + shift
        k = torch.round(cell)
        mid = (k - shift) * (2 * math.pi / count)
        ang = theta - mid
        cm = torch.cos(mid)
        root = 0.72 * outline(cm)
        room = 0.93 - root
        length = room * len_frac * (1 + mane * cm + wings * (2 * cm * cm - 1)).clamp(0.14, 1.3)
        length = torch.minimum(length, room)
        width = width_frac * (root + 0.45 * length) * math.pi / count
        return _petal(r * torch.sin(ang), r * torch.cos(ang) - root, length, width, base, tip) + (width,)

    base, tip = at("petal_base", 0.25, 2.6), at("petal_tip", 0.35, 1.3)
    d_back, t_back, g_back, _ = layer(0.5, at("back_len", 0.55, 1.05), at("back_width", 0.35, 1.0),
                              at("petal_base", 0.3, 1.0), at("back_tip", 0.5, 1.5))
    d_front, t_front, g_front, w_front = layer(0.0, at("petal_len", 0.5, 0.98), at("petal_width", 0.26, 1.0), base, tip)
    shade = (0.25 + 3.2 * d_body).clamp(0.25, 1.0)          # the body shades what lies behind it

    def over(img, alpha, colour):
        return img + alpha[:, None] * (colour - img)

    mix = lambda a, b, t: a + (b - a) * t[:, None]

    # --- backdrop --------------------------------------------------------------------
    silhouette = torch.minimum(torch.minimum(g_front, g_back), d_body)
    rays = 1 + 0.4 * torch.cos(theta * count) * (r * 1.6).clamp(0, 1)
    halo = torch.exp(-silhouette.clamp_min(0) * 7.0) * at("aura", 0.05, 0.30) * rays
    img = deep * (at("backdrop", 0.05, 0.34) * torch.exp(-1.3 * r * r))[:, None] + glow * halo[:, None]

    # --- back petals
    a_back = fill(d_back)
    back = mix(back_in, back_out, t_back * t_back) * at("back_light", 0.45, 1.1)[:, None]
    back = back + rim_line * (0.30 * line(d_back, 0.012))[:, None]
    img = over(img, a_back, back * shade[:, None])

    # --- front petals
    a_front = fill(d_front)
    stripe = 0.5 + 0.5 * torch.cos(2 * math.pi * t_front * 3.0)
    front = mix(rim_in, rim_out, t_front)
    front = front * (1 - at("stripes", 0.0, 0.75) * stripe)[:, None]
    across = (d_front / (w_front + 1e-3)).clamp(-1, 0)       # 0 at the edge
    front = front * (0.72 + 0.5 * (across + 1))[:, None]
    front = front + accent * (some("vein", 0.25, 0.8) * line(d_front + w_front * 0.75, 0.020) * (1 - t_front))[:, None]
    front = front + rim_line * (0.55 * line(d_front, 0.016) * (0.3 + t_front))[:, None]
    img = over(img, a_front, front * shade[:, None])

    # --- antennae (mirrored) and crown
    ax = x.abs()
    spread = at("antenna_spread", 0.10, 0.34)
    tall = some("antenna", 0.45, 1.0)
    top = outline(torch.ones_like(ct)) * stretch
    y0 = 0.86 * top
    y1 = y0 + tall * (0.90 - top)
    s = ((y - y0) / (y1 - y0 + 1e-3)).clamp(0, 1)
    d_stalk = (ax - (0.08 + spread * s * (1.6 - 0.6 * s))).abs() * 0.85 + ((y - y1).clamp_min(0) + (y0 - y).clamp_min(0)) * 1.5
    bulb_r = 0.055 * tall.clamp_max(0.6) / 0.6
    d_bulb = torch.sqrt((ax - 0.08 - spread) ** 2 + (y - y1) ** 2) - bulb_r
    on = (tall * 8).clamp(0, 1)
    a_ant = torch.maximum(fill(d_stalk - 0.013), fill(d_bulb)) * on
    img = img + accent * (0.5 * on * torch.exp(-d_bulb.clamp_min(0) * 22))[:, None]
    img = over(img, a_ant, mix(accent, accent_hi, fill(d_bulb + 0.35 * bulb_r)))

    # --- body
    a_body = fill(d_body)
    depth = (-d_body / size0).clamp(0, 1)
    bands = 0.5 + 0.5 * torch.cos(2 * math.pi * depth * at("band_count", 2.0, 5.0))
    skin = mix(body_out, body_mid, (depth * 1.7).clamp(0, 1))
    skin = skin * (1 - some("bands", 0.3, 0.55) * bands * (1 - depth * 1.2).clamp(0, 1))[:, None]
    skin = skin * (1 + at("sheen", 0.0, 0.55) * (y / size0).clamp(-1, 1))[:, None]
    skin = skin + body_edge * (at("edge_light", 0.15, 0.8) * (1 + d_body / 0.07).clamp(0, 1) ** 2)[:, None]
    img = over(img, a_body, skin)

    # --- spots: beads along the edge, cheeks, gem, crown
    ring = theta * count / math.pi                            # twice as many beads as petals
    ring_mid = torch.round(ring) * math.pi / count
    bead_at = 0.87
    bead_size = some("beads", 0.45, 1.0) * 0.30 * math.pi / count * size0
    bead_r = outline(torch.cos(ring_mid)) * bead_at
    d_bead = torch.sqrt(bead_r ** 2 + rs ** 2 - 2 * bead_r * rs * torch.cos(theta - ring_mid) + 1e-6) - bead_size
    cheek = some("cheeks", 0.35, 0.075) * size0 / 0.36
    cx, cy = size0 * at("cheek_pos", 0.60, 0.70), size0 * at("cheek_pos", -0.10, -0.42)
    d_cheek = torch.sqrt((ax - cx) ** 2 + (y - cy) ** 2 + 1e-6) - cheek
    d_cheek2 = torch.sqrt((ax - cx * 0.72) ** 2 + (y - cy + size0 * 0.24) ** 2 + 1e-6) - cheek * 0.55
    gem = some("gem", 0.4, 0.095) * size0 / 0.36
    d_gem = (ax * 1.3 + (y - 0.60 * top).abs() * 0.85) * 0.78 - gem
    c_arc = at("crown_spread", 0.16, 0.30)
    c_k = torch.round(theta / c_arc).clamp_max(2.0)
    c_rad = top * at("crown_radius", 1.16, 1.5)
    crown = some("crown", 0.4, 0.062) * (1 - 0.22 * c_k)
    d_crown = torch.sqrt(c_rad ** 2 + r ** 2 - 2 * c_rad * r * torch.cos(theta - c_k * c_arc) + 1e-6) - crown
    shown = lambda s, scale: (s * scale).clamp(0, 1)
    a_spots = torch.maximum(torch.maximum(fill(d_cheek) * shown(cheek, 60), fill(d_cheek2) * shown(cheek, 60)),
                            torch.maximum(fill(d_gem) * shown(gem, 60), fill(d_bead) * shown(bead_size, 120) * (r < 2).float()))
    a_crown = fill(d_crown) * shown(crown, 60)
    img = img + accent * (0.40 * shown(crown, 60) * torch.exp(-d_crown.clamp_min(0) * 24))[:, None]
    d_spot = torch.minimum(torch.minimum(d_cheek, d_cheek2), torch.minimum(d_gem, torch.minimum(d_bead, d_crown)))
    a_spots = torch.maximum(a_spots, a_crown)
    img = over(img, a_spots, mix(accent, accent_hi, (-d_spot / 0.05).clamp(0, 1)))

    # --- mouth: a lens between two parabolas, with a glowing lip
    my, mw = -size0 * at("mouth_y", 0.36, 0.56), size0 * at("mouth_width", 0.18, 0.46)
    q = (x / mw).clamp(-1.5, 1.5)
    bend = size0 * at("smile", -0.12, 0.26)
    gape = size0 * some("mouth_open", 0.3, 0.22) + 0.012
    centre = my - bend * (1 - q * q)
    opening = gape * (1 - q * q).clamp_min(0)
    d_mouth = (y - centre).abs() - opening
    d_mouth = torch.maximum(d_mouth, ax - mw) * 0.9
    a_mouth = fill(d_mouth - 0.022)
    dark = body_out * 0.10
    tongue = fill(torch.sqrt((x / 1.5) ** 2 + (y - centre + opening) ** 2 + 1e-6) - 0.6 * gape) * (gape * 14).clamp(0, 1)
    inside = over(dark + 0 * img, tongue, accent * 0.8)
    img = over(img, a_mouth, mix(accent_hi, inside, fill(d_mouth + 0.004)))

    # --- eyes
    er = size0 * at("eye_size", 0.24, 0.40)
    ex = er * 0.98 + size0 * at("eye_gap", 0.03, 0.18)
    ey = size0 * at("eye_height", -0.02, 0.28)
    es = at("eye_stretch", 0.86, 1.18)
    dx, dy = ax - ex, y - ey
    rr = torch.sqrt((dx * es) ** 2 + (dy / es) ** 2 + 1e-6)
    lid = er * (1.02 - some("lid", 0.35, 0.75)) + at("lid_tilt", -0.45, 0.45) * dx
    d_eye = torch.maximum(rr - er, dy - lid)
    gx, gy = er * at("gaze_x", -0.26, 0.26), er * at("gaze_y", -0.20, 0.20)
    side = torch.where(x < 0, -1.0, 1.0)
    ix, iy = dx * side - gx, dy - gy                         # dx·side: unmirrored, so both eyes look one way
    ir = er * at("iris", 0.52, 0.78)
    d_iris = torch.sqrt(ix * ix + iy * iy + 1e-6) - ir
    pr = ir * at("pupil", 0.34, 0.66)
    slit = 1 + some("slit", 0.45, 1.9)
    d_pupil = torch.sqrt((ix * slit) ** 2 + (iy / slit ** 0.35) ** 2 + 1e-6) - pr
    d_glint = torch.sqrt((ix + 0.38 * ir) ** 2 + (iy - 0.42 * ir) ** 2 + 1e-6) - 0.27 * ir
    d_glint2 = torch.sqrt((ix - 0.40 * ir) ** 2 + (iy + 0.40 * ir) ** 2 + 1e-6) - 0.13 * ir
    socket = torch.exp(-(d_eye.clamp_min(0) * 16))
    img = img * (1 - 0.62 * a_body * socket)[:, None]        # a dark socket, then a luminous eye
    a_eye = fill(d_eye)
    white = mix(accent_hi, torch.ones_like(accent_hi), at("sclera", 0.0, 0.9).expand_as(a_eye))
    white = white * (1.0 - 0.45 * (rr / er).clamp(0, 1) ** 3)[:, None]
    iris = mix(accent * 1.1, accent * 0.22, ((d_iris + ir) / ir).clamp(0, 1) ** 2)
    iris = iris * (1 - 0.5 * (0.5 + 0.5 * (iy / ir)).clamp(0, 1))[:, None]
    eye = over(white, fill(d_iris), iris)
    eye = over(eye, fill(d_pupil), iris * 0.04)
    eye = over(eye, torch.maximum(fill(d_glint), 0.7 * fill(d_glint2)), torch.ones_like(accent_hi))
    img = over(img, a_eye, eye)

    # --- light to picture: a soft shoulder, then gamma 2
    img = 1 - torch.exp(-1.55 * img)
    img = torch.sqrt(img.clamp_min(0) + 1e-6) * 2 - 1
    if not want_masks:
        return img.contiguous(), None
    a_rim = torch.maximum(torch.maximum(a_back, a_front), a_ant)
    stack = [torch.ones_like(a_body), a_rim, a_body, a_spots, a_mouth, a_eye]
    left, parts = torch.ones_like(a_body), []
    for alpha in reversed(stack):
        parts.append(left * alpha)
        left = left * (1 - alpha)
    return img.contiguous(), torch.stack(parts[::-1], 1)


def to_uint8(pictures):
    """[B,3,H,W] in [-1,1] -> uint8 array [B,H,W,3]."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def sheet(pictures, columns):
    """A contact sheet, uint8 array [H,W,3]."""
    tiles = to_uint8(pictures)
    n, h, w, _ = tiles.shape
    rows = -(-n // columns)
    page = np.zeros((rows * h, columns * w, 3), np.uint8)
    for i, tile in enumerate(tiles):
        r, c = divmod(i, columns)
        page[r * h:(r + 1) * h, c * w:(c + 1) * w] = tile
    return page


def main():
    import argparse
    from PIL import Image
    ap = argparse.ArgumentParser(description="draw a contact sheet of training pictures")
    ap.add_argument("out")
    ap.add_argument("--size", type=int, default=128)
    ap.add_argument("--count", type=int, default=64)
    ap.add_argument("--first-seed", type=int, default=0)
    ap.add_argument("--columns", type=int, default=8)
    ap.add_argument("--masks", action="store_true", help="draw the part masks instead, one colour a part")
    a = ap.parse_args()
    rgb, parts = draw(latents(range(a.first_seed, a.first_seed + a.count)), a.size, masks=True)
    if a.masks:
        key = torch.tensor([[0, 0, 0], [.2, .4, 1], [.1, .7, .3], [1, .8, .1], [1, .2, .3], [1, 1, 1]])
        rgb = torch.einsum("bphw,pc->bchw", parts, key) * 2 - 1
    Image.fromarray(sheet(rgb, a.columns)).save(a.out)


if __name__ == "__main__":
    main()
