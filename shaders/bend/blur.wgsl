// Gaussian mean in two passes. Twin: `bend::cpu::blur`.
//
// Each invocation makes four neighbours at once: from one distance to the next, both windows of four
// values move on by one, so that only one new value is read on each side.
// #include shared/feature_map.wgsl

fn tap(distance: u32) -> f32 {
    return bitcast<f32>(lists[bend.first_tap + distance]);
}

// Value at a column of the row that starts at `line`.
fn across(line: u32, x: i32) -> f32 {
    let column = place(x, i32(bend.size.x));
    if column < 0 {
        return 0.0;
    }
    return src[line + u32(column)];
}

@compute @workgroup_size(8, 8)
fn blur_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.x * 4u;
    if outside(vec2(first, id.y)) {
        return;
    }
    let line = plane_start(id.z) + id.y * bend.size.x;
    let x = i32(first);
    var left = vec4(across(line, x), across(line, x + 1), across(line, x + 2), across(line, x + 3));
    var right = left;
    var sum = left * tap(0u);
    for (var d = 1; d <= i32(bend.radius); d++) {
        left = vec4(across(line, x - d), left.xyz);
        right = vec4(right.yzw, across(line, x + 3 + d));
        sum += (left + right) * tap(u32(d));
    }
    for (var i = 0u; i < 4u && first + i < bend.size.x; i++) {
        dst[line + first + i] = sum[i];
    }
}

// Value at a row of the column that starts at `line`.
fn down(line: u32, y: i32) -> f32 {
    let row = place(y, i32(bend.size.y));
    if row < 0 {
        return 0.0;
    }
    return src[line + u32(row) * bend.size.x];
}

// Reads what the rows gave; `dst` still holds the map itself.
@compute @workgroup_size(16, 4)
fn blur_columns(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.y * 4u;
    if outside(vec2(id.x, first)) {
        return;
    }
    let line = plane_start(id.z) + id.x;
    let y = i32(first);
    var above = vec4(down(line, y), down(line, y + 1), down(line, y + 2), down(line, y + 3));
    var below = above;
    var sum = above * tap(0u);
    for (var d = 1; d <= i32(bend.radius); d++) {
        above = vec4(down(line, y - d), above.xyz);
        below = vec4(below.yzw, down(line, y + 3 + d));
        sum += (above + below) * tap(u32(d));
    }
    for (var i = 0u; i < 4u && first + i < bend.size.y; i++) {
        let at = line + (first + i) * bend.size.x;
        let x = dst[at];
        var result = sum[i];
        if bend.multiply != 1.0 {
            result = clamp(x + (result - x) * bend.multiply, -LIMIT, LIMIT);
        }
        dst[at] = fade(x, result, weight(vec2(id.x, first + i)));
    }
}
