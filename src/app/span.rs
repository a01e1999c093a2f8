//! `FROM..TO` on the command line.

use std::fmt;
use std::str::FromStr;

/// Two finite numbers; the second may be the lower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f32,
    pub(crate) to: f32,
}

impl Span {
    /// The value at `t`: exactly the ends at 0 and 1.
    pub(crate) fn at(self, t: f32) -> f32 {
        self.from.mul_add(1.0 - t, self.to * t)
    }

    /// What is wrong when an end lies outside of a parameter's limits.
    pub(crate) fn check(self, [low, high]: [f32; 2]) -> Result<(), String> {
        for value in [self.from, self.to] {
            if value < low || value > high {
                return Err(format!("{value} is outside {low} to {high}"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let value: Option<f32> = text.trim().parse().ok();
            value
                .filter(|v| v.is_finite())
                .ok_or_else(|| format!("{text:?} is not a number"))
        };
        let (from, to) = text
            .split_once("..")
            .ok_or_else(|| format!("{text:?} is not FROM..TO, as 0..1.5"))?;
        Ok(Self {
            from: number(from)?,
            to: number(to)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_are_two_numbers() {
        let span: Span = "-1..0.5".parse().unwrap();
        assert_eq!((span.from, span.to), (-1.0, 0.5));
        assert_eq!(
            ".5...25".parse(),
            Ok(Span {
                from: 0.5,
                to: 0.25
            })
        );
        assert_eq!((span.at(0.0), span.at(1.0)), (-1.0, 0.5));
        for wrong in ["1", "1..", "..1", "a..b", "0..inf", "NaN..1", ""] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert!(span.check([-1.0, 0.5]).is_ok());
        assert!(span.check([0.0, 1.0]).unwrap_err().contains("-1"));
    }
}
