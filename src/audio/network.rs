//! A small network that hears beats and drums: a layer over the last frames, and two of gated
//! recurrent units (Cho et al. 2014); a step for every second hop. It knows nothing of what comes.
//!
//! The numbers in `network.f16` are made by `scripts/train_ears.py`.

use half::f16;

use super::flux::HEARING;

/// Hops per step of the network and of the beat's model.
pub(super) const FRAME_HOPS: u64 = 2;

/// Frames that the first layer sees, and its units.
const PAST: usize = 4;
const WIDE: usize = 64;

/// Units of the lower and the upper recurrent layer.
const UNITS: usize = 192;
const UPPER: usize = 128;

const OUTPUTS: usize = 6;

/// Little-endian halves, a row for each input: weights (the oldest frame first) and biases of the
/// first layer; for both recurrent layers weights of the inputs and of the past, and the two
/// biases, each for reset, update, new; weights of the outputs, from all layers, and biases.
const NUMBERS: &[u8] = include_bytes!("network.f16");

/// How likely it is that each of these began just now, in \[0, 1\]: onset, beat, first beat of a bar,
/// kick, snare, hat.
pub(super) type Heard = [f32; OUTPUTS];

/// Places in [`Heard`].
pub(super) const ONSET: usize = 0;
pub(super) const BEAT: usize = 1;
pub(super) const BAR: usize = 2;
pub(super) const KICK: usize = 3;
pub(super) const SNARE: usize = 4;
pub(super) const HAT: usize = 5;

/// A matrix with a row for each input, so that the sums over a row's outputs run side by side.
#[derive(Clone, Debug)]
struct Matrix {
    numbers: Vec<f32>,
}

impl Matrix {
    /// Adds the product with `inputs` to `sums`.
    fn add_to(&self, inputs: &[f32], sums: &mut [f32]) {
        let rows = self.numbers.chunks_exact(sums.len());
        for (input, row) in inputs.iter().zip(rows) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += input * weight;
            }
        }
    }
}

/// Gated recurrent units, as PyTorch has them.
#[derive(Clone, Debug)]
struct Recurrent {
    of_input: Matrix,
    of_past: Matrix,
    input_bias: Vec<f32>,
    past_bias: Vec<f32>,
    state: Vec<f32>,
    from_input: Vec<f32>,
    from_past: Vec<f32>,
}

impl Recurrent {
    fn new(inputs: usize, units: usize, matrix: &mut impl FnMut(usize, usize) -> Matrix) -> Self {
        Self {
            of_input: matrix(inputs, 3 * units),
            of_past: matrix(units, 3 * units),
            input_bias: matrix(1, 3 * units).numbers,
            past_bias: matrix(1, 3 * units).numbers,
            state: vec![0.0; units],
            from_input: vec![0.0; 3 * units],
            from_past: vec![0.0; 3 * units],
        }
    }

    fn step(&mut self, inputs: &[f32]) {
        self.from_input.copy_from_slice(&self.input_bias);
        self.from_past.copy_from_slice(&self.past_bias);
        self.of_input.add_to(inputs, &mut self.from_input);
        self.of_past.add_to(&self.state, &mut self.from_past);
        let units = self.state.len();
        for (unit, state) in self.state.iter_mut().enumerate() {
            let [reset, update, new] = [unit, unit + units, unit + 2 * units];
            let open = |at: usize| sigmoid(self.from_input[at] + self.from_past[at]);
            let fresh = (self.from_input[new] + open(reset) * self.from_past[new]).tanh();
            *state = fresh + open(update) * (*state - fresh);
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The network and what it remembers. Never allocates after [`Network::new`].
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// The last frames, the oldest first.
    past: Vec<f32>,
    of_past: Matrix,
    bias: Vec<f32>,
    wide: Vec<f32>,
    lower: Recurrent,
    upper: Recurrent,
    outputs: [Matrix; 3],
    output_bias: Vec<f32>,
}

impl Network {
    pub(super) fn new() -> Self {
        let mut numbers = NUMBERS
            .chunks_exact(2)
            .map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
        let mut take = |count: usize| numbers.by_ref().take(count).collect::<Vec<f32>>();
        let mut matrix = |inputs: usize, outputs: usize| Matrix {
            numbers: take(inputs * outputs),
        };
        Self {
            past: vec![0.0; PAST * HEARING],
            of_past: matrix(PAST * HEARING, WIDE),
            bias: matrix(1, WIDE).numbers,
            wide: vec![0.0; WIDE],
            lower: Recurrent::new(WIDE, UNITS, &mut matrix),
            upper: Recurrent::new(UNITS, UPPER, &mut matrix),
            outputs: [
                matrix(WIDE, OUTPUTS),
                matrix(UNITS, OUTPUTS),
                matrix(UPPER, OUTPUTS),
            ],
            output_bias: matrix(1, OUTPUTS).numbers,
        }
    }

    /// One frame on.
    pub(super) fn step(&mut self, hearing: &[f32; HEARING]) -> Heard {
        self.past.copy_within(HEARING.., 0);
        self.past[(PAST - 1) * HEARING..].copy_from_slice(hearing);
        self.wide.copy_from_slice(&self.bias);
        self.of_past.add_to(&self.past, &mut self.wide);
        for unit in &mut self.wide {
            *unit = unit.max(0.0);
        }
        self.lower.step(&self.wide);
        self.upper.step(&self.lower.state);
        let mut sums = [0.0; OUTPUTS];
        sums.copy_from_slice(&self.output_bias);
        let layers = [&self.wide, &self.lower.state, &self.upper.state];
        for (output, layer) in self.outputs.iter().zip(layers) {
            output.add_to(layer, &mut sums);
        }
        sums.map(sigmoid)
    }
}

#[cfg(test)]
mod tests {
    use super::{HEARING, Network, Recurrent};

    const OF_PYTORCH: &str = include_str!("../../tests/fixtures/ears/network.json");

    /// The made-up frames of `scripts/train_ears.py`.
    fn frames() -> impl Iterator<Item = [f32; HEARING]> {
        (0..24).map(|frame| {
            std::array::from_fn(|n| {
                let at = (frame * HEARING + n) as f64;
                (1.5 * (0.37 * at).sin().abs()) as f32
            })
        })
    }

    /// Largest difference from PyTorch's probabilities.
    fn worst(network: &mut Network) -> f32 {
        let want: Vec<[f32; 6]> = serde_json::from_str(OF_PYTORCH).unwrap();
        let mut worst = 0.0_f32;
        for (frame, want) in frames().zip(want) {
            let heard = network.step(&frame);
            for (got, want) in heard.iter().zip(want) {
                worst = worst.max((got - want).abs());
            }
        }
        worst
    }

    #[test]
    fn it_says_what_pytorch_says() {
        // Halves hold 11 bits.
        let mut network = Network::new();
        assert!(worst(&mut network) < 0.01);
        let mut other = Network::new();
        other.lower.of_past.numbers[7..40].reverse();
        other.outputs[2].numbers.rotate_left(1);
        assert!(worst(&mut other) > 0.05, "the comparison can fail");
    }

    #[test]
    fn absurd_input_is_forgotten() {
        let mut network = Network::new();
        for _ in 0..50 {
            network.step(&[1e6; HEARING]);
        }
        for frame in frames() {
            let heard = network.step(&frame);
            assert!(heard.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn all_numbers_are_used() {
        let Network {
            of_past,
            bias,
            lower,
            upper,
            outputs,
            output_bias,
            ..
        } = Network::new();
        let of_layer = |layer: Recurrent| {
            layer.of_input.numbers.len()
                + layer.of_past.numbers.len()
                + layer.input_bias.len()
                + layer.past_bias.len()
        };
        let count = of_past.numbers.len()
            + bias.len()
            + of_layer(lower)
            + of_layer(upper)
            + outputs.iter().map(|o| o.numbers.len()).sum::<usize>()
            + output_bias.len();
        assert_eq!(2 * count, super::NUMBERS.len());
        assert_eq!(output_bias.len(), super::OUTPUTS);
    }
}
