// Pixels move, values are interpolated. Twin: `bend::cpu::affine`.
// #include shared/feature_map.wgsl

// Reverses columns, rows.
@compute @workgroup_size(8, 8)
fn flip(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let start = plane_start(id.z);
    let mirrored = select(id.xy, bend.size - 1u - id.xy, bend.mirror == vec2(1u));
    let i = start + id.y * bend.size.x + id.x;
    dst[i] = fade(src[i], src[start + mirrored.y * bend.size.x + mirrored.x], weight(id.xy));
}

// Brings a coordinate to where an i32 holds it and everything is decided by the border.
fn hold(s: f32, len: f32) -> f32 {
    var period = 0.0;
    if bend.border == REFLECT {
        period = 2.0 * len;
    } else if bend.border == WRAP {
        period = len;
    }
    var held = s;
    if period > 0.0 {
        held = s - floor(s * (1.0 / period)) * period;
    }
    return clamp(held, -2.0, max(len, period) + 1.0);
}

// Where a pixel is read: `matrix · (pixel − centre) + offset`.
fn source(pixel: vec2<u32>) -> vec2<f32> {
    let d = vec2<f32>(pixel) - bend.centre;
    let s = bend.matrix.xz * d.x + bend.matrix.yw * d.y + bend.offset;
    return vec2(hold(s.x, f32(bend.size.x)), hold(s.y, f32(bend.size.y)));
}

// Offset in a plane of the value at (x, y); −1 for a 0 outside.
fn offset_at(x: i32, y: i32) -> i32 {
    let column = place(x, i32(bend.size.x));
    let row = place(y, i32(bend.size.y));
    if column < 0 || row < 0 {
        return -1;
    }
    return row * i32(bend.size.x) + column;
}

fn src_at(start: u32, x: i32, y: i32) -> f32 {
    let offset = offset_at(x, y);
    if offset < 0 {
        return 0.0;
    }
    return src[start + u32(offset)];
}

fn memory_at(start: u32, x: i32, y: i32) -> f32 {
    let offset = offset_at(x, y);
    if offset < 0 {
        return 0.0;
    }
    return memory[start + u32(offset)];
}

// Of the values at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1).
fn bilinear(corners: vec4<f32>, f: vec2<f32>) -> f32 {
    let top = corners.x * (1.0 - f.x) + corners.y * f.x;
    let low = corners.z * (1.0 - f.x) + corners.w * f.x;
    return top * (1.0 - f.y) + low * f.y;
}

@compute @workgroup_size(8, 8)
fn warp(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let start = plane_start(id.z);
    let s = source(id.xy);
    let corner = floor(s);
    let x = i32(corner.x);
    let y = i32(corner.y);
    let corners = vec4(
        src_at(start, x, y),
        src_at(start, x + 1, y),
        src_at(start, x, y + 1),
        src_at(start, x + 1, y + 1),
    );
    let i = start + id.y * bend.size.x + id.x;
    dst[i] = fade(src[i], bilinear(corners, s - corner), weight(id.xy));
}

// `x + (y − x) · multiply` with y the warped frame before; x itself when there was none. The job's
// second word is the channel's place among the planes in memory.
@compute @workgroup_size(8, 8)
fn feedback(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let pixel = id.y * bend.size.x + id.x;
    let i = plane_start(id.z) + pixel;
    let plane = job_word(id.z) * bend.size.x * bend.size.y;
    let here = src[i];
    var result = here;
    if bend.fresh == 0u {
        let start = bend.before + plane;
        let s = source(id.xy);
        let corner = floor(s);
        let x = i32(corner.x);
        let y = i32(corner.y);
        let corners = vec4(
            memory_at(start, x, y),
            memory_at(start, x + 1, y),
            memory_at(start, x, y + 1),
            memory_at(start, x + 1, y + 1),
        );
        result = fade(here, bilinear(corners, s - corner), bend.multiply);
    }
    let out = fade(here, result, weight(id.xy));
    memory[bend.after + plane + pixel] = out;
    dst[i] = out;
}
