//! Shapes of feature maps and sets of their channels.

/// Shape of a layer's feature maps: batch 1, NCHW.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Number of feature maps.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl MapShape {
    /// Values in one feature map.
    pub const fn plane_len(self) -> usize {
        self.height * self.width
    }

    /// Values in all feature maps.
    pub const fn len(self) -> usize {
        self.channels * self.plane_len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// One layer's feature maps between two segments, wherever they live. The generator decides that
/// in one place (`generator::residence`); a bend matches on it in one place (`bend::Bender`).
#[derive(Debug)]
#[non_exhaustive]
pub enum FeatureMaps<'a> {
    /// In host memory, contiguous NCHW.
    Host {
        /// `shape.len()` values.
        data: &'a mut [f32],
        /// Channels, rows, columns.
        shape: MapShape,
    },
}

impl FeatureMaps<'_> {
    /// The values, contiguous NCHW.
    pub const fn host(&mut self) -> &mut [f32] {
        match self {
            Self::Host { data, .. } => data,
        }
    }

    /// Channels, rows, columns.
    pub const fn shape(&self) -> MapShape {
        match self {
            Self::Host { shape, .. } => *shape,
        }
    }
}

/// Channels of one layer: sorted, each once, all below the layer's channel count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSet(Vec<u32>);

impl ChannelSet {
    /// Every channel.
    pub fn all(channels: usize) -> Self {
        Self((0..channels as u32).collect())
    }

    /// The given channels, sorted and without repeats; `Err` gives the first that is not below
    /// `channels`.
    ///
    /// # Errors
    /// When an index is out of range.
    pub fn from_indices(
        indices: impl IntoIterator<Item = u32>,
        channels: usize,
    ) -> Result<Self, u32> {
        let mut list: Vec<u32> = indices.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        match list.last() {
            Some(&last) if last as usize >= channels => Err(last),
            _ => Ok(Self(list)),
        }
    }

    /// `floor(channels · share)` channels drawn without replacement, the same for the same seed.
    /// `share` is clamped to \[0, 1\].
    pub fn random(channels: usize, share: f32, seed: u64) -> Self {
        // In f64 with a nudge, so that 0.7 of 10 is 7 and not 6.
        let wanted = (channels as f64 * f64::from(share.clamp(0.0, 1.0)) + 1e-6).floor() as usize;
        let mut list: Vec<u32> = (0..channels as u32).collect();
        let mut state = seed;
        for i in 0..wanted.min(channels) {
            let left = (channels - i) as u64;
            let j = i + ((u128::from(split_mix(&mut state)) * u128::from(left)) >> 64) as usize;
            list.swap(i, j);
        }
        list.truncate(wanted);
        list.sort_unstable();
        Self(list)
    }

    /// The channels, ascending.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no channel is chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One step of `SplitMix64` (Steele, Lea, Flood 2014): a small, stable generator for seeded choices.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::ChannelSet;

    #[test]
    fn random_shares_are_seeded_and_sized() {
        let a = ChannelSet::random(10, 0.7, 1);
        assert_eq!(a.len(), 7);
        assert_eq!(a, ChannelSet::random(10, 0.7, 1));
        assert_ne!(
            ChannelSet::random(64, 0.5, 1),
            ChannelSet::random(64, 0.5, 2)
        );
        assert_eq!(ChannelSet::random(8, 2.0, 3), ChannelSet::all(8));
        assert!(ChannelSet::random(8, 0.0, 3).is_empty());
        assert!(a.as_slice().windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn out_of_range_channels_are_named() {
        assert_eq!(ChannelSet::from_indices([3, 9, 3], 8), Err(9));
        assert_eq!(
            ChannelSet::from_indices([3, 1, 3], 8).map(|s| s.as_slice().to_vec()),
            Ok(vec![1, 3])
        );
    }
}
