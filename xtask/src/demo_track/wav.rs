//! 16-bit WAV.

use super::voices::Noise;

/// A stereo WAV file, 16 bit with triangular dither.
pub(crate) fn bytes(samples: &[f32], sample_rate: u32) -> Vec<u8> {
    let data_len = (samples.len() * 2) as u32;
    let mut out = Vec::with_capacity(44 + samples.len() * 2);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + data_len).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    for short in [1_u16, 2] {
        out.extend_from_slice(&short.to_le_bytes());
    }
    out.extend_from_slice(&sample_rate.to_le_bytes());
    out.extend_from_slice(&(sample_rate * 4).to_le_bytes());
    for short in [4_u16, 16] {
        out.extend_from_slice(&short.to_le_bytes());
    }
    out.extend_from_slice(b"data");
    out.extend_from_slice(&data_len.to_le_bytes());
    let mut noise = Noise::new(99);
    for sample in samples {
        // Digital silence stays digital silence.
        let dither = if *sample == 0.0 {
            0.0
        } else {
            0.5 * (noise.next() + noise.next())
        };
        let value = (sample * 32_767.0 + dither)
            .round()
            .clamp(-32_768.0, 32_767.0);
        out.extend_from_slice(&(value as i16).to_le_bytes());
    }
    out
}
