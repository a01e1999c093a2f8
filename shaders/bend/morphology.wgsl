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

// Whether positions outside count. Where the outside repeats what is inside, a disc reaches nothing
// that it does not reach anyway.
fn counts_outside() -> bool {
    return bend.border == ZERO || bend.border == WRAP;
}

// Highest (sign 1) or lowest (−1) value within the disc. Between two whole radii, the blend of both.
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
    let size = vec2<i32>(bend.size);
    let beyond = select(0, radius, counts_outside());
    var inner = x * bend.sign;
    var outer = inner;
    for (var row = max(here.y - radius, -beyond); row <= min(here.y + radius, size.y - 1 + beyond); row++) {
        let dy = u32(abs(row - here.y));
        let wide = outer_reach(dy) - 1;
        // −1 in rows that the inner disc lacks: nothing is closer than that.
        let narrow = inner_reach(dy) - 1;
        let from_row = place(row, size.y);
        let line = start + u32(max(from_row, 0)) * bend.size.x;
        for (var col = max(here.x - wide, -beyond); col <= min(here.x + wide, size.x - 1 + beyond); col++) {
            let from_col = place(col, size.x);
            var value = 0.0;
            if from_row >= 0 && from_col >= 0 {
                value = src[line + u32(from_col)] * bend.sign;
            }
            outer = max(outer, value);
            if abs(col - here.x) <= narrow {
                inner = max(inner, value);
            }
        }
    }
    let result = fade(inner * bend.sign, outer * bend.sign, bend.blend);
    dst[i] = fade(x, result, weight(id.xy));
}
