//! What the ears cost: one hop of sound at usual rates. A hop lasts 5.3 ms.
#![expect(
    missing_docs,
    reason = "criterion_group makes an undocumented function"
)]

use std::hint::black_box;

use bendwave::audio::Analyzer;
use criterion::{Criterion, criterion_group, criterion_main};

fn hops(criterion: &mut Criterion) {
    let track = xtask::demo_track::render(24.0).expect("24 s are allowed");
    for sample_rate in [48_000, 192_000] {
        let mut analyzer = Analyzer::new(sample_rate, 2).expect("the rate is allowed");
        let hop_samples = 2 * (analyzer.hop_secs() * f64::from(sample_rate)).round() as usize;
        let mut chunks = track.samples.chunks_exact(hop_samples).cycle();
        criterion.bench_function(&format!("one hop, stereo, {sample_rate} Hz"), |bencher| {
            bencher.iter(|| {
                if let Some(chunk) = chunks.next() {
                    analyzer.push(black_box(chunk), |snapshot| {
                        black_box(snapshot);
                    });
                }
            });
        });
    }
}

criterion_group!(benches, hops);
criterion_main!(benches);
