//! What there is on this machine, and what `perform` says where there is no display.

use crate::support::program::{bendwave, text, tiny_model};

#[test]
fn without_a_display_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let output = bendwave()
        .args(["perform", "--model", text(&model), "--duration", "1"])
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("bendwave render"), "{said}");
}

#[test]
fn devices_are_listed_and_as_json() {
    let output = bendwave()
        .args(["devices", "--json"])
        .env_remove("DISPLAY")
        .output()
        .unwrap();
    assert!(output.status.success());
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in [
        "audio_inputs",
        "audio_outputs",
        "midi_ports",
        "gpu_adapters",
        "providers",
        "monitors",
    ] {
        assert!(all[key]["items"].is_array(), "{key}: {all}");
    }
    assert!(
        all["providers"]["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["name"] == "cpu")
    );
    let output = bendwave().arg("devices").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("ONNX Runtime providers"));
}
