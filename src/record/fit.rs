//! Placing a picture in a video of another size.

/// How a picture is enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaler {
    /// Lanczos: smooth, for pictures of any kind.
    #[default]
    Lanczos,
    /// Whole multiples, each pixel a square block; the rest is black.
    Pixels,
}

/// A picture's place within a video: its size there and the video's size, all even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) out_width: u32,
    pub(super) out_height: u32,
}

/// The largest picture of the same shape within `size`; without `size`, the picture as it is,
/// plus one black column or row where a side is odd (4:2:0 video has even sides).
pub(super) fn fit(width: u32, height: u32, size: Option<(u32, u32)>, scaler: Scaler) -> Fit {
    let Some((out_width, out_height)) = size else {
        return Fit {
            width,
            height,
            out_width: width.next_multiple_of(2),
            out_height: height.next_multiple_of(2),
        };
    };
    let whole = (out_width / width).min(out_height / height);
    let (w, h) = if scaler == Scaler::Pixels && whole >= 1 {
        (width * whole, height * whole)
    } else {
        let scale = (f64::from(out_width) / f64::from(width))
            .min(f64::from(out_height) / f64::from(height));
        let side = |n: u32, limit: u32| {
            let even = (f64::from(n) * scale / 2.0).round() as u32 * 2;
            even.clamp(2, limit)
        };
        (side(width, out_width), side(height, out_height))
    };
    Fit {
        width: w,
        height: h,
        out_width,
        out_height,
    }
}

impl Fit {
    /// ffmpeg's filter chain: scale and convert in one pass, then bars.
    ///
    /// The matrix is named, for ffmpeg would take BT.601's while the file is tagged BT.709.
    pub(super) fn filter(&self, scaler: Scaler) -> String {
        let flags = match scaler {
            Scaler::Lanczos => "lanczos",
            Scaler::Pixels => "neighbor",
        };
        let Self {
            width,
            height,
            out_width,
            out_height,
        } = self;
        let mut chain = format!(
            "scale=w={width}:h={height}:flags={flags}+accurate_rnd+full_chroma_int+full_chroma_inp:\
             out_color_matrix=bt709:out_range=tv,format=yuv420p"
        );
        if (width, height) != (out_width, out_height) {
            chain += &format!(",pad=w={out_width}:h={out_height}:x=(ow-iw)/2:y=(oh-ih)/2");
        }
        chain += ",setsar=1";
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::{Fit, Scaler, fit};

    fn sides(f: Fit) -> [u32; 4] {
        [f.width, f.height, f.out_width, f.out_height]
    }

    #[test]
    fn a_square_gets_bars_at_the_sides() {
        let f = fit(256, 256, Some((1920, 1080)), Scaler::Lanczos);
        assert_eq!(sides(f), [1080, 1080, 1920, 1080]);
        assert!(f.filter(Scaler::Lanczos).contains("pad=w=1920:h=1080"));
    }

    #[test]
    fn pixels_grow_by_whole_multiples() {
        let f = fit(256, 256, Some((1920, 1080)), Scaler::Pixels);
        assert_eq!(sides(f), [1024, 1024, 1920, 1080]);
        // Larger than the video: nothing else is possible than shrinking.
        let f = fit(256, 256, Some((128, 128)), Scaler::Pixels);
        assert_eq!(sides(f), [128, 128, 128, 128]);
    }

    #[test]
    fn without_a_size_only_odd_sides_change() {
        assert_eq!(
            sides(fit(256, 128, None, Scaler::Lanczos)),
            [256, 128, 256, 128]
        );
        assert_eq!(sides(fit(33, 7, None, Scaler::Lanczos)), [33, 7, 34, 8]);
    }

    #[test]
    fn fitted_sides_are_even_and_inside() {
        for width in (1..400).step_by(7) {
            for height in (1..400).step_by(13) {
                let f = fit(width, height, Some((640, 360)), Scaler::Lanczos);
                assert!(f.width <= 640 && f.height <= 360, "{f:?}");
                assert!(
                    f.width.is_multiple_of(2)
                        && f.height.is_multiple_of(2)
                        && f.width > 0
                        && f.height > 0
                );
            }
        }
    }
}
