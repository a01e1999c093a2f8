//! Rhythms. One line is a bar, or two: 16 or 32 sixteenths, or 12 triplets. `X` is loud, `x` is
//! normal, `o` is a ghost note.

use std::borrow::Cow;

use crate::demo_track::voices::Noise;

/// A line of a groove.
type Line = Cow<'static, str>;

/// What the instruments of a style play, and how fast the style is.
#[derive(Clone, Debug)]
pub(super) struct Groove {
    pub(super) name: Line,
    pub(super) bpm: [f64; 2],
    pub(super) kick: Line,
    pub(super) snare: Line,
    pub(super) hat: Line,
    pub(super) bass: Line,
    pub(super) chords: Line,
    pub(super) lead: Line,
}

const fn groove(
    name: &'static str,
    bpm: [f64; 2],
    [kick, snare, hat]: [&'static str; 3],
    [bass, chords, lead]: [&'static str; 3],
) -> Groove {
    Groove {
        name: Cow::Borrowed(name),
        bpm,
        kick: Cow::Borrowed(kick),
        snare: Cow::Borrowed(snare),
        hat: Cow::Borrowed(hat),
        bass: Cow::Borrowed(bass),
        chords: Cow::Borrowed(chords),
        lead: Cow::Borrowed(lead),
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

/// How likely something is struck on a beat, on the eighth between and on the rest.
type Odds = [f32; 3];

impl Groove {
    /// A groove of chance, none of those above.
    pub(super) fn of_chance(seed: u32) -> Self {
        let mut noise = Noise::new(seed);
        for _ in 0..8 {
            noise.next();
        }
        loop {
            let groove = Self::draw(&mut noise);
            let drums = |of: &Self| [of.kick.clone(), of.snare.clone(), of.hat.clone()];
            let known = TUNING.iter().chain(HELD_OUT);
            if known.map(drums).all(|known| known != drums(&groove)) {
                return groove;
            }
        }
    }

    fn draw(noise: &mut Noise) -> Self {
        let mut share = || (0.5 + 0.5 * noise.next()).clamp(0.0, 0.999);
        let mut one_of = |odds: &[Odds]| odds[(share() * odds.len() as f32) as usize];
        let kick = one_of(&[
            [1.0, 0.0, 0.0],
            [0.5, 0.25, 0.08],
            [0.6, 0.3, 0.15],
            [0.3, 0.4, 0.2],
            [0.0, 0.0, 0.0],
        ]);
        let hat = one_of(&[
            [1.0, 1.0, 0.0],
            [1.0, 1.0, 1.0],
            [0.0, 1.0, 0.0],
            [1.0, 0.2, 0.0],
            [0.9, 0.8, 0.4],
            [0.0, 0.0, 0.0],
        ]);
        let bass = one_of(&[
            [0.7, 0.4, 0.1],
            [0.3, 0.7, 0.3],
            [1.0, 1.0, 0.0],
            [0.0, 1.0, 0.6],
            [0.5, 0.1, 0.0],
        ]);
        let chords = one_of(&[
            [0.25, 0.0, 0.0],
            [0.5, 0.4, 0.1],
            [0.0, 0.9, 0.0],
            [0.2, 0.5, 0.3],
        ]);
        let lead = one_of(&[
            [0.0, 0.0, 0.0],
            [0.6, 0.5, 0.2],
            [0.9, 0.8, 0.3],
            [0.3, 0.6, 0.4],
        ]);
        let steps: usize = if share() < 0.2 { 12 } else { 16 };
        let bars = if share() < 0.25 { 2 } else { 1 };
        let mut line = |odds: Odds, first: f32| -> Vec<u8> {
            (0..bars * steps)
                .map(|step| {
                    let place = step % steps;
                    let strong = (4 * place).is_multiple_of(steps);
                    let odds = if place == 0 && first > 0.0 {
                        first
                    } else if strong {
                        odds[0]
                    } else if (8 * place).is_multiple_of(steps) || steps == 12 {
                        odds[1]
                    } else {
                        odds[2]
                    };
                    match (share() < odds, share()) {
                        (false, _) => b'.',
                        (true, loud) if loud < 0.5 || strong => b'X',
                        (true, loud) if loud < 0.9 => b'x',
                        (true, _) => b'o',
                    }
                })
                .collect()
        };
        let struck = |odds: Odds, first: f32| if odds[0] + odds[1] > 0.0 { first } else { 0.0 };
        let kick = line(kick, struck(kick, 0.88));
        let hat = line(hat, 0.0);
        let bass = line(bass, 0.7);
        let chords = line(chords, 0.8);
        let lead = line(lead, 0.0);
        let mut snare = line([0.02, 0.06, 0.05], 0.0);
        let back: &[usize] = match (share() * 8.0) as usize {
            0..=3 => &[1, 3],
            4 => &[2],
            5 => &[0, 1, 2, 3],
            6 => &[1, 3],
            _ => &[],
        };
        for beat in (0..4 * bars).filter(|beat| back.contains(&(beat % 4))) {
            snare[beat * steps / 4] = b'X';
        }
        let text = |line: Vec<u8>| Cow::Owned(line.into_iter().map(char::from).collect());
        Self {
            name: Cow::Borrowed("chance"),
            bpm: [62.0, 190.0],
            kick: text(kick),
            snare: text(snare),
            hat: text(hat),
            bass: text(bass),
            chords: text(chords),
            lead: text(lead),
        }
    }
}

/// A snare roll of one bar: sixteenths that grow.
pub(super) const ROLL: &str = "ooooxxxxxxxxXXXX";

/// The notes of a line in one bar: place in beats, and how loud.
pub(super) fn hits(line: &str, bar: usize) -> impl Iterator<Item = (f64, f32)> {
    let steps = if line.len().is_multiple_of(16) {
        16
    } else {
        12
    };
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
