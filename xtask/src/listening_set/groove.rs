//! Rhythms. One line is a bar, or two: 16 or 32 sixteenths, or 12 triplets. `X` is loud, `x` is
//! normal, `o` is a ghost note.

/// What the instruments of a style play, and how fast the style is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groove {
    pub(super) name: &'static str,
    pub(super) bpm: [f64; 2],
    pub(super) kick: &'static str,
    pub(super) snare: &'static str,
    pub(super) hat: &'static str,
    pub(super) bass: &'static str,
    pub(super) chords: &'static str,
    pub(super) lead: &'static str,
}

const fn groove(
    name: &'static str,
    bpm: [f64; 2],
    [kick, snare, hat]: [&'static str; 3],
    [bass, chords, lead]: [&'static str; 3],
) -> Groove {
    Groove {
        name,
        bpm,
        kick,
        snare,
        hat,
        bass,
        chords,
        lead,
    }
}

pub(super) const TUNING: &[Groove] = &[
    groove(
        "house",
        [116.0, 130.0],
        ["X...X...X...X...", "....X.......X...", "..X...X...X...X."],
        ["..x...x...x...x.", "X...............", "x..x..x...x..x.."],
    ),
    groove(
        "rock",
        [88.0, 150.0],
        ["X.......X.x.....", "....X.......X...", "x.x.x.x.x.x.x.x."],
        ["x.x.x.x.x.x.x.x.", "X.......x.......", "................"],
    ),
    groove(
        "half-time",
        [62.0, 80.0],
        ["X.........x.....", "....X.......X...", "x.x.x.x.x.x.x.x."],
        ["x.........x.....", "X...............", "x.x.x.x.x.x.x.x."],
    ),
    groove(
        "shuffle",
        [84.0, 135.0],
        ["X.....X.....", "...X.....X..", "x.xx.xx.xx.x"],
        ["x..x..x..x..", "X.....x.....", "............"],
    ),
    groove(
        "break-a",
        [95.0, 140.0],
        ["X.x.......x..x..", "....X..o.o..X..o", "x.x.x.x.x.x.x.x."],
        ["x..x......x..x..", "X...............", "................"],
    ),
    groove(
        "ballad",
        [62.0, 90.0],
        ["X.......X.......", "....X.......X...", "x...x...x...x..."],
        ["x.......x.......", "X.......X.......", "x.x.x.x.x.x.x.x."],
    ),
    groove(
        "trance",
        [132.0, 148.0],
        ["X...X...X...X...", "....x.......x...", "x.X.x.X.x.X.x.X."],
        [".xxx.xxx.xxx.xxx", "X...............", "x.xx.xx.x.xx.xx."],
    ),
    groove(
        "funk",
        [96.0, 122.0],
        ["X..x..x...x..x..", "....X.......X..o", "xxxxxxxxxxxxxxxx"],
        ["X..x..x.x.x..x..", "......x.......x.", "................"],
    ),
    groove(
        "jungle",
        [160.0, 190.0],
        ["X.....x...X.....", "....X.......X...", "x.x.x.x.x.x.x.x."],
        ["x.........x.....", "X...............", "................"],
    ),
];

pub(super) const HELD_OUT: &[Groove] = &[
    groove(
        "techno",
        [122.0, 145.0],
        ["X...X...X...X...", "................", "..x...x...x...x."],
        [".xxx.xxx.xxx.xxx", "......x.........", "..x..x....x..x.."],
    ),
    groove(
        "boom-bap",
        [78.0, 98.0],
        ["X......x.xX.....", "....X.......X..o", "x.x.x.x.x.x.x.x."],
        ["x......x..x.....", "X...............", "....x.x.......x."],
    ),
    groove(
        "break-b",
        [120.0, 172.0],
        [
            "X.X.......XX....X.X.......X.....",
            "....X..o.o..X..o....X..o.o....X.",
            "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.",
        ],
        ["x.........xx....", "X...............", "................"],
    ),
    groove(
        "two-step",
        [165.0, 178.0],
        ["X.........X.....", "....X.......X...", "x.x.x.xxx.x.x.x."],
        ["x.....x...x.....", "X...............", "x...x...x...x..."],
    ),
    groove(
        "one-drop",
        [66.0, 84.0],
        ["........X.......", "........X.......", "x.x.x.x.x.x.x.x."],
        ["x..x..x.....x.x.", "....X.......X...", "................"],
    ),
    groove(
        "bossa",
        [110.0, 150.0],
        ["X.....xXX.....xX", "x..x..x...x..x..", "xxxxxxxxxxxxxxxx"],
        ["X.....xxX.....xx", "x..x..x...x..x..", "................"],
    ),
    groove(
        "piano",
        [70.0, 110.0],
        ["................", "................", "................"],
        ["X.......x.......", "X.......x.......", "x.x.x.x.x.x.x.x."],
    ),
    groove(
        "electro",
        [108.0, 134.0],
        ["X.....X...X.....", "....X.......X...", "x.xxx.x.x.xxx.x."],
        ["x.x..x..x.x..x..", "X.......X.......", "..x...x...x...x."],
    ),
    groove(
        "swing",
        [105.0, 190.0],
        ["o..o..o..o..", "...x.....x..", "X..X.XX..X.X"],
        ["x..x..x..x..", "X.......x...", "............"],
    ),
    groove(
        "punk",
        [150.0, 190.0],
        ["X.....x.X.x.....", "....X.......X...", "x.x.x.x.x.x.x.x."],
        ["x.x.x.x.x.x.x.x.", "X.x.X.x.X.x.X.x.", "................"],
    ),
];

/// The notes of a line in one bar: place in beats, and how loud.
pub(super) fn hits(line: &str, bar: usize) -> impl Iterator<Item = (f64, f32)> {
    let steps = if line.len() == 12 { 12 } else { 16 };
    let bars = line.len() / steps;
    let here = &line[(bar % bars) * steps..][..steps];
    here.bytes().enumerate().filter_map(move |(step, mark)| {
        let gain = match mark {
            b'X' => 1.0,
            b'x' => 0.7,
            b'o' => 0.3,
            _ => return None,
        };
        Some((4.0 * step as f64 / steps as f64, gain))
    })
}
