//! The tables of `docs/scene.md` and `docs/bends.md` say what the code says. `BENDWAVE_UPDATE_DOCS=1` writes them anew.

use bendwave::bend::{MASKS, Missing, ParamSpec, TRANSFORMS};
use bendwave::signal::SIGNALS;
use std::fmt::Write;
use std::fs;
use std::path::Path;

fn signals() -> String {
    let mut table = String::from("| signal | what it is |\n|---|---|\n");
    for signal in SIGNALS {
        writeln!(table, "| `{}` | {} |", signal.id, signal.doc).unwrap();
    }
    table
}

fn transforms() -> String {
    let mut table = String::from("| transform | parameters | what it does |\n|---|---|---|\n");
    for transform in TRANSFORMS {
        let (name, params, doc) = (transform.name, list(transform.params), transform.doc);
        writeln!(table, "| `{name}` | {params} | {doc} |").unwrap();
    }
    table
}

fn masks() -> String {
    let mut table = String::from("| shape | parameters | where it works |\n|---|---|---|\n");
    for mask in MASKS {
        let params = list(mask.params).replace("`mask-", "`");
        writeln!(table, "| `{}` | {params} | {} |", mask.name, mask.doc).unwrap();
    }
    table
}

fn list(params: &[ParamSpec]) -> String {
    let one = |p: &ParamSpec| {
        let unit = if p.unit.is_empty() {
            String::new()
        } else {
            format!(" ({})", p.unit)
        };
        match p.missing {
            Missing::Required => format!("`{}`{unit}", p.name),
            Missing::Value(v) => format!("\\[`{}`{unit} = {v}\\]", p.name),
            Missing::Like(i) => format!("\\[`{}`{unit} = {}\\]", p.name, params[i].name),
        }
    };
    params.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn ranges() -> String {
    let mut table = String::from("| transform | ranges |\n|---|---|\n");
    for transform in TRANSFORMS {
        let own = &transform.params[..transform.amount_index()];
        if own.is_empty() {
            continue;
        }
        let ranges: Vec<String> = own
            .iter()
            .map(|p| format!("`{}` {} to {}", p.name, p.range[0], p.range[1]))
            .collect();
        writeln!(table, "| `{}` | {} |", transform.name, ranges.join(", ")).unwrap();
    }
    table
}

fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{table}{end}{after}")
}

fn check(file: &str, tables: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let wanted = tables.iter().fold(text.clone(), |text, (name, table)| {
        with_table(&text, name, table)
    });
    if std::env::var_os("BENDWAVE_UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "{file} is out of date: BENDWAVE_UPDATE_DOCS=1 cargo test docs"
        );
    }
}

#[test]
fn the_scene_docs_list_every_signal_transform_and_mask() {
    check(
        "docs/scene.md",
        &[
            ("signals", signals()),
            ("transforms", transforms()),
            ("masks", masks()),
        ],
    );
}

#[test]
fn the_docs_of_bends_list_every_range() {
    check("docs/bends.md", &[("ranges", ranges())]);
}
