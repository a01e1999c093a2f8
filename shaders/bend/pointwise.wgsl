// Value by value. Twin: `bend::cpu::pointwise`.
// #include shared/feature_map.wgsl

@compute @workgroup_size(8, 8)
fn linear(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let i = plane_start(id.z) + id.y * bend.size.x + id.x;
    let x = src[i];
    let result = clamp(x * bend.multiply + bend.add, -LIMIT, LIMIT);
    dst[i] = fade(x, result, weight(id.xy));
}

// From 0 to 1 about `threshold`: in one step (`multiply` 0) or smoothly.
@compute @workgroup_size(8, 8)
fn threshold(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let i = plane_start(id.z) + id.y * bend.size.x + id.x;
    let x = src[i];
    var result = select(0.0, 1.0, x >= bend.threshold);
    if bend.multiply != 0.0 {
        result = smooth_rise((x - bend.threshold) * bend.multiply + 0.5);
    }
    dst[i] = fade(x, result, weight(id.xy));
}

fn nearest(t: f32, steps: f32, inverse: f32) -> f32 {
    if steps == 0.0 {
        return 0.5;
    }
    return round(t * steps) * inverse;
}

// The nearest of `matrix[0] + 1` levels, blended with the nearest of `matrix[1] + 1`.
@compute @workgroup_size(8, 8)
fn posterise(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let i = plane_start(id.z) + id.y * bend.size.x + id.x;
    let x = src[i];
    let t = clamp((x - bend.threshold) * bend.multiply, 0.0, 1.0);
    let low = nearest(t, bend.matrix.x, bend.matrix.z);
    let high = nearest(t, bend.matrix.y, bend.matrix.w);
    let result = bend.threshold + fade(low, high, bend.blend) * bend.add;
    dst[i] = fade(x, result, weight(id.xy));
}

// `partner · multiply + x · add`. The job's second word is the partner's slot; its highest bit says
// that the partner is in the other buffer, where nothing is written to it in this dispatch.
@compute @workgroup_size(8, 8)
fn mix_in(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let pixel = id.y * bend.size.x + id.x;
    let i = plane_start(id.z) + pixel;
    let x = src[i];
    let word = job_word(id.z);
    let other = (word & 0x7fffffffu) * bend.size.x * bend.size.y + pixel;
    var partner: f32;
    if (word >> 31u) == 1u {
        partner = dst[other];
    } else {
        partner = src[other];
    }
    let result = clamp(partner * bend.multiply + x * bend.add, -LIMIT, LIMIT);
    dst[i] = fade(x, result, weight(id.xy));
}
