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
}

@group(0) @binding(0) var<uniform> bend: Bend;
@group(0) @binding(1) var<storage, read> jobs: array<u32>;
@group(0) @binding(2) var<storage, read> src: array<f32>;
@group(0) @binding(3) var<storage, read_write> dst: array<f32>;

// Index of the first value of the plane that this invocation works on.
fn plane_start(job: u32) -> u32 {
    return jobs[bend.first_job + job] * bend.size.x * bend.size.y;
}

// Whether the invocation lies beyond the map: maps need not be multiples of a workgroup's size.
fn outside(pixel: vec2<u32>) -> bool {
    return any(pixel >= bend.size);
}

// The input at `amount` 0, the result at 1, exactly at both ends.
fn fade(input: f32, result: f32, amount: f32) -> f32 {
    if amount >= 1.0 {
        return result;
    }
    return input + (result - input) * amount;
}
