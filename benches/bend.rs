//! Cost of bends: each transform on 64 maps of 64², on the adapter at hand and through its twin.

use bendwave::bend::{Bend, Bender, FrameTime, TRANSFORMS};
use bendwave::gpu::{AdapterChoice, Gpu};
use bendwave::tensor::{ChannelSet, FeatureMaps, MapShape};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::sync::Arc;

const SHAPE: MapShape = MapShape {
    channels: 64,
    height: 64,
    width: 64,
};

/// A setting as a performer would have it.
fn params(name: &str) -> &'static [f32] {
    match name {
        "scalar-multiply" => &[1.5],
        "translate" => &[0.23, -0.11],
        "scale" => &[1.3],
        "rotate" => &[30.0],
        "erode" | "dilate" => &[2.0],
        "noise" | "sharpen" => &[1.0],
        "shear" | "feedback" => &[0.5],
        "affine" => &[1.2, 0.1, 0.0, -0.1, 0.9, 0.0],
        _ => &[],
    }
}

#[expect(clippy::print_stderr, reason = "a bench is a command")]
pub(crate) fn bench(criterion: &mut Criterion) {
    let mut benders = vec![Bender::cpu()];
    match Gpu::new(&AdapterChoice::Auto) {
        Ok(gpu) => benders.push(Bender::gpu(Arc::new(gpu)).expect("the adapter can bend")),
        Err(error) => eprintln!("bend: CPU only: {error}"),
    }
    let mut group = criterion.benchmark_group("bend");
    group.throughput(Throughput::Bytes(SHAPE.len() as u64 * 4));
    for bender in &mut benders {
        for transform in TRANSFORMS {
            let values = transform.resolve(params(transform.name)).expect("fits");
            let mut bend = Bend::new(transform, ChannelSet::all(SHAPE.channels), values);
            bend.partners = ChannelSet::random(SHAPE.channels, 0.5, 1);
            let bends = [bend];
            let mut time = FrameTime::default();
            let mut data: Vec<f32> = (0..SHAPE.len()).map(|i| (i as f32).sin()).collect();
            let id = BenchmarkId::new(transform.name, bender.name());
            group.bench_function(id, |b| {
                b.iter(|| {
                    let mut maps = FeatureMaps::Host {
                        data: &mut data,
                        shape: SHAPE,
                    };
                    time.index += 1;
                    bender.apply(&mut maps, &bends, time).expect("bends");
                });
            });
        }
    }
    // What a submission costs however little it does.
    for bender in &mut benders {
        let values = TRANSFORMS[0].resolve(&[]).expect("fits");
        let bends = [Bend::new(&TRANSFORMS[0], ChannelSet::all(1), values)];
        let mut data = [0.0; 16];
        let shape = MapShape {
            channels: 1,
            height: 4,
            width: 4,
        };
        let id = BenchmarkId::new("one map of 4x4", bender.name());
        group.bench_function(id, |b| {
            b.iter(|| {
                let mut maps = FeatureMaps::Host {
                    data: &mut data,
                    shape,
                };
                bender
                    .apply(&mut maps, &bends, FrameTime::default())
                    .expect("bends");
            });
        });
    }
    group.finish();
}
