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

/// A source with its includes filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// What the compiler reads.
    pub text: String,
    /// Each include: its path, its line in the source, and its lines.
    includes: Vec<(String, usize, usize)>,
}

impl Assembled {
    /// Where a line of [`Self::text`] (from 1) was written: the path of an include, or `None` for
    /// the source itself, and the line there.
    pub fn origin(&self, line: usize) -> (Option<&str>, usize) {
        let mut added = 0;
        for (path, at, lines) in &self.includes {
            let first = at + added;
            if line < first {
                break;
            }
            if line < first + lines {
                return (Some(path), line - first + 1);
            }
            // The include's own line is gone.
            added += lines - 1;
        }
        (None, line - added)
    }
}

/// The source with its includes filled in from [`SHARED`].
///
/// # Errors
/// When an include names no file of [`SHARED`].
pub fn assemble(source: &str) -> Result<String, IncludeError> {
    let shared = |path: &str| {
        let file = SHARED.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| *text)
    };
    assemble_from(source, shared).map(|assembled| assembled.text)
}

/// The source with its includes filled in from `shared`.
///
/// # Errors
/// When an include names a file that `shared` does not know.
pub fn assemble_from<'a>(
    source: &str,
    shared: impl Fn(&str) -> Option<&'a str>,
) -> Result<Assembled, IncludeError> {
    let mut text = String::with_capacity(source.len() * 2);
    let mut includes = Vec::new();
    for (index, line) in source.lines().enumerate() {
        match line.strip_prefix("// #include ") {
            Some(path) => {
                let path = path.trim();
                let included = shared(path).ok_or_else(|| IncludeError {
                    line: index + 1,
                    path: path.to_owned(),
                })?;
                text.push_str(included);
                let lines = included.matches('\n').count() + 1;
                includes.push((path.to_owned(), index + 1, lines));
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    Ok(Assembled { text, includes })
}

#[cfg(test)]
mod tests {
    use super::{SHARED, assemble, assemble_from};

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

    #[test]
    fn lines_are_traced_to_their_file() {
        let shared = |path: &str| (path == "shared/a.wgsl").then_some("one\ntwo\n");
        let all = assemble_from("x\n// #include shared/a.wgsl\ny\nz\n", shared).unwrap();
        assert_eq!(all.text, "x\none\ntwo\n\ny\nz\n");
        let origins: Vec<_> = (1..=6).map(|line| all.origin(line)).collect();
        let a = Some("shared/a.wgsl");
        assert_eq!(
            origins,
            [(None, 1), (a, 1), (a, 2), (a, 3), (None, 3), (None, 4)]
        );
    }
}
