//! `bendwave bench` measures all stages and writes what it prints.

use crate::support::program::{bendwave, succeed, text, tiny_model};

#[test]
fn every_stage_is_timed() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let json = dir.path().join("numbers.json");
    let output = succeed(&[
        "bench",
        "--model",
        text(&model),
        "--frames",
        "3",
        "--bend-on",
        "cpu",
        "--each-transform",
        "4x8,3x5",
        "--json",
        text(&json),
    ]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let stages = all["stages"].as_array().unwrap();
    for wanted in [
        "chain, no bends",
        "one fused session",
        "1 bend on the CPU",
        "3 bends on the CPU",
        "8 bends on the CPU",
        "of which the bends",
        "RGBA",
    ] {
        let stage = stages
            .iter()
            .find(|s| s["name"].as_str().unwrap().contains(wanted))
            .unwrap_or_else(|| panic!("{wanted}: {all}"));
        assert!(
            stage["p50_secs"].as_f64().unwrap() > 0.0
                && stage["p99_secs"].as_f64() >= stage["p50_secs"].as_f64()
        );
        assert!(printed.contains(wanted), "{printed}");
    }
    assert!(all["matrix_product_flops"].as_f64().unwrap() > 0.0);
    let alone = all["transforms"].as_array().unwrap();
    let per_size = bendwave::bend::TRANSFORMS.len() + 1;
    assert_eq!(alone.len(), 2 * per_size);
    for row in alone {
        assert!(row["of_copy"].as_f64().unwrap() > 0.0, "{row}");
    }
}

/// The plain copy on an adapter, and the transforms there.
#[test]
fn transforms_are_timed_on_the_gpu() {
    if std::env::var_os("BENDWAVE_SKIP_GPU_TESTS").is_some() {
        println!("skipped on request: bench on the GPU");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let arguments = [
        "bench",
        "--model",
        text(&model),
        "--frames",
        "1",
        "--bend-on",
        "gpu",
    ];
    let output = succeed(&[&arguments[..], &["--each-transform", "4x8"]].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("8 bends on the GPU") && printed.contains("rotate"),
        "{printed}"
    );
}

/// Each hop of a sound, without a model.
#[test]
fn the_ears_are_timed() {
    let dir = tempfile::tempdir().unwrap();
    let (sound, json) = (dir.path().join("tone.wav"), dir.path().join("ears.json"));
    let write = |frames: u32| {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&sound, spec).unwrap();
        for at in 0..frames {
            writer.write_sample((at % 100) as i16 * 100).unwrap();
        }
        writer.finalize().unwrap();
    };
    write(96_000);
    let output = succeed(&["bench", "--ears", text(&sound), "--json", text(&json)]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("175 hops of 5.33 ms"), "{printed}");
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let secs = |name: &str| told[name].as_f64().unwrap();
    assert!(0.0 < secs("p50_secs") && secs("p50_secs") <= secs("p99_secs"));
    assert!(secs("p99_secs") <= secs("longest_secs"));

    write(4_800);
    let refused = bendwave()
        .args(["bench", "--ears", text(&sound)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("too short to measure"),
        "{said}"
    );
}
