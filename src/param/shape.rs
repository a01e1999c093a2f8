//! What a use of a signal makes of it, step by step.

use crate::param::Curve;

/// Most levels of [`Shape::quantise`].
pub const MAX_LEVELS: u16 = 256;
/// Longest time constant and hold, in seconds.
pub const MAX_SHAPE_SECS: f32 = 600.0;

/// How a value in \[0, 1\] becomes a parameter's value. The steps are done in the order of the
/// fields; the default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Values that become 0 and 1; what lies outside is clamped. May fall, but not be equal.
    pub input: [f32; 2],
    /// On or off: 1 from here on, in \[0, 1\], and 0 again once the value is `hysteresis` below.
    pub threshold: Option<f32>,
    /// How far below `threshold` it goes off again, in \[0, 1\].
    pub hysteresis: f32,
    /// How long a peak is kept before it may fall, in seconds.
    pub hold_secs: f32,
    /// Time constant of a rise, in seconds: after it, 63 % of a step is done. 0 is at once.
    pub attack_secs: f32,
    /// Time constant of a fall, in seconds.
    pub release_secs: f32,
    /// Bends the value.
    pub curve: Curve,
    /// Evenly spaced levels that the value snaps to, 0 and 1 among them; from 2.
    pub quantise: Option<u16>,
    /// 1 − value.
    pub invert: bool,
    /// Value at 0 and at 1, in the parameter's unit. May fall.
    pub range: [f32; 2],
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            input: [0.0, 1.0],
            threshold: None,
            hysteresis: 0.0,
            hold_secs: 0.0,
            attack_secs: 0.0,
            release_secs: 0.0,
            curve: Curve::Linear,
            quantise: None,
            invert: false,
            range: [0.0, 1.0],
        }
    }
}

/// What a [`Shape`] remembers between frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShapeState {
    on: bool,
    held: f32,
    hold_left_secs: f32,
    smoothed: f32,
}

impl ShapeState {
    /// The parameter's value. `dt_secs` is the time since the last call; the result is the same at
    /// any frame rate as long as `value` is constant within a frame.
    pub fn eval(&mut self, shape: &Shape, value: f32, dt_secs: f32) -> f32 {
        let dt_secs = dt_secs.max(0.0);
        let [low, high] = shape.input;
        let value = if value.is_nan() { 0.0 } else { value };
        let mut value = ((value - low) / (high - low)).clamp(0.0, 1.0);
        if let Some(threshold) = shape.threshold {
            let edge = if self.on {
                threshold - shape.hysteresis
            } else {
                threshold
            };
            self.on = value >= edge;
            value = f32::from(u8::from(self.on));
        }
        let falling_secs = self.hold(value, shape.hold_secs, dt_secs);
        let (tau_secs, secs) = if self.held > self.smoothed {
            (shape.attack_secs, dt_secs)
        } else {
            (shape.release_secs, falling_secs)
        };
        let keep = if tau_secs > 0.0 {
            (-secs / tau_secs).exp()
        } else {
            0.0
        };
        self.smoothed = keep.mul_add(self.smoothed - self.held, self.held);
        let mut shaped = shape.curve.apply(self.smoothed);
        if let Some(levels) = shape.quantise {
            let steps = f32::from(levels.max(2) - 1);
            shaped = (shaped * steps).round() / steps;
        }
        if shape.invert {
            shaped = 1.0 - shaped;
        }
        (shape.range[1] - shape.range[0]).mul_add(shaped, shape.range[0])
    }

    /// Follows `value` with `held`, which waits before it falls. The part of the frame in which
    /// it was allowed to fall, in seconds.
    fn hold(&mut self, value: f32, hold_secs: f32, dt_secs: f32) -> f32 {
        if value >= self.held {
            self.held = value;
            self.hold_left_secs = hold_secs;
            return dt_secs;
        }
        let over_secs = dt_secs - self.hold_left_secs;
        self.hold_left_secs = (-over_secs).max(0.0);
        if over_secs < 0.0 {
            return 0.0;
        }
        self.held = value;
        over_secs
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, ShapeState};
    use crate::param::Curve;

    /// The values of `shape` at each tenth of a second. A frame's value is that of `input` at the
    /// frame's start, so that it is constant within a frame where `input` steps on the grid.
    fn tenths(shape: &Shape, fps: u32, secs: u32, input: impl Fn(f32) -> f32) -> Vec<f32> {
        let mut state = ShapeState::default();
        let mut out = vec![state.eval(shape, input(0.0), 0.0)];
        for frame in 0..fps * secs {
            let start = (frame as f32 + 0.01) / fps as f32;
            let value = state.eval(shape, input(start), 1.0 / fps as f32);
            if (frame + 1) * 10 % fps == 0 {
                out.push(value);
            }
        }
        out
    }

    #[test]
    fn the_steps_come_in_order() {
        let mut shape = Shape {
            input: [0.2, 0.6],
            range: [10.0, 20.0],
            ..Shape::default()
        };
        let once = |shape: &Shape, x: f32| ShapeState::default().eval(shape, x, 0.1);
        assert_eq!(
            [0.1, 0.2, 0.4, 0.6, 0.9].map(|x| once(&shape, x)),
            [10.0, 10.0, 15.0, 20.0, 20.0]
        );
        shape.curve = Curve::Square;
        assert_eq!(once(&shape, 0.4), 12.5);
        // The curve first, then the levels: 0.25 of 3 levels is half a step, which rounds up.
        shape.quantise = Some(3);
        assert_eq!(
            [0.2, 0.39, 0.45, 0.6].map(|x| once(&shape, x)),
            [10.0, 10.0, 15.0, 20.0]
        );
        shape.invert = true;
        assert_eq!([0.2, 0.6].map(|x| once(&shape, x)), [20.0, 10.0]);
        assert_eq!(once(&shape, f32::NAN), 20.0);
        // A falling input range turns the signal over.
        let turned = Shape {
            input: [1.0, 0.0],
            ..Shape::default()
        };
        assert_eq!([0.0, 0.25, 1.0].map(|x| once(&turned, x)), [1.0, 0.75, 0.0]);
    }

    #[test]
    fn a_threshold_does_not_flutter() {
        let shape = Shape {
            threshold: Some(0.5),
            hysteresis: 0.1,
            ..Shape::default()
        };
        let mut state = ShapeState::default();
        let values = [0.49, 0.5, 0.45, 0.41, 0.39, 0.45, 0.51].map(|x| state.eval(&shape, x, 0.01));
        assert_eq!(values, [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_peak_is_held_then_released_at_any_frame_rate() {
        let shape = Shape {
            hold_secs: 0.5,
            release_secs: 0.4,
            ..Shape::default()
        };
        let pulse = |t: f32| f32::from(u8::from((0.1..0.2).contains(&t)));
        for fps in [20, 60, 140, 1000] {
            let values = tenths(&shape, fps, 2, pulse);
            assert_eq!(values[..2], [0.0, 0.0], "{fps} fps");
            let held = values[2..=7].iter().all(|v| (v - 1.0).abs() < 1e-5);
            assert!(held, "{fps} fps: {values:?}");
            for tenth in [8_u8, 12, 15, 20] {
                let exact = (-(f32::from(tenth) / 10.0 - 0.7) / 0.4).exp();
                let value = values[usize::from(tenth)];
                assert!((value - exact).abs() < 1e-3, "{fps} fps: {value} {exact}");
            }
        }
    }

    #[test]
    fn smoothing_is_exact_at_any_frame_rate() {
        let shape = Shape {
            attack_secs: 0.2,
            release_secs: 0.5,
            curve: Curve::Smooth,
            ..Shape::default()
        };
        let step = |t: f32| f32::from(u8::from((0.45..1.45).contains(&t)));
        let slow = tenths(&shape, 20, 3, step);
        assert!(slow.iter().any(|v| (0.2..0.8).contains(v)), "{slow:?}");
        for fps in [60, 140, 500] {
            let fast = tenths(&shape, fps, 3, step);
            for (a, b) in slow.iter().zip(&fast) {
                assert!((a - b).abs() < 1e-3, "{fps} fps: {a} {b}");
            }
        }
    }
}
