//! Training, with small networks. Needs the feature `train`.
#![cfg(feature = "train")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bendwave_metric::train::{Operations, Settings, Trainer};
use bendwave_metric::{EMBEDDING, Scratch};

const SETTINGS: Settings = Settings {
    side: 16,
    features: 3,
    batch: 24,
    seed: 5,
};

/// Maps whose feature shows in where a stripe is.
fn batch(step: u32, side: usize) -> (Vec<f32>, Vec<u32>) {
    let mut state = step.wrapping_mul(747_796_405).wrapping_add(1);
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let labels: Vec<u32> = (0..24).map(|i| i % 3).collect();
    let mut maps = Vec::new();
    for &label in &labels {
        for at in 0..side * side {
            let stripe = at / side == 3 + 4 * label as usize;
            maps.push(f32::from(u8::from(stripe)) + 0.5 * noise());
        }
    }
    (maps, labels)
}

/// Largest difference between all numbers of two trained networks, relative to the largest.
fn difference(a: &Trainer, b: &Trainer) -> f32 {
    let numbers = |trainer: &Trainer| {
        let parts = trainer.network().unwrap().parts().clone();
        let mut all = [parts.stem, parts.stem_moments.mean, parts.neck].concat();
        for (weights, moments) in parts.units {
            all.extend(weights);
            all.extend(moments.into_iter().flat_map(|m| m.variance));
        }
        all
    };
    let (a, b) = (numbers(a), numbers(b));
    let most = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let pairs = a.iter().zip(&b);
    pairs.map(|(a, b)| (a - b).abs() / most).fold(0.0, f32::max)
}

#[test]
fn our_operations_train_as_burns_own_do() {
    for side in [4, 16] {
        let settings = Settings { side, ..SETTINGS };
        let mut own = Trainer::with(settings, Operations::Own);
        let mut plain = Trainer::with(settings, Operations::Plain);
        let mut other = Trainer::with(settings, Operations::Plain);
        for step in 0..4 {
            let (maps, labels) = batch(step, side);
            let a = own.step(&maps, &labels, 1e-3).unwrap();
            let b = plain.step(&maps, &labels, 1e-3).unwrap();
            assert!((a - b).abs() < 1e-4, "side {side}, step {step}: {a}, {b}");
            let turned: Vec<u32> = labels.iter().map(|label| (label + 1) % 3).collect();
            other.step(&maps, &turned, 1e-3).unwrap();
        }
        // Adam's first steps go by a gradient's sign, so a gradient near 0 may differ by whole steps.
        let (same, not) = (difference(&own, &plain), difference(&own, &other));
        assert!(same < 1e-3, "side {side}: {same}");
        assert!(not > 3.0 * same.max(1e-3), "side {side}: {not}");
    }
}

#[test]
fn stripes_are_learned_and_a_stopped_training_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let mut trainer = Trainer::new(SETTINGS);
    let mut last = 0.0;
    for step in 0..40 {
        if step == 20 {
            trainer.save(&path, "a note").unwrap();
        }
        let (maps, labels) = batch(step, 16);
        last = trainer.step(&maps, &labels, 2e-3).unwrap();
    }
    assert!(last < 0.3, "{last}");
    let (mut again, note) = Trainer::load(SETTINGS, &path).unwrap();
    assert_eq!((again.steps(), note.as_str()), (20, "a note"));
    for step in 20..40 {
        let (maps, labels) = batch(step, 16);
        again.step(&maps, &labels, 2e-3).unwrap();
    }
    assert_eq!(difference(&trainer, &again), 0.0);

    // On maps that it has not seen, with the running moments.
    let (maps, labels) = batch(1000, 16);
    let mut embeddings = vec![0.0; labels.len() * EMBEDDING];
    let network = trainer.network().unwrap();
    network.embed(&maps, &mut embeddings, &mut Scratch::default());
    let classifier = trainer.classifier();
    let right = labels
        .iter()
        .zip(embeddings.chunks_exact(EMBEDDING))
        .filter(|(label, embedding)| classifier.feature(embedding) == **label as usize)
        .count();
    assert!(right >= 22, "{right} of 24");

    std::fs::write(&path, "nonsense").unwrap();
    assert!(Trainer::load(SETTINGS, &path).is_err());
}

#[test]
#[ignore = "a table of docs/clusters.md"]
fn speed_table() {
    println!("| maps | batch | burn's own operations, maps a second | ours |\n|---|---|---|---|");
    for (side, batch) in [(8, 500), (16, 500), (32, 500), (64, 200)] {
        let settings = Settings {
            side,
            features: 64,
            batch,
            seed: 1,
        };
        let maps: Vec<f32> = (0..batch * side * side)
            .map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0)
            .collect();
        let labels: Vec<u32> = (0..batch as u32).map(|i| i % 64).collect();
        let speed = |operations: Operations, steps: u32| {
            let mut trainer = Trainer::with(settings, operations);
            trainer.step(&maps, &labels, 1e-4).unwrap();
            let started = std::time::Instant::now();
            for _ in 0..steps {
                trainer.step(&maps, &labels, 1e-4).unwrap();
            }
            f64::from(steps) * batch as f64 / started.elapsed().as_secs_f64()
        };
        let plain = speed(Operations::Plain, 1);
        let own = speed(Operations::Own, 4);
        println!("| {side}×{side} | {batch} | {plain:.0} | {own:.0} |");
    }
}
