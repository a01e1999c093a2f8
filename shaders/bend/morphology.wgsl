// Extremes over a disc. Twin: `bend::cpu::morphology`.
//
// A disc is a stack of runs, one for each row. Small discs are taken run by run, four pixels of a
// column at a time. For large ones, each row is first turned into levels: extremes of runs of 2, 4, 8, …
// values. Two of them, which overlap, cover a run of any length, so a disc of radius r costs
// 2 (2r + 1) reads a pixel instead of about 3 r². Extremes do not depend on the order.
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

// What no value loses against, in terms of the highest value.
const FAR: f32 = -0x1p+127f;

// Value at column `x` of a row, times `sign`.
fn value_at(line: u32, x: i32) -> f32 {
    let width = i32(bend.size.x);
    if x >= 0 && x < width {
        return src[line + u32(x)] * bend.sign;
    }
    switch bend.border {
        case ZERO: {
            return 0.0;
        }
        case WRAP: {
            return src[line + u32(place(x, width))] * bend.sign;
        }
        default: {
            return FAR;
        }
    }
}

fn outer_reaches(dy: vec4<u32>) -> vec4<i32> {
    return vec4(outer_reach(dy.x), outer_reach(dy.y), outer_reach(dy.z), outer_reach(dy.w)) - 1;
}

fn inner_reaches(dy: vec4<u32>) -> vec4<i32> {
    return vec4(inner_reach(dy.x), inner_reach(dy.y), inner_reach(dy.z), inner_reach(dy.w)) - 1;
}

// Highest (sign 1) or lowest (−1) value within the disc. Between two whole radii, the blend of both.
// For radii up to `bend::prepare::DIRECT_RADIUS`, four pixels of a column together: a row's runs grow
// from their middle, and each pixel takes the one of its own width on the way.
@compute @workgroup_size(16, 4)
fn extremum(@builtin(global_invocation_id) id: vec3<u32>) {
    let top = id.y * 4u;
    if outside(vec2(id.x, top)) {
        return;
    }
    let start = plane_start(id.z);
    let size = vec2<i32>(bend.size);
    let x = i32(id.x);
    let rows = vec4<i32>(i32(top)) + vec4(0, 1, 2, 3);
    let radius = i32(bend.radius);
    let blends = bend.blend < 1.0;
    let whole_rows = select(0, radius, counts_outside());
    var outer = vec4(FAR);
    var inner = vec4(FAR);
    let first = max(rows.x - radius, -whole_rows);
    let last = min(rows.w + radius, size.y - 1 + whole_rows);
    for (var row = first; row <= last; row++) {
        let dy = vec4<u32>(abs(vec4(row) - rows));
        let wide = outer_reaches(dy);
        let narrow = select(vec4(-1), inner_reaches(dy), blends);
        let widest = max(max(wide.x, wide.y), max(wide.z, wide.w));
        let from_row = place(row, size.y);
        if from_row < 0 {
            outer = select(outer, max(outer, vec4(0.0)), wide >= vec4(0));
            inner = select(inner, max(inner, vec4(0.0)), narrow >= vec4(0));
            continue;
        }
        let line = start + u32(from_row) * bend.size.x;
        var run = value_at(line, x);
        outer = select(outer, max(outer, vec4(run)), wide == vec4(0));
        inner = select(inner, max(inner, vec4(run)), narrow == vec4(0));
        for (var w = 1; w <= widest; w++) {
            run = max(run, max(value_at(line, x - w), value_at(line, x + w)));
            outer = select(outer, max(outer, vec4(run)), wide == vec4(w));
            inner = select(inner, max(inner, vec4(run)), narrow == vec4(w));
        }
    }
    for (var i = 0u; i < 4u && top + i < bend.size.y; i++) {
        finish(start, vec2(id.x, top + i), inner[i], outer[i]);
    }
}

fn finish(start: u32, pixel: vec2<u32>, inner: f32, outer: f32) {
    let i = start + pixel.y * bend.size.x + pixel.x;
    let result = fade(inner * bend.sign, outer * bend.sign, bend.blend);
    dst[i] = fade(src[i], result, weight(pixel));
}

// Where level `level` of a job's rows starts in `scratch`. Level 0 is the map itself.
fn level_start(job: u32, level: u32) -> u32 {
    return (job * bend.levels + level - 1u) * bend.size.x * bend.size.y;
}

// Column `x` of a row, as levels are read: on beyond the edge, or at the edge.
fn along(x: u32) -> u32 {
    if bend.border == WRAP {
        return x % bend.size.x;
    }
    return min(x, bend.size.x - 1u);
}

fn level_value(job: u32, line: u32, x: u32) -> f32 {
    if bend.level == 0u {
        return src[plane_start(job) + line + x] * bend.sign;
    }
    return scratch[level_start(job, bend.level) + line + x];
}

// Two more levels from level `bend.level`. A level's value at x is the extreme of the run that begins
// there.
@compute @workgroup_size(16, 8)
fn levels(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let line = id.y * bend.size.x;
    let run = 1u << bend.level;
    let a = level_value(id.z, line, id.x);
    let b = level_value(id.z, line, along(id.x + run));
    let c = level_value(id.z, line, along(id.x + 2u * run));
    let d = level_value(id.z, line, along(id.x + 3u * run));
    let two = max(a, b);
    let at = level_start(id.z, bend.level + 1u) + line + id.x;
    scratch[at] = two;
    scratch[at + bend.size.x * bend.size.y] = max(two, max(c, d));
}

// Extreme of a row from `x − half` to `x + half`, from the levels. `line` is where the row starts in a
// plane, `start` where the plane starts in `src`.
fn run_extreme(job: u32, start: u32, line: u32, x: i32, half: i32) -> f32 {
    let width = i32(bend.size.x);
    var first = x - half;
    var last = x + half;
    var best = FAR;
    if bend.border == WRAP {
        // Levels go round: their runs may begin anywhere.
        let level = firstLeadingBit(u32(last - first + 1));
        last = last + 1 - (1 << level);
        let a = u32(place(first, width));
        let b = u32(place(last, width));
        if level == 0u {
            return src[start + line + a] * bend.sign;
        }
        let from_level = level_start(job, level) + line;
        return max(scratch[from_level + a], scratch[from_level + b]);
    }
    if bend.border == ZERO && (first < 0 || last >= width) {
        best = 0.0;
    }
    first = max(first, 0);
    last = min(last, width - 1);
    let level = firstLeadingBit(u32(last - first + 1));
    last = last + 1 - (1 << level);
    if level == 0u {
        return max(best, src[start + line + u32(first)] * bend.sign);
    }
    let from_level = level_start(job, level) + line;
    return max(best, max(scratch[from_level + u32(first)], scratch[from_level + u32(last)]));
}

// The same as `extremum`, from the levels.
@compute @workgroup_size(16, 8)
fn disc(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let start = plane_start(id.z);
    let size = vec2<i32>(bend.size);
    let here = vec2<i32>(id.xy);
    let radius = i32(bend.radius);
    let blends = bend.blend < 1.0;
    let whole_rows = select(0, radius, counts_outside());
    let first = max(here.y - radius, -whole_rows);
    let last = min(here.y + radius, size.y - 1 + whole_rows);
    var outer = FAR;
    var inner = FAR;
    for (var row = first; row <= last; row++) {
        let dy = u32(abs(row - here.y));
        let wide = outer_reach(dy) - 1;
        let narrow = inner_reach(dy) - 1;
        let from_row = place(row, size.y);
        if from_row < 0 {
            outer = max(outer, 0.0);
            if narrow >= 0 {
                inner = max(inner, 0.0);
            }
            continue;
        }
        let line = u32(from_row) * bend.size.x;
        outer = max(outer, run_extreme(id.z, start, line, here.x, wide));
        if blends && narrow >= 0 {
            inner = max(inner, run_extreme(id.z, start, line, here.x, narrow));
        }
    }
    finish(start, id.xy, inner, outer);
}
