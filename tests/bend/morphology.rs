//! Erosion and dilation at every radius, against the plain definition.

use super::{Bender, apply, bend, bits, gpu, random_maps, shape};
use bendwave::bend::Border;
use bendwave::bend::border::BORDERS;
use bendwave::tensor::{ChannelSet, MapShape};

/// The definition: for each pixel, all positions of the disc.
fn dilated(map: &[f32], size: MapShape, radius: i32, border: Border) -> Vec<f32> {
    let (w, h) = (size.width as i32, size.height as i32);
    let ignored = matches!(border, Border::Reflect | Border::Replicate);
    let mut out = Vec::with_capacity(map.len());
    for y in 0..h {
        for x in 0..w {
            let mut best = f32::MIN;
            for dy in -radius..=radius {
                let half = f64::from(radius * radius - dy * dy)
                    .sqrt()
                    .round_ties_even() as i32;
                for dx in -half..=half {
                    let (px, py) = (x + dx, y + dy);
                    let inside = (0..w).contains(&px) && (0..h).contains(&py);
                    let value = match (border.place(px, w), border.place(py, h)) {
                        _ if ignored && !inside => continue,
                        (Some(px), Some(py)) => map[py * size.width + px],
                        _ => 0.0,
                    };
                    best = best.max(value);
                }
            }
            out.push(best);
        }
    }
    out
}

#[test]
fn discs_of_every_size_are_exact() {
    let mut benders = vec![Bender::cpu()];
    benders.extend(gpu().map(|gpu| Bender::gpu(gpu).unwrap()));
    for size in [shape(1, 23, 19), shape(1, 70, 90)] {
        let map = random_maps(size, 12);
        let negated: Vec<f32> = map.iter().map(|x| -x).collect();
        for radius in [0, 1, 2, 3, 5, 8, 13, 20, 32] {
            for (name, border) in BORDERS {
                let want = dilated(&map, size, radius, *border);
                for bender in &mut benders {
                    let mut dilate = bend("dilate", &[radius as f32], ChannelSet::all(1));
                    dilate.border = *border;
                    let got = apply(bender, &map, size, &[dilate]);
                    assert_eq!(bits(&got), bits(&want), "{radius} {name}");
                    let mut erode = bend("erode", &[radius as f32], ChannelSet::all(1));
                    erode.border = *border;
                    let got = apply(bender, &negated, size, &[erode]);
                    let got: Vec<f32> = got.iter().map(|x| -x).collect();
                    // −0 and 0 are the same here.
                    assert_eq!(got, want, "{radius} {name}");
                }
            }
        }
    }
}

#[test]
fn an_outside_that_repeats_the_inside_changes_nothing() {
    // Why reflect and replicate are the same as ignoring the outside: here with the maps extended.
    let size = shape(1, 9, 11);
    let map = random_maps(size, 2);
    for border in [Border::Reflect, Border::Replicate] {
        for radius in [1, 3, 8] {
            let (w, h) = (11, 9);
            let wide = shape(1, 9 + 2 * radius, 11 + 2 * radius);
            let mut extended = Vec::new();
            for y in 0..wide.height as i32 {
                for x in 0..wide.width as i32 {
                    let px = border.place(x - radius as i32, w).unwrap();
                    let py = border.place(y - radius as i32, h).unwrap();
                    extended.push(map[py * 11 + px]);
                }
            }
            let far = dilated(&extended, wide, radius as i32, Border::Replicate);
            let near = dilated(&map, size, radius as i32, border);
            for y in 0..9 {
                let line = (y + radius) * wide.width + radius;
                assert_eq!(far[line..line + 11], near[y * 11..][..11]);
            }
        }
    }
}
