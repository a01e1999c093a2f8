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
    dst[i] = fade(src[i], src[start + mirrored.y * bend.size.x + mirrored.x], bend.amount);
}

// Value at a pixel, zero outside.
fn at(start: u32, x: i32, y: i32) -> f32 {
    if x < 0 || y < 0 || x >= i32(bend.size.x) || y >= i32(bend.size.y) {
        return 0.0;
    }
    return src[start + u32(y) * bend.size.x + u32(x)];
}

// Bilinear sample at `matrix · (pixel − centre) + offset`.
@compute @workgroup_size(8, 8)
fn warp(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let start = plane_start(id.z);
    let d = vec2<f32>(id.xy) - bend.centre;
    // Beyond the bounds everything is outside; within them coordinates fit an i32.
    let s = clamp(
        bend.matrix.xz * d.x + bend.matrix.yw * d.y + bend.offset,
        vec2(-2.0),
        vec2<f32>(bend.size) + 1.0,
    );
    let corner = floor(s);
    let f = s - corner;
    let x = i32(corner.x);
    let y = i32(corner.y);
    let top = at(start, x, y) * (1.0 - f.x) + at(start, x + 1, y) * f.x;
    let low = at(start, x, y + 1) * (1.0 - f.x) + at(start, x + 1, y + 1) * f.x;
    let result = top * (1.0 - f.y) + low * f.y;
    let i = start + id.y * bend.size.x + id.x;
    dst[i] = fade(src[i], result, bend.amount);
}
