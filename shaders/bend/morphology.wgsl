// Extremes over a disc. Twin: `bend::cpu::morphology`.
// #include shared/feature_map.wgsl

// Half-widths, plus one, of the discs `dy` rows from their middle; 0 when there is no such row.
// One function each: a table passed by value would be copied for every row.
fn outer_reach(dy: u32) -> i32 {
    return i32(extractBits(bend.outer_rows[dy / 16u][dy / 4u % 4u], dy % 4u * 8u, 8u));
}

fn inner_reach(dy: u32) -> i32 {
    return i32(extractBits(bend.inner_rows[dy / 16u][dy / 4u % 4u], dy % 4u * 8u, 8u));
}

// Highest (sign 1) or lowest (−1) value within the disc, positions outside ignored. Between two
// whole radii, the blend of both.
@compute @workgroup_size(8, 8)
fn extremum(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let start = plane_start(id.z);
    let i = start + id.y * bend.size.x + id.x;
    let x = src[i];
    let radius = i32(bend.radius);
    let here = vec2<i32>(id.xy);
    let last = vec2<i32>(bend.size) - 1;
    var inner = x * bend.sign;
    var outer = inner;
    for (var row = max(here.y - radius, 0); row <= min(here.y + radius, last.y); row++) {
        let dy = u32(abs(row - here.y));
        let wide = outer_reach(dy) - 1;
        // −1 in rows that the inner disc lacks: nothing is closer than that.
        let narrow = inner_reach(dy) - 1;
        let line = start + u32(row) * bend.size.x;
        for (var col = max(here.x - wide, 0); col <= min(here.x + wide, last.x); col++) {
            let value = src[line + u32(col)] * bend.sign;
            outer = max(outer, value);
            if abs(col - here.x) <= narrow {
                inner = max(inner, value);
            }
        }
    }
    let result = fade(inner * bend.sign, outer * bend.sign, bend.blend);
    dst[i] = fade(x, result, bend.amount);
}
