// Gaussian mean in two passes. Twin: `bend::cpu::blur`.
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
    if outside(id.xy) {
        return;
    }
    let line = plane_start(id.z) + id.y * bend.size.x;
    let x = i32(id.x);
    var sum = src[line + id.x] * tap(0u);
    for (var d = 1u; d <= bend.radius; d++) {
        sum += (across(line, x - i32(d)) + across(line, x + i32(d))) * tap(d);
    }
    dst[line + id.x] = sum;
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
@compute @workgroup_size(8, 8)
fn blur_columns(@builtin(global_invocation_id) id: vec3<u32>) {
    if outside(id.xy) {
        return;
    }
    let line = plane_start(id.z) + id.x;
    let y = i32(id.y);
    var sum = src[line + id.y * bend.size.x] * tap(0u);
    for (var d = 1u; d <= bend.radius; d++) {
        sum += (down(line, y - i32(d)) + down(line, y + i32(d))) * tap(d);
    }
    let i = line + id.y * bend.size.x;
    let x = dst[i];
    var result = sum;
    if bend.multiply != 1.0 {
        result = clamp(x + (sum - x) * bend.multiply, -LIMIT, LIMIT);
    }
    dst[i] = fade(x, result, weight(id.xy));
}
