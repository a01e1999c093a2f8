//! WGSL sources with shared parts.
//!
//! A line `// #include shared/name.wgsl` is replaced by that file. Shared files include nothing.

/// Files of `shaders/shared/`, by the path that an include names.
pub const SHARED: &[(&str, &str)] = &[(
    "shared/feature_map.wgsl",
    include_str!("../../shaders/shared/feature_map.wgsl"),
)];

/// An include that names no shared file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: there is no `{path}` to include")]
pub struct IncludeError {
    /// Line of the include, from 1.
    pub line: usize,
    /// What it names.
    pub path: String,
}

/// The source with its includes filled in.
///
/// # Errors
/// When an include names no file of [`SHARED`].
pub fn assemble(source: &str) -> Result<String, IncludeError> {
    let mut whole = String::with_capacity(source.len() * 2);
    for (index, line) in source.lines().enumerate() {
        match line.strip_prefix("// #include ") {
            Some(path) => {
                let path = path.trim();
                let (_, text) = SHARED
                    .iter()
                    .find(|(name, _)| *name == path)
                    .ok_or_else(|| IncludeError {
                        line: index + 1,
                        path: path.to_owned(),
                    })?;
                whole.push_str(text);
            }
            None => whole.push_str(line),
        }
        whole.push('\n');
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::{SHARED, assemble};

    #[test]
    fn includes_are_filled_in() {
        let text = assemble("// #include shared/feature_map.wgsl\nfn f() {}").unwrap();
        assert_eq!(text, format!("{}\nfn f() {{}}\n", SHARED[0].1));
        let error = assemble("\n// #include nothing.wgsl").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: there is no `nothing.wgsl` to include"
        );
    }
}
