//! The module order of the crate docs holds.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn rank(module: &str) -> Option<usize> {
    bendwave::MODULE_ORDER
        .iter()
        .position(|row| row.contains(&module))
}

/// Modules that `text` names after `crate::`, braces included.
fn used_modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split("crate::").skip(1) {
        let list = part.strip_prefix('{').map_or_else(
            || part.to_owned(),
            |inside| inside.split("};").next().unwrap_or_default().to_owned(),
        );
        let heads: Vec<&str> = if part.starts_with('{') {
            list.split(',').collect()
        } else {
            vec![list.as_str()]
        };
        for head in heads {
            let name: String = head
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if rank(&name).is_some() {
                found.push(name);
            }
        }
    }
    found
}

fn violations(module: &str, text: &str) -> Vec<String> {
    used_modules(text)
        .into_iter()
        .filter(|used| used != module && rank(used) >= rank(module))
        .collect()
}

#[test]
fn modules_use_only_those_before_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap();
        let module = module.strip_suffix(".rs").unwrap_or(module);
        if module == "lib" || module == "main" {
            continue;
        }
        assert!(rank(module).is_some(), "{module} is not in MODULE_ORDER");
        for used in violations(module, &fs::read_to_string(&file).unwrap()) {
            wrong.push(format!("{}: {module} uses {used}", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    assert_eq!(violations("bend", "use crate::engine::Engine;"), ["engine"]);
    assert_eq!(
        violations("bend", "use crate::{tensor::MapShape, scene::Scene};"),
        ["scene"]
    );
    assert_eq!(
        violations("bend", "use crate::generator::Generator;"),
        ["generator"]
    );
    assert!(violations("engine", "use crate::bend::Bend; use crate::engine::x;").is_empty());
}
