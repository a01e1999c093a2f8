//! The picture's place in the window.

/// A rectangle of the window, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The largest place of the picture's shape, in the middle, on whole pixels; `None` when there is
/// nothing to see.
pub(super) fn letterbox(picture: (u32, u32), window: (u32, u32)) -> Option<Place> {
    let ((pw, ph), (ww, wh)) = (picture, window);
    if pw == 0 || ph == 0 || ww == 0 || wh == 0 {
        return None;
    }
    let [pw64, ph64, ww64, wh64] = [pw, ph, ww, wh].map(u64::from);
    // Compares ww / pw with wh / ph without rounding.
    let (width, height) = if ww64 * ph64 <= wh64 * pw64 {
        (ww, rounded(ph64 * ww64, pw64).clamp(1, wh))
    } else {
        (rounded(pw64 * wh64, ph64).clamp(1, ww), wh)
    };
    Some(Place {
        x: (ww - width) / 2,
        y: (wh - height) / 2,
        width,
        height,
    })
}

fn rounded(product: u64, divisor: u64) -> u32 {
    u32::try_from((product + divisor / 2) / divisor).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Place, letterbox};

    fn place(x: u32, y: u32, width: u32, height: u32) -> Option<Place> {
        Some(Place {
            x,
            y,
            width,
            height,
        })
    }

    #[test]
    fn bars_stand_where_the_shape_leaves_room() {
        assert_eq!(
            letterbox((256, 256), (1920, 1080)),
            place(420, 0, 1080, 1080)
        );
        assert_eq!(
            letterbox((512, 256), (1080, 1920)),
            place(0, 690, 1080, 540)
        );
        assert_eq!(letterbox((640, 480), (640, 480)), place(0, 0, 640, 480));
        assert_eq!(
            letterbox((1024, 1024), (1280, 720)),
            place(280, 0, 720, 720)
        );
    }

    #[test]
    fn tiny_windows_are_no_trouble() {
        assert_eq!(letterbox((256, 256), (0, 10)), None);
        assert_eq!(letterbox((4096, 1), (1, 1)), place(0, 0, 1, 1));
    }
}
