// Value by value. Twin: `bend::cpu::pointwise`.
// #include shared/feature_map.wgsl

// `bend::cpu::LIMIT`, 2⁹⁶.
const LIMIT: f32 = 0x1p+96f;

@compute @workgroup_size(8, 8)
fn linear(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let i = plane_start(id.z) + id.y * bend.size.x + id.x;
    let x = src[i];
    let result = clamp(x * bend.multiply + bend.add, -LIMIT, LIMIT);
    dst[i] = fade(x, result, bend.amount);
}

@compute @workgroup_size(8, 8)
fn threshold(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let i = plane_start(id.z) + id.y * bend.size.x + id.x;
    let x = src[i];
    let result = select(0.0, 1.0, x >= bend.threshold);
    dst[i] = fade(x, result, bend.amount);
}
