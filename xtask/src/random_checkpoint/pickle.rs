//! The pickle of a state dict, protocol 2.

use super::Tensor;

/// `{outer: OrderedDict(name → tensor, …)}`. The storage of tensor i has the key `i`.
pub(super) fn state_dict(outer: &str, tensors: &[Tensor]) -> Vec<u8> {
    let mut out = b"\x80\x02}".to_vec();
    text(&mut out, outer);
    empty_ordered_dict(&mut out);
    out.push(b'(');
    for (key, tensor) in tensors.iter().enumerate() {
        text(&mut out, &tensor.name);
        rebuilt(&mut out, key, &tensor.shape);
    }
    out.extend(b"us.");
    out
}

/// `_rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`.
fn rebuilt(out: &mut Vec<u8>, key: usize, shape: &[usize]) {
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend(b"ctorch\nFloatStorage\n");
    text(out, &key.to_string());
    text(out, "cpu");
    int(out, shape.iter().product());
    out.extend(b"tQK\x00");
    let strides: Vec<usize> = (1..=shape.len())
        .map(|i| shape[i..].iter().product())
        .collect();
    for dims in [shape, &strides] {
        out.push(b'(');
        dims.iter().for_each(|&d| int(out, d));
        out.push(b't');
    }
    out.push(0x89);
    empty_ordered_dict(out);
    out.extend(b"tR");
}

fn empty_ordered_dict(out: &mut Vec<u8>) {
    out.extend(b"ccollections\nOrderedDict\n)R");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Sizes stay far below 2³¹.
fn int(out: &mut Vec<u8>, value: usize) {
    out.push(b'J');
    out.extend((value as i32).to_le_bytes());
}
