//! Structs that cross to the GPU lie there as they lie here.

use crate::shader_validation::parse;
use bendwave::bend::SHADERS;
use bendwave::bend::uniform::BendUniform;
use std::mem::offset_of;

/// Name, offset and size of the members of a struct, and its span, as naga lays it out.
fn layout(module: &naga::Module, name: &str) -> (Vec<(String, usize)>, usize) {
    for (_, ty) in module.types.iter() {
        if ty.name.as_deref() != Some(name) {
            continue;
        }
        if let naga::TypeInner::Struct { members, span } = &ty.inner {
            let members = members
                .iter()
                .map(|m| (m.name.clone().unwrap(), m.offset as usize))
                .collect();
            return (members, *span as usize);
        }
    }
    panic!("no struct `{name}`");
}

macro_rules! fields {
    ($ty:ty: $($field:ident),+ $(,)?) => {
        vec![$((stringify!($field).to_owned(), offset_of!($ty, $field))),+]
    };
}

#[test]
fn bend_uniforms_agree() {
    let rust = fields!(
        BendUniform: size, first_job, amount, matrix, centre, offset, multiply, add, threshold,
        blend, mirror, radius, sign, outer_rows, inner_rows, border, first_tap, field, seed, before,
        after, fresh, mask, mask_at, mask_axis, mask_edge, mask_slope, mask_invert, painting, level, levels,
        padding
    );
    for (stem, source) in SHADERS {
        let (wgsl, span) = layout(&parse(source).unwrap(), "Bend");
        assert_eq!(wgsl, rust, "{stem}");
        assert_eq!(span, size_of::<BendUniform>(), "{stem}");
    }
}

#[test]
fn a_moved_member_is_noticed() {
    let moved = "struct Bend { amount: f32, size: vec2<u32> }\n\
                 @group(0) @binding(0) var<uniform> bend: Bend;";
    let (wgsl, span) = layout(&parse(moved).unwrap(), "Bend");
    let expected = [("amount".to_owned(), 0), ("size".to_owned(), 8)];
    assert_eq!((wgsl.as_slice(), span), (&expected[..], 16));
    assert!(!fields!(BendUniform: amount, size).contains(&wgsl[1]));
}
