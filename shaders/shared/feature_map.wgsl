// Feature maps, channel lists and the parameters of a bend.
//
// Maps lie plane by plane, row by row. A dispatch covers the columns (x) and rows (y) of a map and
// the list of planes that it bends (z); it reads `src` and writes the same planes of `dst`.
// Values are finite: they were cleaned on the way in (see `bend::cpu::clean`).

// Mirrors `bend::uniform::BendUniform`, where the fields are explained.
struct Bend {
    size: vec2<u32>,
    first_job: u32,
    amount: f32,
    matrix: vec4<f32>,
    centre: vec2<f32>,
    offset: vec2<f32>,
    multiply: f32,
    add: f32,
    threshold: f32,
    blend: f32,
    mirror: vec2<u32>,
    radius: u32,
    sign: f32,
    outer_rows: array<vec4<u32>, 3>,
    inner_rows: array<vec4<u32>, 3>,
    border: u32,
    first_tap: u32,
    field: u32,
    seed: u32,
    before: u32,
    after: u32,
    fresh: u32,
    mask: u32,
    mask_at: vec2<f32>,
    mask_axis: vec2<f32>,
    mask_edge: f32,
    mask_slope: f32,
    mask_invert: f32,
    painting: u32,
    level: u32,
    levels: u32,
    padding: vec2<u32>,
}

@group(0) @binding(0) var<uniform> bend: Bend;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read> src: array<f32>;
@group(0) @binding(3) var<storage, read_write> dst: array<f32>;
@group(0) @binding(4) var<storage, read_write> memory: array<f32>;
@group(0) @binding(5) var<storage, read_write> scratch: array<f32>;

// `bend::cpu::LIMIT`, 2⁹⁶.
const LIMIT: f32 = 0x1p+96f;

// Places in `bend::border::BORDERS`.
const ZERO: u32 = 0u;
const REFLECT: u32 = 1u;
const REPLICATE: u32 = 2u;
const WRAP: u32 = 3u;

// Index of the first value of the plane that this invocation works on.
fn plane_start(job: u32) -> u32 {
    return lists[bend.first_job + job * 2u] * bend.size.x * bend.size.y;
}

// The job's second word, which each kernel explains.
fn job_word(job: u32) -> u32 {
    return lists[bend.first_job + job * 2u + 1u];
}

// Whether the invocation lies beyond the map: maps need not be multiples of a workgroup's size.
fn outside(pixel: vec2<u32>) -> bool {
    return any(pixel >= bend.size);
}

// Where position `x` of a row of `len` values is read; −1 for a 0 outside.
fn place(x: i32, len: i32) -> i32 {
    if x >= 0 && x < len {
        return x;
    }
    switch bend.border {
        case REFLECT: {
            let period = 2 * len;
            let m = ((x % period) + period) % period;
            return min(m, period - 1 - m);
        }
        case REPLICATE: {
            return clamp(x, 0, len - 1);
        }
        case WRAP: {
            return ((x % len) + len) % len;
        }
        default: {
            return -1;
        }
    }
}

// The input at `amount` 0, the result at 1, exactly at both ends.
fn fade(input: f32, result: f32, amount: f32) -> f32 {
    if amount >= 1.0 {
        return result;
    }
    if amount <= 0.0 {
        return input;
    }
    return input + (result - input) * amount;
}

// 0 below 0, 1 above 1, smooth between.
fn smooth_rise(t: f32) -> f32 {
    let s = clamp(t, 0.0, 1.0);
    return s * s * (3.0 - 2.0 * s);
}

fn painted(x: i32, y: i32) -> f32 {
    let size = vec2<i32>(bend.size);
    if x < 0 || y < 0 || x >= size.x || y >= size.y {
        return 0.0;
    }
    return memory[bend.painting + u32(y * size.x + x)];
}

// Bilinear sample of the painting, 0 around it.
fn picture(d: vec2<f32>) -> f32 {
    let size = vec2<f32>(bend.size);
    let s = clamp(d * bend.mask_slope + (size * 0.5 - 0.5), vec2(-2.0), size + 1.0);
    let corner = floor(s);
    let f = s - corner;
    let x = i32(corner.x);
    let y = i32(corner.y);
    let top = painted(x, y) * (1.0 - f.x) + painted(x + 1, y) * f.x;
    let low = painted(x, y + 1) * (1.0 - f.x) + painted(x + 1, y + 1) * f.x;
    return top * (1.0 - f.y) + low * f.y;
}

// `amount` times the mask's weight of a pixel.
fn weight(pixel: vec2<u32>) -> f32 {
    if bend.mask == 0u {
        return bend.amount;
    }
    let d = vec2<f32>(pixel) + 0.5 - bend.mask_at;
    var inside: f32;
    if bend.mask == 1u {
        inside = smooth_rise((bend.mask_edge - sqrt(d.x * d.x + d.y * d.y)) * bend.mask_slope);
    } else if bend.mask == 2u {
        inside = smooth_rise((d.x * bend.mask_axis.x + d.y * bend.mask_axis.y) * bend.mask_slope + 0.5);
    } else {
        inside = picture(d);
    }
    return bend.amount * (inside + (1.0 - 2.0 * inside) * bend.mask_invert);
}
