// Noise from a hash of place, channel, seed and time. Twin: `bend::cpu::noise`.
// #include shared/feature_map.wgsl

// 1 / √((2³² − 1) / 3), the inverse of the standard deviation of the sum of four uniform numbers of
// 16 bits.
const SPREAD: f32 = 2.6428998e-5;

// `pcg3d` (Jarzynski, Olano: Hash Functions for GPU Rendering, JCGT 2020).
fn hash(key: vec3<u32>) -> vec2<u32> {
    var v = key * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3(16u);
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    return v.xy;
}

// Mean 0, variance 1, within ±3.47.
fn grain(pixel: u32, channel: u32, field: u32) -> f32 {
    let h = hash(vec3(pixel, channel + bend.seed * 0x9e3779b9u, field));
    let sum = (h.x & 0xffffu) + (h.x >> 16u) + (h.y & 0xffffu) + (h.y >> 16u);
    return f32(i32(sum) - 131070) * SPREAD;
}

// The job's second word is the channel.
@compute @workgroup_size(8, 8)
fn noise(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let pixel = id.y * bend.size.x + id.x;
    let i = plane_start(id.z) + pixel;
    let channel = job_word(id.z);
    let x = src[i];
    var sum = bend.multiply * grain(pixel, channel, bend.field);
    if bend.add != 0.0 {
        sum += bend.add * grain(pixel, channel, bend.field + 1u);
    }
    let result = clamp(x + sum, -LIMIT, LIMIT);
    dst[i] = fade(x, result, weight(id.xy));
}
