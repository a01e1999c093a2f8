// Draws the picture into the viewport, which is its place in the window.
//
// The picture's bytes are display-referred sRGB. At 1:1 they pass unchanged. Enlarging works on
// them as they are (as video players do: in linear light the kernel's overshoot shows as dark
// rims); shrinking averages in linear light, so that fine patterns keep their brightness.

struct Params {
    // Top left corner of the viewport, pixels of the window.
    origin: vec2<f32>,
    // Pixels of the picture per pixel of the window.
    step: vec2<f32>,
    // Columns and rows of the picture.
    size: vec2<i32>,
}

// 0: fetch, 1: bilinear, 2: Catmull-Rom, 3: area. See `Filter`. A constant of each pipeline, for an
// adapter without branches (a software one) would compute all four for every pixel.
override filter_kind: u32 = 0u;
// Whether the window's format applies the sRGB curve on writing.
override linear_target: bool = false;

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var linear_sampler: sampler;
@group(0) @binding(2) var<uniform> params: Params;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    // One triangle over all of the viewport.
    let x = f32(index & 1u) * 4.0 - 1.0;
    let y = f32(index >> 1u) * 4.0 - 1.0;
    return vec4<f32>(x, y, 0.0, 1.0);
}

fn texel(at: vec2<i32>) -> vec3<f32> {
    let inside = clamp(at, vec2<i32>(0), params.size - 1);
    return textureLoad(picture, inside, 0).rgb;
}

fn to_linear(c: vec3<f32>) -> vec3<f32> {
    let low = c / 12.92;
    let high = pow((c + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, c <= vec3<f32>(0.04045));
}

fn to_srgb(c: vec3<f32>) -> vec3<f32> {
    let low = c * 12.92;
    let high = 1.055 * pow(c, vec3<f32>(1.0 / 2.4)) - 0.055;
    return select(high, low, c <= vec3<f32>(0.0031308));
}

// Weights of the four texels around a point `t` of the way from the second to the third.
fn catmull_rom_weights(t: f32) -> vec4<f32> {
    let t2 = t * t;
    let t3 = t2 * t;
    return vec4<f32>(
        -0.5 * t3 + t2 - 0.5 * t,
        1.5 * t3 - 2.5 * t2 + 1.0,
        -1.5 * t3 + 2.0 * t2 + 0.5 * t,
        0.5 * t3 - 0.5 * t2,
    );
}

fn catmull_rom(at: vec2<f32>) -> vec3<f32> {
    let corner_at = floor(at - 0.5);
    let t = at - 0.5 - corner_at;
    let base = vec2<i32>(corner_at);
    let wx = catmull_rom_weights(t.x);
    let wy = catmull_rom_weights(t.y);
    var sum = vec3<f32>(0.0);
    var low = vec3<f32>(1.0);
    var high = vec3<f32>(0.0);
    for (var y = 0; y < 4; y++) {
        var row = vec3<f32>(0.0);
        for (var x = 0; x < 4; x++) {
            let c = texel(base + vec2<i32>(x - 1, y - 1));
            row += c * wx[x];
            if (x == 1 || x == 2) && (y == 1 || y == 2) {
                low = min(low, c);
                high = max(high, c);
            }
        }
        sum += row * wy[y];
    }
    // Sharp, but never brighter or darker than the texels around: no rings at edges.
    return clamp(sum, low, high);
}

fn area(at: vec2<f32>) -> vec3<f32> {
    let begin = at - params.step * 0.5;
    let end = at + params.step * 0.5;
    let first = vec2<i32>(floor(begin));
    // A window 16 times smaller than the picture is no performance: the loop stays bounded.
    let last = min(vec2<i32>(ceil(end)) - 1, first + 16);
    var sum = vec3<f32>(0.0);
    var weight = 0.0;
    for (var y = first.y; y <= last.y; y++) {
        let cover_y = min(end.y, f32(y + 1)) - max(begin.y, f32(y));
        for (var x = first.x; x <= last.x; x++) {
            let cover = cover_y * (min(end.x, f32(x + 1)) - max(begin.x, f32(x)));
            sum += to_linear(texel(vec2<i32>(x, y))) * cover;
            weight += cover;
        }
    }
    return to_srgb(sum / weight);
}

@fragment
fn shade(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    // Centre of this pixel, in texels.
    let at = (position.xy - params.origin) * params.step;
    var color: vec3<f32>;
    switch filter_kind {
        case 1u: {
            let uv = at / vec2<f32>(params.size);
            color = textureSampleLevel(picture, linear_sampler, uv, 0.0).rgb;
        }
        case 2u: {
            color = catmull_rom(at);
        }
        case 3u: {
            color = area(at);
        }
        default: {
            color = texel(vec2<i32>(floor(at)));
        }
    }
    if linear_target {
        color = to_linear(color);
    }
    return vec4<f32>(color, 1.0);
}
