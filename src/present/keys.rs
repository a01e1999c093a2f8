//! The keyboard of a performance.

use crate::clock::ClockAction;
use winit::keyboard::{Key, KeyCode, NamedKey, PhysicalKey};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Leave,
    ToggleFullscreen,
    ToggleStats,
    ToggleMeters,
    ToggleHelp,
    ToggleBlackout,
    TogglePause,
    NextSeed,
    Clock(ClockAction),
    Recluster,
    Redraw,
    SaveLatent,
}

/// All keys: letter for the letters, name, action, what it does.
const KEYS: &[(&str, Action, &str)] = &[
    ("Esc", Action::Leave, "leave"),
    ("F", Action::ToggleFullscreen, "fullscreen on and off"),
    ("S", Action::ToggleStats, "numbers on and off (also Tab)"),
    (
        "M",
        Action::ToggleMeters,
        "meters of what is heard, on and off",
    ),
    ("H", Action::ToggleHelp, "this help"),
    ("B", Action::ToggleBlackout, "black on and off"),
    ("P", Action::TogglePause, "hold the picture, and go on"),
    ("Space", Action::NextSeed, "a new seed"),
    ("T", Action::Clock(ClockAction::Tap), "tap the tempo"),
    ("R", Action::Clock(ClockAction::Resync), "a bar begins now"),
    (
        "Left",
        Action::Clock(ClockAction::Earlier),
        "beats 10 ms earlier",
    ),
    (
        "Right",
        Action::Clock(ClockAction::Later),
        "beats 10 ms later",
    ),
    ("Down", Action::Clock(ClockAction::Half), "half the tempo"),
    ("Up", Action::Clock(ClockAction::Double), "twice the tempo"),
    (
        "C",
        Action::Clock(ClockAction::NextSource),
        "another clock: auto, tracker, tap, midi, link",
    ),
    ("G", Action::Recluster, "clusters of this very picture"),
    (
        "D",
        Action::Redraw,
        "draw random features anew (features: random)",
    ),
    ("L", Action::SaveLatent, "save the latent (still --latent)"),
];

/// Keys and their meaning, for help texts.
pub fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().map(|(key, _, text)| (*key, *text))
}

/// The action of a key: by its letter, or by its place where the layout has no Latin letters.
pub(super) fn action(logical: &Key, physical: PhysicalKey) -> Option<Action> {
    match logical {
        Key::Named(NamedKey::Escape) => Some(Action::Leave),
        Key::Named(NamedKey::Tab) => Some(Action::ToggleStats),
        Key::Named(NamedKey::Space) => Some(Action::NextSeed),
        Key::Named(NamedKey::ArrowLeft) => Some(Action::Clock(ClockAction::Earlier)),
        Key::Named(NamedKey::ArrowRight) => Some(Action::Clock(ClockAction::Later)),
        Key::Named(NamedKey::ArrowDown) => Some(Action::Clock(ClockAction::Half)),
        Key::Named(NamedKey::ArrowUp) => Some(Action::Clock(ClockAction::Double)),
        Key::Character(text) if text == " " => Some(Action::NextSeed),
        Key::Character(text) if text.is_ascii() => letter(text),
        Key::Character(_) => letter(match physical {
            PhysicalKey::Code(KeyCode::KeyF) => "F",
            PhysicalKey::Code(KeyCode::KeyS) => "S",
            PhysicalKey::Code(KeyCode::KeyM) => "M",
            PhysicalKey::Code(KeyCode::KeyH) => "H",
            PhysicalKey::Code(KeyCode::KeyB) => "B",
            PhysicalKey::Code(KeyCode::KeyP) => "P",
            PhysicalKey::Code(KeyCode::KeyT) => "T",
            PhysicalKey::Code(KeyCode::KeyR) => "R",
            PhysicalKey::Code(KeyCode::KeyC) => "C",
            PhysicalKey::Code(KeyCode::KeyG) => "G",
            PhysicalKey::Code(KeyCode::KeyD) => "D",
            PhysicalKey::Code(KeyCode::KeyL) => "L",
            _ => return None,
        }),
        _ => None,
    }
}

fn letter(text: &str) -> Option<Action> {
    let found = KEYS
        .iter()
        .find(|(key, ..)| key.len() == 1 && key.eq_ignore_ascii_case(text))?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use winit::keyboard::{Key, KeyCode, NamedKey, PhysicalKey};

    use super::{Action, action};

    #[test]
    fn letters_count_not_places() {
        // French layout: what a US keyboard calls Q gives "a".
        let place = PhysicalKey::Code(KeyCode::KeyF);
        assert_eq!(
            action(&Key::Character("b".into()), place),
            Some(Action::ToggleBlackout)
        );
        assert_eq!(
            action(&Key::Character("B".into()), place),
            Some(Action::ToggleBlackout)
        );
        assert_eq!(action(&Key::Character("x".into()), place), None);
        // Cyrillic layout.
        assert_eq!(
            action(&Key::Character("а".into()), place),
            Some(Action::ToggleFullscreen)
        );
        assert_eq!(
            action(&Key::Named(NamedKey::Escape), place),
            Some(Action::Leave)
        );
        assert_eq!(action(&Key::Named(NamedKey::Shift), place), None);
    }
}
