//! Every WGSL file compiles, and every bend shader has its twin.

use bendwave::bend::{SHADERS, kernel::PASSES};
use bendwave::gpu::shader::{SHARED, assemble};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn wgsl_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            wgsl_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "wgsl") {
            out.push(path);
        }
    }
}

/// Stems of the files of a folder with this extension, without `mod`.
fn stems(dir: &str, extension: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(dir))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|stem| stem != "mod")
        .collect()
}

pub(crate) fn parse(source: &str) -> Result<naga::Module, String> {
    let source = assemble(source).map_err(|e| e.to_string())?;
    let module = naga::front::wgsl::parse_str(&source).map_err(|e| e.emit_to_string(&source))?;
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::empty(),
    )
    .validate(&module)
    .map_err(|e| e.emit_to_string(&source))?;
    Ok(module)
}

#[test]
fn every_shader_is_valid() {
    let mut files = Vec::new();
    wgsl_files(&root().join("shaders"), &mut files);
    assert!(files.len() >= 4);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        if let Err(error) = parse(&text) {
            panic!("{}:\n{error}", file.display());
        }
    }
}

#[test]
fn a_broken_shader_is_found() {
    assert!(parse("fn f() -> f32 { return 1u; }").is_err());
    assert!(parse("// #include shared/nothing.wgsl").is_err());
}

#[test]
fn shaders_and_twins_come_in_pairs() {
    let shaders = stems("shaders/bend", "wgsl");
    let mut twins = stems("src/bend/cpu", "rs");
    // What all shaders share is in shaders/shared.
    assert!(twins.remove("weight"));
    assert_eq!(shaders, twins);
    let embedded: BTreeSet<String> = SHADERS.iter().map(|(stem, _)| (*stem).to_owned()).collect();
    assert_eq!(shaders, embedded);
    let shared: BTreeSet<String> = SHARED.iter().map(|(path, _)| (*path).to_owned()).collect();
    let files: BTreeSet<String> = stems("shaders/shared", "wgsl")
        .into_iter()
        .map(|stem| format!("shared/{stem}.wgsl"))
        .collect();
    assert_eq!(shared, files);
}

#[test]
fn entry_points_and_passes_come_in_pairs() {
    let passes: BTreeSet<(&str, &str)> = PASSES.iter().map(|p| (p.stem, p.entry)).collect();
    assert_eq!(passes.len(), PASSES.len());
    let modules: Vec<(&str, naga::Module)> = SHADERS
        .iter()
        .map(|(stem, text)| (*stem, parse(text).unwrap()))
        .collect();
    let entries: BTreeSet<(&str, &str)> = modules
        .iter()
        .flat_map(|(stem, module)| {
            module
                .entry_points
                .iter()
                .map(|entry| (*stem, entry.name.as_str()))
        })
        .collect();
    assert_eq!(passes, entries);
    for (stem, module) in &modules {
        for entry in &module.entry_points {
            let pass = PASSES.iter().find(|p| p.entry == entry.name).unwrap();
            let [wide, high] = pass.group;
            assert_eq!(
                entry.workgroup_size,
                [wide, high, 1],
                "{stem}: {}",
                entry.name
            );
        }
    }
}
