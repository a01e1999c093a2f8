//! The one place where transforms are declared.
//!
//! Files, panels and controller mappings read [`TRANSFORMS`]; so do the benders. A new transform is
//! one entry here, plus a kernel (WGSL entry and CPU twin) where none of [`super::kernel`] fits.
//!
//! The papers' transforms follow *Network Bending* (Broad, Leymarie, Grierson 2021, section 4), and
//! for what the paper leaves open (centre, border, structuring element) the paper's tool, which uses
//! OpenCV. `docs/bends.md` explains all of them to performers.

use super::border::Border;
use super::prepare;
use super::spec::{Identity, Missing, ParamSpec, Reads, TransformSpec};
use super::uniform::{MAX_RADIUS, MAX_SIGMA};

/// Every transform, in the order in which panels list them.
pub static TRANSFORMS: &[TransformSpec] = &[
    TransformSpec {
        name: "ablate",
        aliases: &[],
        doc: "x · 0",
        params: &[AMOUNT],
        border: None,
        reads: Reads::Map,
        prepare: |_, _, u| prepare::linear(0.0, 0.0, u),
    },
    TransformSpec {
        name: "invert",
        aliases: &[],
        doc: "1 − x",
        params: &[AMOUNT],
        border: None,
        reads: Reads::Map,
        prepare: |_, _, u| prepare::linear(-1.0, 1.0, u),
    },
    TransformSpec {
        name: "scalar-multiply",
        aliases: &[],
        doc: "x · factor",
        params: &[
            ParamSpec {
                name: "factor",
                unit: "",
                range: [-2.0, 3.0],
                limits: [-1e6, 1e6],
                identity: Identity::At(1.0),
                missing: Missing::Required,
            },
            AMOUNT,
        ],
        border: None,
        reads: Reads::Map,
        prepare: |p, _, u| prepare::linear(p[0], 0.0, u),
    },
    TransformSpec {
        name: "binary-thresh",
        // The tool's sample of all transforms spells it so once, without a parameter.
        aliases: &["binary-tresh"],
        doc: "1 where x ≥ threshold, else 0",
        params: &[THRESHOLD, AMOUNT],
        border: None,
        reads: Reads::Map,
        prepare: |p, _, u| prepare::threshold(p[0], 0.0, u),
    },
    TransformSpec {
        name: "smooth-thresh",
        aliases: &["smooth-threshold"],
        doc: "0 below the threshold, 1 above, a smooth rise of width `softness` between",
        params: &[
            THRESHOLD,
            ParamSpec {
                name: "softness",
                unit: "",
                range: [0.0, 2.0],
                limits: [0.0, 1e6],
                identity: Identity::Free,
                missing: Missing::Value(0.5),
            },
            AMOUNT,
        ],
        border: None,
        reads: Reads::Map,
        prepare: |p, _, u| prepare::threshold(p[0], p[1], u),
    },
    TransformSpec {
        name: "posterise",
        aliases: &["posterize"],
        doc: "rounded to the nearest of `levels` equal steps from `low` to `high`",
        params: &[
            ParamSpec {
                name: "levels",
                unit: "",
                range: [2.0, 8.0],
                limits: [1.0, 256.0],
                identity: Identity::Never,
                missing: Missing::Value(4.0),
            },
            level("low", -1.0, [-2.0, 1.0]),
            level("high", 3.0, [0.0, 6.0]),
            AMOUNT,
        ],
        border: None,
        reads: Reads::Map,
        prepare: |p, _, u| prepare::posterise(p[0], p[1], p[2], u),
    },
    TransformSpec {
        name: "noise",
        aliases: &[],
        doc: "x + level · noise of variance 1, a new one `rate` times a second",
        params: &[
            ParamSpec {
                name: "level",
                unit: "",
                range: [0.0, 1.0],
                limits: [0.0, 1e6],
                identity: Identity::At(0.0),
                missing: Missing::Required,
            },
            ParamSpec {
                name: "rate",
                unit: "Hz",
                range: [0.0, 30.0],
                limits: [0.0, 1e3],
                identity: Identity::Free,
                missing: Missing::Value(8.0),
            },
            AMOUNT,
        ],
        border: None,
        reads: Reads::Time,
        prepare: |p, site, u| prepare::noise(p[0], p[1], site, u),
    },
    TransformSpec {
        name: "flip-h",
        aliases: &[],
        doc: "mirrored left to right",
        params: &[AMOUNT],
        border: None,
        reads: Reads::Map,
        prepare: |_, _, u| prepare::flip([1, 0], u),
    },
    TransformSpec {
        name: "flip-v",
        aliases: &[],
        doc: "mirrored top to bottom",
        params: &[AMOUNT],
        border: None,
        reads: Reads::Map,
        prepare: |_, _, u| prepare::flip([0, 1], u),
    },
    TransformSpec {
        name: "translate",
        aliases: &[],
        doc: "moved right by x and down by y",
        params: &[
            shift("x", "of width", Missing::Required),
            shift("y", "of height", Missing::Required),
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::translate(p[0], p[1], site, u),
    },
    TransformSpec {
        name: "scale",
        aliases: &[],
        doc: "magnified about the centre; 0 fills with the top left value",
        params: &[
            factor("x", Missing::Required),
            factor("y", Missing::Like(0)),
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::scale(p[0], p[1], site, u),
    },
    TransformSpec {
        name: "rotate",
        aliases: &[],
        doc: "turned counter-clockwise about the centre",
        params: &[
            ParamSpec {
                name: "angle",
                unit: "°",
                range: [-180.0, 180.0],
                limits: [-1e6, 1e6],
                identity: Identity::At(0.0),
                missing: Missing::Required,
            },
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::rotate(p[0], site, u),
    },
    TransformSpec {
        name: "shear",
        aliases: &[],
        doc: "rows moved right by x for each row below the centre, columns down by y",
        params: &[
            entry("x", 0.0, Missing::Required),
            entry("y", 0.0, Missing::Value(0.0)),
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::affine([1.0, p[0], 0.0, p[1], 1.0, 0.0], site, u),
    },
    TransformSpec {
        name: "affine",
        aliases: &[],
        doc: "any linear map about the centre, \\[xx xy; yx yy\\], and a shift by (x, y)",
        params: &[
            entry("xx", 1.0, Missing::Required),
            entry("xy", 0.0, Missing::Required),
            shift("x", "of width", Missing::Required),
            entry("yx", 0.0, Missing::Required),
            entry("yy", 1.0, Missing::Required),
            shift("y", "of height", Missing::Required),
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::affine([p[0], p[1], p[2], p[3], p[4], p[5]], site, u),
    },
    TransformSpec {
        name: "erode",
        aliases: &[],
        doc: "lowest value within a disc",
        params: &[RADIUS, AMOUNT],
        border: Some(Border::Replicate),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::extremum(p[0], -1.0, site, u),
    },
    TransformSpec {
        name: "dilate",
        aliases: &[],
        doc: "highest value within a disc",
        params: &[RADIUS, AMOUNT],
        border: Some(Border::Replicate),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::extremum(p[0], 1.0, site, u),
    },
    TransformSpec {
        name: "blur",
        aliases: &[],
        doc: "Gaussian mean",
        params: &[sigma(Identity::At(0.0), 3.0, 8.0), AMOUNT],
        border: Some(Border::Reflect),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::blur(p[0], 1.0, site, u),
    },
    TransformSpec {
        name: "sharpen",
        aliases: &[],
        doc: "x + strength · (x − blurred x)",
        params: &[
            ParamSpec {
                name: "strength",
                unit: "",
                range: [0.0, 2.0],
                limits: [0.0, 1e3],
                identity: Identity::At(0.0),
                missing: Missing::Required,
            },
            sigma(Identity::Free, 1.0, 4.0),
            AMOUNT,
        ],
        border: Some(Border::Reflect),
        reads: Reads::Map,
        prepare: |p, site, u| prepare::blur(p[1], -p[0], site, u),
    },
    TransformSpec {
        name: "feedback",
        aliases: &[],
        doc: "follows the map with a lag of `secs`; what stays moves, zooms and turns meanwhile",
        params: &[
            ParamSpec {
                name: "secs",
                unit: "s",
                range: [0.0, 3.0],
                limits: [0.0, 3600.0],
                identity: Identity::At(0.0),
                missing: Missing::Required,
            },
            ParamSpec {
                name: "zoom",
                unit: "a second",
                range: [0.5, 2.0],
                limits: [0.01, 100.0],
                identity: Identity::Free,
                missing: Missing::Value(1.0),
            },
            speed("angle", "° a second", [-180.0, 180.0]),
            speed("x", "of width a second", [-1.0, 1.0]),
            speed("y", "of height a second", [-1.0, 1.0]),
            AMOUNT,
        ],
        border: Some(Border::Zero),
        reads: Reads::Past,
        prepare: |p, site, u| prepare::feedback(p, site, u),
    },
    TransformSpec {
        name: "mix",
        aliases: &[],
        doc: "gain · other features of the layer (`with:`) + keep · x",
        params: &[
            ParamSpec {
                name: "gain",
                unit: "",
                range: [-2.0, 2.0],
                limits: [-1e6, 1e6],
                identity: Identity::At(0.0),
                missing: Missing::Value(1.0),
            },
            ParamSpec {
                name: "keep",
                unit: "",
                range: [-1.0, 1.0],
                limits: [-1e6, 1e6],
                identity: Identity::At(1.0),
                missing: Missing::Value(0.0),
            },
            AMOUNT,
        ],
        border: None,
        reads: Reads::Partners,
        prepare: |p, _, u| prepare::mix(p[0], p[1], u),
    },
];

/// The last parameter of every transform: `out = x + (T(x) − x) · amount`.
const AMOUNT: ParamSpec = ParamSpec {
    name: "amount",
    unit: "",
    range: [0.0, 1.0],
    limits: [0.0, 1.0],
    identity: Identity::At(0.0),
    missing: Missing::Value(1.0),
};

const THRESHOLD: ParamSpec = ParamSpec {
    name: "threshold",
    unit: "",
    range: [0.0, 1.0],
    limits: [-1e6, 1e6],
    identity: Identity::Never,
    missing: Missing::Value(0.5),
};

/// Radius of erosion and dilation. Between two whole radii the results are blended, so that a knob
/// does not click.
const RADIUS: ParamSpec = ParamSpec {
    name: "radius",
    unit: "px",
    range: [0.0, 6.0],
    limits: [0.0, MAX_RADIUS as f32],
    identity: Identity::At(0.0),
    missing: Missing::Required,
};

const fn sigma(identity: Identity, value: f32, most: f32) -> ParamSpec {
    ParamSpec {
        name: "sigma",
        unit: "px",
        range: [0.0, most],
        limits: [0.0, MAX_SIGMA],
        identity,
        missing: Missing::Value(value),
    }
}

const fn shift(name: &'static str, unit: &'static str, missing: Missing) -> ParamSpec {
    ParamSpec {
        name,
        unit,
        range: [-0.5, 0.5],
        limits: [-1e3, 1e3],
        identity: Identity::At(0.0),
        missing,
    }
}

const fn factor(name: &'static str, missing: Missing) -> ParamSpec {
    ParamSpec {
        name,
        unit: "",
        range: [0.3, 2.5],
        limits: [-1e3, 1e3],
        identity: Identity::At(1.0),
        missing,
    }
}

/// An entry of a matrix.
const fn entry(name: &'static str, identity: f32, missing: Missing) -> ParamSpec {
    ParamSpec {
        name,
        unit: "",
        range: [-2.0, 2.0],
        limits: [-1e3, 1e3],
        identity: Identity::At(identity),
        missing,
    }
}

/// An end of a range of values.
const fn level(name: &'static str, value: f32, range: [f32; 2]) -> ParamSpec {
    ParamSpec {
        name,
        unit: "",
        range,
        limits: [-1e6, 1e6],
        identity: Identity::Free,
        missing: Missing::Value(value),
    }
}

/// A steady movement.
const fn speed(name: &'static str, unit: &'static str, range: [f32; 2]) -> ParamSpec {
    ParamSpec {
        name,
        unit,
        range,
        limits: [-1e4, 1e4],
        identity: Identity::Free,
        missing: Missing::Value(0.0),
    }
}
