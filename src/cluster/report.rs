//! A page that shows every cluster and what it changes, and its pictures as files.

use super::ClusteringError;
use super::analysis::{Clustered, LayerClusters};
use super::effect::{self, PAPER_PROBES, PROBES};
use crate::bend::Bender;
use crate::generator::{Generator, NoiseMode};
use crate::tensor::{ChannelSet, MapShape};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Largest edge of a thumbnail, in pixels.
const THUMBNAIL: usize = 128;

/// Writes `index.html`, which needs nothing beside it, and its pictures as PNG files into `dir`.
/// `styles` are the pictures to show, `latents · w_dim` values each; `title` and `facts` stand on top.
/// `on_step` is called after each cluster with their number; false asks to stop.
///
/// # Errors
/// When the network fails, a file can not be written, or `on_step` said to stop.
pub fn write_report(
    dir: &Path,
    generator: &mut Generator,
    layers: &[LayerClusters],
    styles: &[Vec<f32>],
    title: &str,
    facts: &[(String, String)],
    on_step: &mut dyn FnMut(u64) -> bool,
) -> Result<(), ClusteringError> {
    fs::create_dir_all(dir).map_err(|source| file(dir, source))?;
    generator.set_noise(NoiseMode::Const, 0);
    let most = layers
        .iter()
        .flat_map(|layer| &layer.clusters)
        .flat_map(|cluster| &cluster.effect.changes)
        .map(|change| change.amount)
        .fold(1e-6, f32::max);
    let mut page = Page {
        dir,
        html: String::new(),
        most,
    };
    let mut bender = Bender::cpu();
    let side = thumbnail_side(generator.image_shape());
    let mut untouched = Sheet::new(styles.len(), 1, side);
    for (column, styles) in styles.iter().enumerate() {
        let shape = generator.image_shape();
        let image = generator.synthesize(styles, &mut |_, _| {})?;
        untouched.put(column, 0, image, shape);
    }
    let untouched = page.picture("untouched.png", &untouched)?;
    page.head(title, facts, layers, &untouched);
    let mut done = 0;
    for layer in layers {
        page.open_layer(layer);
        for (id, cluster) in layer.clusters.iter().enumerate() {
            let sheet = sheet(generator, &mut bender, layer, cluster, styles, side)?;
            page.cluster(layer.layer, id, cluster, &sheet)?;
            done += 1;
            if !on_step(done) {
                return Err(ClusteringError::Stopped);
            }
        }
        page.add("</div></section>");
    }
    page.add("</main></body></html>");
    let path = dir.join("index.html");
    fs::write(&path, &page.html).map_err(|source| file(&path, source))
}

/// A row for each of the paper's probes, a column for each picture.
fn sheet(
    generator: &mut Generator,
    bender: &mut Bender,
    layer: &LayerClusters,
    cluster: &Clustered,
    styles: &[Vec<f32>],
    side: usize,
) -> Result<Sheet, ClusteringError> {
    let mut sheet = Sheet::new(styles.len(), PAPER_PROBES, side);
    let shape = generator.image_shape();
    for (column, styles) in styles.iter().enumerate() {
        for (row, probe) in PROBES.iter().take(PAPER_PROBES).enumerate() {
            let channels =
                ChannelSet::from_indices(cluster.features.iter().copied(), layer.shape.channels);
            let Some(bend) = channels.ok().and_then(|set| probe.bend(set, layer.shape)) else {
                continue;
            };
            let from = (row == 0).then_some(styles.as_slice());
            let image = effect::bent(generator, bender, layer.layer, &bend, from)?;
            sheet.put(column, row, image, shape);
        }
    }
    Ok(sheet)
}

fn thumbnail_side(shape: MapShape) -> usize {
    shape.height.min(shape.width).clamp(1, THUMBNAIL)
}

/// Pictures side by side, 8-bit RGB.
struct Sheet {
    columns: usize,
    rows: usize,
    side: usize,
    rgb: Vec<u8>,
}

impl Sheet {
    fn new(columns: usize, rows: usize, side: usize) -> Self {
        Self {
            columns,
            rows,
            side,
            rgb: vec![0; columns * rows * side * side * 3],
        }
    }

    fn put(&mut self, column: usize, row: usize, image: &[f32], shape: MapShape) {
        let side = self.side;
        let mut small = vec![0.0; side * side];
        for (channel, plane) in image.chunks_exact(shape.plane_len()).enumerate() {
            let from = [shape.height, shape.width];
            super::describe::average(plane, from, [side, side], &mut small);
            for (i, &value) in small.iter().enumerate() {
                let (x, y) = (column * side + i % side, row * side + i / side);
                let place = (y * self.columns * side + x) * 3 + channel;
                self.rgb[place] = f32::midpoint(value, 1.0).mul_add(255.0, 0.5) as u8;
            }
        }
    }

    /// A heat map: black, violet, orange, white.
    fn heat(values: &[f32], side: usize) -> Self {
        let most = values.iter().copied().fold(1e-9, f32::max);
        let mut sheet = Self::new(1, 1, side);
        for (pixel, &value) in sheet.rgb.chunks_exact_mut(3).zip(values) {
            pixel.copy_from_slice(&heat_colour(value / most));
        }
        sheet
    }
}

fn heat_colour(t: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [12.0, 10.0, 20.0],
        [78.0, 24.0, 110.0],
        [196.0, 52.0, 88.0],
        [250.0, 150.0, 50.0],
        [255.0, 246.0, 200.0],
    ];
    let at = t.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (at as usize).min(STOPS.len() - 2);
    let share = at - low as f32;
    [0, 1, 2].map(|c| (STOPS[low + 1][c] - STOPS[low][c]).mul_add(share, STOPS[low][c]) as u8)
}

struct Page<'a> {
    dir: &'a Path,
    html: String,
    /// The largest amount on the page: a full bar.
    most: f32,
}

impl Page<'_> {
    fn add(&mut self, text: &str) {
        // Writing to a String does not fail.
        writeln!(self.html, "{text}").ok();
    }

    /// Writes a picture file, and gives it as an address that holds it.
    fn picture(&self, name: &str, sheet: &Sheet) -> Result<String, ClusteringError> {
        let path = self.dir.join(name);
        let mut bytes = Vec::new();
        let (width, height) = (sheet.columns * sheet.side, sheet.rows * sheet.side);
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&sheet.rgb))
            .map_err(|error| file(&path, std::io::Error::other(error)))?;
        fs::write(&path, &bytes).map_err(|source| file(&path, source))?;
        Ok(format!("data:image/png;base64,{}", base64(&bytes)))
    }

    fn head(
        &mut self,
        title: &str,
        facts: &[(String, String)],
        layers: &[LayerClusters],
        untouched: &str,
    ) {
        let title = escape(title);
        self.add(&format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>Clusters of {title}</title><style>{STYLE}</style></head><body><main>"
        ));
        self.add(&format!(
            "<header><div><p class=\"over\">bendwave clusters</p><h1>{title}</h1><dl>"
        ));
        for (key, value) in facts {
            let (key, value) = (escape(key), escape(value));
            self.add(&format!("<div><dt>{key}</dt><dd>{value}</dd></div>"));
        }
        self.add("</dl></div>");
        self.add(&format!(
            "<figure><img src=\"{untouched}\" alt=\"\"><figcaption>untouched</figcaption></figure></header>"
        ));
        self.add("<nav>");
        let most = layers
            .iter()
            .flat_map(|layer| &layer.clusters)
            .map(|cluster| cluster.effect.visibility())
            .fold(1e-6, f32::max);
        for layer in layers {
            self.add(&format!(
                "<a class=\"layer\" href=\"#layer-{0}\"><b>{0}</b>",
                layer.layer
            ));
            for cluster in &layer.clusters {
                let height = 100.0 * cluster.effect.visibility() / most;
                let colour = hex(cluster.colour);
                let name = escape(&cluster.name);
                self.add(&format!(
                    "<i style=\"height:{height:.0}%;background:{colour}\" title=\"{name}\"></i>"
                ));
            }
            self.add("</a>");
        }
        self.add(
            "</nav><p class=\"note\">How visible each cluster is, layer by layer. In the cards: ",
        );
        let titles: Vec<&str> = PROBES
            .iter()
            .take(PAPER_PROBES)
            .map(|probe| probe.title)
            .collect();
        self.add(&format!(
            "pictures with the cluster {}, row by row; where the picture changes; and how much of its \
             range changes on average.</p>",
            titles.join(", ")
        ));
    }

    fn open_layer(&mut self, layer: &LayerClusters) {
        let shape = layer.shape;
        self.add(&format!(
            "<section id=\"layer-{0}\"><h2>Layer {0}<span>{1}×{2} · {3} features · {4} clusters</span></h2>\
             <div class=\"cards\">",
            layer.layer,
            shape.width,
            shape.height,
            shape.channels,
            layer.clusters.len()
        ));
    }

    fn cluster(
        &mut self,
        layer: usize,
        id: usize,
        cluster: &Clustered,
        sheet: &Sheet,
    ) -> Result<(), ClusteringError> {
        let stem = format!("layer-{layer:02}-cluster-{id}");
        let pictures = self.picture(&format!("{stem}.png"), sheet)?;
        let telling = cluster.effect.telling();
        let heat = match telling {
            Some((_, change)) => {
                let heat = Sheet::heat(&change.heat, change.side);
                self.picture(&format!("{stem}-heat.png"), &heat)?
            }
            None => String::new(),
        };
        let colour = hex(cluster.colour);
        let name = escape(&cluster.name);
        let count = cluster.features.len();
        self.add(&format!(
            "<article style=\"--c:{colour}\"><h3>{name}<span>cluster {id} · {count} features</span></h3>\
             <div class=\"body\"><img class=\"sheet\" src=\"{pictures}\" alt=\"\">\
             <div class=\"side\"><img class=\"heat\" src=\"{heat}\" alt=\"where\">"
        ));
        self.add("<table>");
        for (probe, change) in PROBES.iter().zip(&cluster.effect.changes) {
            let percent = 100.0 * change.amount;
            let width = 100.0 * change.amount / self.most;
            let title = probe.title;
            self.add(&format!(
                "<tr><th>{title}</th><td><i style=\"width:{width:.0}%\"></i></td><td>{percent:.1} %</td></tr>"
            ));
        }
        self.add("</table></div></div></article>");
        Ok(())
    }
}

const STYLE: &str = "\
:root{color-scheme:dark;--bg:#0d0c12;--card:#16151d;--line:#262432;--text:#e9e6f0;--dim:#8d889c}\
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:1280px;margin:0 auto;padding:40px 28px 96px}\
header{display:flex;gap:48px;justify-content:space-between;align-items:flex-start;flex-wrap:wrap}\
header>div{flex:1 1 320px}h1{font-size:44px;line-height:1.1;margin:4px 0 24px;font-weight:650;letter-spacing:-.02em}\
.over{margin:0;color:var(--dim);text-transform:uppercase;letter-spacing:.16em;font-size:12px}\
dl{display:flex;flex-wrap:wrap;gap:16px 36px;margin:0}dt{color:var(--dim);font-size:12px}dd{margin:0}\
figure{margin:0;flex:0 1 560px}figure img{width:100%;display:block;border-radius:10px}\
figcaption{color:var(--dim);font-size:12px;margin-top:6px}\
nav{display:flex;gap:14px;height:132px;margin:44px 0 10px;border-bottom:1px solid var(--line)}\
.layer{flex:1;display:flex;align-items:flex-end;gap:3px;position:relative;text-decoration:none;color:var(--dim)}\
.layer b{position:absolute;bottom:-26px;left:0;right:0;text-align:center;font-weight:500;font-size:12px}\
.layer i{flex:1;min-height:2px;border-radius:3px 3px 0 0;opacity:.9}.layer:hover i{opacity:1}\
.note{color:var(--dim);font-size:13px;margin:36px 0 0;max-width:72ch}\
section{margin-top:56px}h2{font-size:24px;font-weight:620;margin:0 0 16px;letter-spacing:-.01em}\
h2 span,h3 span{color:var(--dim);font-weight:400;font-size:13px;margin-left:14px;letter-spacing:0}\
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(540px,1fr));gap:18px}\
article{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--c);border-radius:12px;padding:16px 18px}\
h3{margin:0 0 12px;font-size:17px;font-weight:600;color:var(--c)}\
.body{display:flex;gap:18px}.sheet{flex:1 1 0;min-width:0;width:100%;aspect-ratio:4/3;border-radius:8px}\
.side{flex:0 0 184px}.heat{width:100%;aspect-ratio:1;display:block;border-radius:8px;margin-bottom:10px}\
table{width:100%;table-layout:fixed;border-collapse:collapse;font-size:11.5px;color:var(--dim)}th{font-weight:400;text-align:left;padding:0 6px 0 0;white-space:nowrap}\
td{padding:1px 0}td:nth-child(2){width:52px}td:nth-child(3){width:46px;text-align:right;color:var(--text);white-space:nowrap;font-variant-numeric:tabular-nums}\
td i{display:block;height:5px;border-radius:3px;background:var(--c);min-width:1px}\
@media(max-width:640px){.cards{grid-template-columns:1fr}.body{flex-direction:column}.side{flex:none}}";

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            if digit <= group.len() {
                let index = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn file(path: &Path, source: std::io::Error) -> ClusteringError {
    ClusteringError::File {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{base64, escape, heat_colour};

    #[test]
    fn base64_is_rfc_4648s() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(escape("<b>&\"x\""), "&lt;b&gt;&amp;&quot;x&quot;");
    }

    #[test]
    fn heat_goes_from_dark_to_light() {
        let sum = |t| heat_colour(t).iter().map(|&c| u32::from(c)).sum::<u32>();
        for i in 0..20 {
            assert!(sum(i as f32 / 20.0) < sum((i + 1) as f32 / 20.0));
        }
    }
}
