//! Finished pictures on their way to the window and the encoder.

use std::sync::Arc;
use std::time::Instant;

/// One finished picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// sRGB, 8 bit, RGBA, row by row; alpha is 255.
    pub rgba: Vec<u8>,
    /// Counts from 0 in the order of making.
    pub index: u64,
    /// Time on the sound's clock, in microseconds since its first sample.
    pub at_micros: u64,
    /// When its making began: what it shows is as of then.
    pub began: Instant,
}

/// A picture that several readers share.
pub type SharedFrame = Arc<Frame>;

impl Frame {
    /// A black picture.
    pub fn black(width: u32, height: u32) -> Self {
        let mut rgba = vec![0; width as usize * height as usize * 4];
        for pixel in rgba.chunks_exact_mut(4) {
            pixel[3] = 255;
        }
        Self {
            width,
            height,
            rgba,
            index: 0,
            at_micros: 0,
            began: Instant::now(),
        }
    }

    /// Fills the picture from the generator's `[3, height, width]`: −1 is black, 1 is full,
    /// `round((x + 1) · 127.5)` clamped; NaN is black.
    pub fn fill_from_chw(&mut self, image: &[f32]) {
        let plane = self.width as usize * self.height as usize;
        debug_assert_eq!(image.len(), 3 * plane);
        let (red, rest) = image.split_at(plane);
        let (green, blue) = rest.split_at(plane);
        // `as u8` saturates and sends NaN to 0.
        let byte = |x: f32| x.mul_add(127.5, 128.0) as u8;
        for (pixel, ((r, g), b)) in self
            .rgba
            .chunks_exact_mut(4)
            .zip(red.iter().zip(green).zip(blue))
        {
            pixel.copy_from_slice(&[byte(*r), byte(*g), byte(*b), 255]);
        }
    }
}

/// Hands out frames and takes their memory back once nobody holds them.
#[derive(Debug, Default)]
pub struct FramePool {
    frames: Vec<SharedFrame>,
}

impl FramePool {
    /// A frame that nobody else holds, of this size, contents unspecified. Grows the pool only when
    /// all frames are held: bounded by what the readers keep.
    pub fn take(&mut self, width: u32, height: u32) -> SharedFrame {
        self.frames
            .retain(|f| f.width == width && f.height == height);
        let free = self
            .frames
            .iter_mut()
            .position(|f| Arc::get_mut(f).is_some());
        match free {
            Some(index) => self.frames.swap_remove(index),
            None => Arc::new(Frame::black(width, height)),
        }
    }

    /// Remembers a frame, so that its memory comes back when the readers let go.
    pub fn remember(&mut self, frame: &SharedFrame) {
        self.frames.push(Arc::clone(frame));
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, FramePool};
    use std::sync::Arc;

    #[test]
    fn values_become_bytes() {
        let mut frame = Frame::black(2, 1);
        frame.fill_from_chw(&[-1.0, 1.0, 0.0, 5.0, -9.0, f32::NAN]);
        assert_eq!(frame.rgba, [0, 128, 0, 255, 255, 255, 0, 255]);
    }

    #[test]
    fn memory_comes_back() {
        let mut pool = FramePool::default();
        let a = pool.take(2, 2);
        pool.remember(&a);
        let place = Arc::as_ptr(&a);
        assert_ne!(place, Arc::as_ptr(&pool.take(2, 2)));
        drop(a);
        assert_eq!(place, Arc::as_ptr(&pool.take(2, 2)));
    }
}
