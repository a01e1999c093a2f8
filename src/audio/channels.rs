//! Which channels of an input are heard.

use super::MAX_CHANNELS;
use std::fmt;
use std::str::FromStr;

/// Channels of an input, counted from 0, in rising order, each once; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels(Vec<usize>);

impl Channels {
    /// The channels, from 0.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// So many channels an input must have.
    pub fn needed(&self) -> usize {
        self.0.last().map_or(0, |last| last + 1)
    }
}

impl FromStr for Channels {
    type Err = String;

    /// Numbers from 1 and spans of them: `3`, `3,4`, `1-2,7`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |part: &str| format!("{part:?}: numbers from 1 to {MAX_CHANNELS}, as 3 or 3,4 or 3-4");
        let number = |part: &str| {
            let found: usize = part.trim().parse().map_err(|_parse| wrong(part))?;
            match found {
                1..=MAX_CHANNELS => Ok(found - 1),
                _ => Err(wrong(part)),
            }
        };
        let mut channels = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong(part));
            }
            channels.extend(first..=last);
        }
        channels.sort_unstable();
        channels.dedup();
        Ok(Self(channels))
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, channel) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", channel + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Channels;

    #[test]
    fn numbers_and_spans() {
        for (text, want) in [
            ("1", &[0][..]),
            ("3,4", &[2, 3]),
            ("3-4", &[2, 3]),
            ("7, 1-2, 2", &[0, 1, 6]),
            ("64", &[63]),
        ] {
            let channels: Channels = text.parse().unwrap();
            assert_eq!(channels.as_slice(), want, "{text}");
            assert_eq!(channels.needed(), want.last().unwrap() + 1);
        }
        assert_eq!("3-5,1".parse::<Channels>().unwrap().to_string(), "1,3,4,5");
        for text in [
            "",
            "0",
            "65",
            "4-3",
            "a",
            "1,,2",
            "1-",
            "-1",
            "1-99999999999",
        ] {
            let error = text.parse::<Channels>().unwrap_err();
            assert!(error.contains("1 to 64"), "{text}: {error}");
        }
    }
}
