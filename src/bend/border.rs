//! What lies beyond the edge of a feature map.

/// How a map goes on beyond its edges, for transforms that read neighbours. Written out for a row
/// `a b c d`:
///
/// | border | left of it | right of it | `OpenCV` | `SciPy` |
/// |---|---|---|---|---|
/// | zero | `0 0 0` | `0 0 0` | `BORDER_CONSTANT` | `constant` |
/// | reflect | `c b a` | `d c b` | `BORDER_REFLECT` | `reflect` |
/// | replicate | `a a a` | `d d d` | `BORDER_REPLICATE` | `nearest` |
/// | wrap | `b c d` | `a b c` | `BORDER_WRAP` | `grid-wrap` |
///
/// The map goes on so without end, in both directions by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// 0 everywhere.
    #[default]
    Zero,
    /// Mirrored at the edge; the outermost value stands twice.
    Reflect,
    /// The outermost value again and again.
    Replicate,
    /// The opposite edge follows.
    Wrap,
}

/// Every border with its name in files. A shader knows it by its place here.
pub const BORDERS: &[(&str, Border)] = &[
    ("zero", Border::Zero),
    ("reflect", Border::Reflect),
    ("replicate", Border::Replicate),
    ("wrap", Border::Wrap),
];

impl Border {
    /// The border of this name.
    pub fn find(name: &str) -> Option<Self> {
        BORDERS.iter().find(|(n, _)| *n == name).map(|(_, b)| *b)
    }

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        BORDERS[self as usize].0
    }

    /// Where position `x` of a row of `len` values is read; `None` outside with [`Self::Zero`].
    pub fn place(self, x: i32, len: i32) -> Option<usize> {
        if (0..len).contains(&x) {
            return Some(x as usize);
        }
        let inside = match self {
            Self::Zero => return None,
            Self::Replicate => x.clamp(0, len - 1),
            Self::Wrap => x.rem_euclid(len),
            Self::Reflect => {
                let x = x.rem_euclid(2 * len);
                x.min(2 * len - 1 - x)
            }
        };
        Some(inside as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{BORDERS, Border};

    #[test]
    fn rows_go_on_as_documented() {
        let row = |border: Border| -> String {
            (-6..10)
                .map(|x| border.place(x, 4).map_or('0', |i| b"abcd"[i] as char))
                .collect()
        };
        assert_eq!(row(Border::Zero), "000000abcd000000");
        assert_eq!(row(Border::Reflect), "cddcbaabcddcbaab");
        assert_eq!(row(Border::Replicate), "aaaaaaabcddddddd");
        assert_eq!(row(Border::Wrap), "cdabcdabcdabcdab");
        for (place, (name, border)) in BORDERS.iter().enumerate() {
            assert_eq!(*border as usize, place);
            assert_eq!((Border::find(name), border.name()), (Some(*border), *name));
            assert_eq!(border.place(-3, 1), (*border != Border::Zero).then_some(0));
        }
    }
}
