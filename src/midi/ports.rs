//! The input ports of this machine.

use midir::{MidiInput, MidiInputPort};
use thiserror::Error;

pub(super) const CLIENT_NAME: &str = "bendwave";

/// What can go wrong with MIDI. None of it stops a performance.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MidiError {
    /// The operating system's MIDI service does not answer.
    #[error("no MIDI here: {SERVICE} does not answer")]
    NoService,
}

#[cfg(all(feature = "jack", target_os = "linux"))]
const SERVICE: &str = "the JACK server";
#[cfg(all(not(feature = "jack"), target_os = "linux"))]
const SERVICE: &str = "ALSA's sequencer (kernel module snd-seq)";
#[cfg(not(target_os = "linux"))]
const SERVICE: &str = "the system's MIDI service";

/// Names of all input ports.
///
/// # Errors
/// [`MidiError::NoService`] when the system has no MIDI at all.
pub fn ports() -> Result<Vec<String>, MidiError> {
    let input = client()?;
    Ok(named_ports(&input)
        .into_iter()
        .map(|(name, _)| name)
        .collect())
}

/// Whether a performer who writes `wanted` means the port `name`: a part of it, in any case.
pub fn name_matches(name: &str, wanted: &str) -> bool {
    name.to_lowercase().contains(&wanted.trim().to_lowercase())
}

pub(super) fn client() -> Result<MidiInput, MidiError> {
    // midir's error says nothing more.
    let mut input = MidiInput::new(CLIENT_NAME).map_err(|_init| MidiError::NoService)?;
    // Not the clock, which midir counts among what can be ignored.
    input.ignore(midir::Ignore::SysexAndActiveSense);
    Ok(input)
}

/// Ports that vanish while we ask have no name and are left out.
pub(super) fn named_ports(input: &MidiInput) -> Vec<(String, MidiInputPort)> {
    input
        .ports()
        .into_iter()
        .filter_map(|port| Some((input.port_name(&port).ok()?, port)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::name_matches;

    #[test]
    fn names_match_by_a_part_in_any_case() {
        let name = "nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTRL 20:0";
        assert!(name_matches(name, "nanokontrol2"));
        assert!(name_matches(name, " NanoKontrol2 "));
        assert!(name_matches(name, ""));
        assert!(!name_matches(name, "MIDI Mix"));
    }
}
