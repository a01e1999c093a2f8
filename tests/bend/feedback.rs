//! What bends remember between frames.

use super::{Bender, FrameTime, apply_at, bend, bits, gpu, greatest, random_maps, shape};
use bendwave::tensor::ChannelSet;

fn benders() -> Vec<Bender> {
    let gpu = gpu().map(|gpu| Bender::gpu(gpu).unwrap());
    [Some(Bender::cpu()), gpu].into_iter().flatten().collect()
}

fn at(index: u64, fps: f32) -> FrameTime {
    FrameTime {
        index,
        dt_secs: if index == 0 { 0.0 } else { 1.0 / fps },
    }
}

#[test]
fn feedback_follows_a_step_with_its_time_constant_at_any_frame_rate() {
    let size = shape(2, 5, 6);
    let (dark, bright) = (vec![0.0; 60], vec![1.0; 60]);
    for mut bender in benders() {
        for fps in [10, 30, 60] {
            let bends = [bend("feedback", &[0.5], ChannelSet::all(2))];
            bender.forget();
            apply_at(&mut bender, &dark, size, &bends, at(0, fps as f32));
            let mut out = Vec::new();
            for index in 1..=u64::from(fps as u32) / 2 {
                out = apply_at(&mut bender, &bright, size, &bends, at(index, fps as f32));
            }
            // After one time constant 1 − 1/e is done.
            let wanted = vec![1.0 - (-1.0f32).exp(); 60];
            assert!(greatest(&out, &wanted) < 1e-4, "{fps} fps: {}", out[0]);
        }
    }
}

#[test]
fn what_stays_moves_on() {
    // A dot, one pixel a frame to the right.
    let size = shape(1, 4, 8);
    let mut dot = vec![0.0; 32];
    dot[8] = 1.0;
    let nothing = vec![0.0; 32];
    for mut bender in benders() {
        bender.forget();
        let bends = [bend(
            "feedback",
            &[1e3, 1.0, 0.0, 1.25, 0.0],
            ChannelSet::all(1),
        )];
        apply_at(&mut bender, &dot, size, &bends, at(0, 10.0));
        for index in 1..4 {
            let out = apply_at(&mut bender, &nothing, size, &bends, at(index, 10.0));
            assert!(
                (out[8 + index as usize] - 1.0).abs() < 1e-3,
                "{index}: {out:?}"
            );
        }
    }
}

#[test]
fn a_pause_or_another_scene_begins_anew() {
    let size = shape(2, 4, 4);
    let (first, second) = (random_maps(size, 1), random_maps(size, 2));
    for mut bender in benders() {
        let on = [bend("feedback", &[2.0], ChannelSet::all(2))];
        let off = [bend(
            "feedback",
            &[2.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            ChannelSet::all(2),
        )];
        apply_at(&mut bender, &first, size, &on, at(0, 30.0));
        let kept = apply_at(&mut bender, &second, size, &on, at(1, 30.0));
        assert_ne!(bits(&kept), bits(&second));
        // Off for a frame: nothing is remembered over it.
        apply_at(&mut bender, &first, size, &off, at(2, 30.0));
        let fresh = apply_at(&mut bender, &second, size, &on, at(3, 30.0));
        assert_eq!(bits(&fresh), bits(&second));
        bender.forget();
        let fresh = apply_at(&mut bender, &first, size, &on, at(4, 30.0));
        assert_eq!(bits(&fresh), bits(&first));
    }
}

#[test]
fn bends_and_layers_remember_by_themselves() {
    let sizes = [shape(3, 8, 8), shape(2, 16, 16)];
    let maps: Vec<Vec<f32>> = sizes.iter().map(|s| random_maps(*s, 4)).collect();
    let mut all = Vec::new();
    for mut bender in benders() {
        let layers: Vec<Vec<_>> = (0..2)
            .map(|layer| {
                (0..2)
                    .map(|n| {
                        let channels = ChannelSet::from_indices([n, 1], 2).unwrap();
                        let mut bend = bend("feedback", &[0.3, 1.5, 20.0], channels);
                        bend.id = layer * 2 + n;
                        bend
                    })
                    .collect()
            })
            .collect();
        for (size, bends) in sizes.iter().zip(&layers) {
            bender.reserve(*size, bends).unwrap();
        }
        let mut out = Vec::new();
        for index in 0..4 {
            out.clear();
            for ((size, bends), map) in sizes.iter().zip(&layers).zip(&maps) {
                let map: Vec<f32> = map.iter().map(|x| x * (index as f32 - 1.5)).collect();
                out.extend(apply_at(&mut bender, &map, *size, bends, at(index, 20.0)));
            }
        }
        all.push(out);
    }
    if let [cpu, gpu] = all.as_slice() {
        assert!(greatest(cpu, gpu) < 1e-4, "{}", greatest(cpu, gpu));
    }
}

#[test]
fn noise_is_the_frames_own_and_the_seeds() {
    let size = shape(3, 8, 8);
    let input = vec![0.0; size.len()];
    for mut bender in benders() {
        let run = |bender: &mut Bender, seed, frames: u64, rate| {
            let mut bends = [bend("noise", &[1.0, rate], ChannelSet::all(3))];
            bends[0].seed = seed;
            bender.forget();
            let mut out = Vec::new();
            for index in 0..frames {
                out = apply_at(bender, &input, size, &bends, at(index, 10.0));
            }
            out
        };
        let once = run(&mut bender, 1, 7, 10.0);
        assert_eq!(bits(&once), bits(&run(&mut bender, 1, 7, 10.0)));
        assert_ne!(bits(&once), bits(&run(&mut bender, 2, 7, 10.0)));
        assert_ne!(bits(&once), bits(&run(&mut bender, 1, 6, 10.0)));
        // It stands still at rate 0, and between two noises it is a mixture of both.
        let still = run(&mut bender, 1, 1, 0.0);
        assert_eq!(bits(&still), bits(&run(&mut bender, 1, 9, 0.0)));
        let near = run(&mut bender, 1, 2, 0.01);
        assert!(greatest(&still, &near) < 0.02);
        assert_ne!(bits(&still[..64]), bits(&still[64..128]));
    }
}
