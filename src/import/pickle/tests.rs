use super::{Dtype, MAX_VALUES, Node, Pickle, PickleError, Storage, read};

fn load(bytes: &[u8]) -> Result<Pickle, PickleError> {
    read(&mut &*bytes, 0)
}

/// `{"t": tensor, "n": -1}` as torch writes it, by hand.
fn sample() -> Vec<u8> {
    let mut p = b"\x80\x02}q\x00(X\x01\x00\x00\x00tq\x01".to_vec();
    p.extend(b"ctorch._utils\n_rebuild_tensor_v2\nq\x02((");
    p.extend(b"X\x07\x00\x00\x00storageq\x03ctorch\nHalfStorage\nq\x04");
    p.extend(b"X\x01\x00\x00\x007X\x03\x00\x00\x00cpuK\x0ctQ");
    p.extend(b"K\x02K\x02K\x05\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR");
    p.extend(b"X\x01\x00\x00\x00n\x8a\x01\xffu.");
    p
}

#[test]
fn a_tensor_is_read() {
    let pickle = load(&sample()).unwrap();
    let entries: Vec<_> = pickle.entries(pickle.root()).collect();
    assert_eq!(entries[0].0, "t");
    let Node::Tensor(tensor) = entries[0].1 else {
        panic!("{entries:?}");
    };
    let storage = Storage::Keyed {
        dtype: Dtype::F16,
        key: "7".to_owned(),
        len: 12,
    };
    assert_eq!(tensor.storage, storage);
    assert_eq!(tensor.offset, 2);
    assert_eq!((&*tensor.size, &*tensor.stride), (&[2, 5][..], &[1, 2][..]));
    assert!(matches!(entries[1].1, Node::Int(v) if **v == -1));
}

#[test]
fn every_shorter_pickle_is_cut_off() {
    let whole = sample();
    for len in 0..whole.len() {
        let error = load(&whole[..len]).unwrap_err();
        assert!(
            matches!(error, PickleError::Truncated { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn any_damaged_byte_gives_a_value_or_an_error() {
    let whole = sample();
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut bytes = whole.clone();
            bytes[at] = value;
            drop(load(&bytes));
        }
    }
}

#[test]
fn every_opcode_alone_and_after_a_value_or_mark_is_safe() {
    for head in [
        &b""[..],
        b"N",
        b"(",
        b"(N",
        b"]",
        b"}N",
        b")",
        b"(NN",
        b"N(N",
    ] {
        for code in 0..=255 {
            for tail in [&b"."[..], b"\x00\x00\x00\x00\x00\x00\x00\x00.", b"a\nb\n."] {
                let mut bytes = head.to_vec();
                bytes.push(code);
                bytes.extend(tail);
                drop(load(&bytes));
            }
        }
    }
}

#[test]
fn lengths_allocate_nothing_before_their_bytes_are_there() {
    for head in [
        &b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"[..], // BINUNICODE8
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",      // BINBYTES8
        b"X\xff\xff\xff\x7f",                         // BINUNICODE
        b"B\xff\xff\xff\x02",                         // BINBYTES
        b"\x8b\xff\xff\xff\xff",                      // LONG4
    ] {
        let error = load(head).unwrap_err();
        assert!(
            matches!(
                error,
                PickleError::TooLarge { .. }
                    | PickleError::Truncated { .. }
                    | PickleError::Malformed { .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn endless_values_and_depth_end() {
    let error = load(&vec![b'N'; MAX_VALUES + 2]).unwrap_err();
    assert!(matches!(error, PickleError::TooLarge { .. }), "{error}");
    let error = load(&vec![b'('; MAX_VALUES + 2]).unwrap_err();
    assert!(matches!(error, PickleError::TooLarge { .. }), "{error}");
    // A list in a list in a list…: no recursion, neither to read nor to drop.
    let mut deep = vec![b']'; 1_000_000];
    deep.extend(vec![b'a'; 999_999]);
    deep.push(b'.');
    assert!(matches!(load(&deep).unwrap().root(), Node::List(l) if l.len() == 1));
    // A list that holds itself.
    assert!(load(b"]q\x00h\x00a.").is_ok());
}

#[test]
fn a_name_outside_the_list_is_refused_by_name() {
    for (bytes, full) in [
        (&b"cposix\nsystem\n."[..], "posix.system"),
        (b"\x8c\x08builtins\x8c\x04eval\x93.", "builtins.eval"),
        (b"ctorch\nload\n.", "torch.load"),
        (b"ctorch\nQInt8Storage\n.", "torch.QInt8Storage"),
    ] {
        let error = load(bytes).unwrap_err();
        assert!(matches!(error, PickleError::Refused { .. }));
        assert!(error.to_string().contains(full), "{error}");
    }
    // Calling what is no function, extensions, out-of-band buffers, old text opcodes.
    for bytes in [&b"N)R."[..], b"\x82\x01.", b"\x97.", b"i", b"o", b"I1\n."] {
        assert!(load(bytes).is_err());
    }
}

#[test]
fn a_tensor_of_too_many_axes_or_negative_size_is_refused() {
    let whole = sample();
    let at = whole.windows(2).position(|w| w == b"\x02\x86").unwrap();
    // TUPLE2 → TUPLE1: sizes and strides no longer agree.
    let mut bytes = whole.clone();
    bytes[at + 1] = 0x85;
    assert!(load(&bytes).is_err());
    let mut bytes = whole;
    let at = bytes.windows(3).position(|w| w == b"K\x0ct").unwrap();
    bytes.splice(at..at + 2, *b"J\xff\xff\xff\xff");
    assert!(matches!(load(&bytes), Err(PickleError::Malformed { .. })));
}
