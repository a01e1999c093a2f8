//! `bendwave devices`: what there is to perform with.

use crate::app::cli::DevicesArgs;
use crate::app::print;
use crate::generator::{Provider, Runtime};
use crate::{audio, gpu, midi, present};
use serde_json::json;

pub(crate) fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    let audio = audio::devices();
    let midi = midi::ports();
    let adapters = gpu::adapters();
    let monitors = present::monitors();
    let runtime = Runtime::load(args.ort_lib.as_deref());
    let providers: Vec<&str> = match &runtime {
        Ok(runtime) => Provider::ALL.into_iter().filter(|p| p.built_in(runtime)).map(Provider::name).collect(),
        Err(_) => Vec::new(),
    };
    let _ = (audio, midi, adapters, monitors, json!(null), providers, args.json);
    print("")
}
