//! Finding sound devices.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Device, Host, HostId};

use super::AudioError;

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into bendwave: microphones, line inputs, monitors of outputs.
    Input,
    /// Out of bendwave.
    Output,
}

/// A sound device, as `bendwave devices` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Which way.
    pub direction: Direction,
    /// Number among the devices of its direction, from 0; inputs can be chosen by it.
    pub index: usize,
    /// The sound system that offers it: pulseaudio, alsa, coreaudio, wasapi …
    pub host: String,
    /// Its id in the sound system; the most stable way to choose it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether the system takes it when nothing is chosen.
    pub is_default: bool,
    /// Its usual sample rate in Hz, 0 if it tells none.
    pub sample_rate: u32,
    /// Lowest and highest sample rate in Hz.
    pub sample_rates: (u32, u32),
    /// Its usual number of channels, 0 if it tells none.
    pub channels: usize,
}

/// All inputs, then all outputs, of the sound system that bendwave uses by default. On Linux that
/// is `PulseAudio` or `PipeWire` if it answers, else ALSA. May take seconds when a sound server
/// hangs. Empty without sound hardware.
pub fn devices() -> Vec<DeviceInfo> {
    let host = cpal::default_host();
    let mut all = list(&host, Direction::Input);
    all.extend(list(&host, Direction::Output));
    all
}

/// Whether the sound system writes to stderr by itself while devices are looked for: libasound does,
/// and tries JACK, OSS and others on the way.
pub fn is_talkative() -> bool {
    cfg!(target_os = "linux")
        && cpal::default_host()
            .id()
            .name()
            .eq_ignore_ascii_case("alsa")
}

fn list(host: &Host, direction: Direction) -> Vec<DeviceInfo> {
    let default = match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    };
    let default_id = default.as_ref().map(id_of);
    all_of(host, direction)
        .iter()
        .enumerate()
        .map(|(index, device)| describe(host, direction, index, device, default_id.as_deref()))
        .collect()
}

fn all_of(host: &Host, direction: Direction) -> Vec<Device> {
    match direction {
        Direction::Input => host.input_devices().map(Iterator::collect),
        Direction::Output => host.output_devices().map(Iterator::collect),
    }
    .unwrap_or_default()
}

fn describe(
    host: &Host,
    direction: Direction,
    index: usize,
    device: &Device,
    default_id: Option<&str>,
) -> DeviceInfo {
    let (usual, lowest, highest) = match direction {
        Direction::Input => {
            let ranges = device.supported_input_configs();
            let (low, high) = ranges.map(bounds).unwrap_or_default();
            (device.default_input_config(), low, high)
        }
        Direction::Output => {
            let ranges = device.supported_output_configs();
            let (low, high) = ranges.map(bounds).unwrap_or_default();
            (device.default_output_config(), low, high)
        }
    };
    let usual = usual.ok();
    let id = id_of(device);
    DeviceInfo {
        direction,
        index,
        host: host.id().name().to_owned(),
        is_default: default_id == Some(id.as_str()),
        id,
        name: name_of(device),
        sample_rate: usual.as_ref().map_or(0, |c| c.sample_rate()),
        sample_rates: (lowest, highest),
        channels: usual.as_ref().map_or(0, |c| usize::from(c.channels())),
    }
}

fn bounds(ranges: impl Iterator<Item = cpal::SupportedStreamConfigRange>) -> (u32, u32) {
    ranges.fold((0, 0), |(low, high), range| {
        let lower = range.min_sample_rate();
        let low = if low == 0 { lower } else { low.min(lower) };
        (low, high.max(range.max_sample_rate()))
    })
}

/// The id of a device in its sound system, empty if it has none.
pub(super) fn id_of(device: &Device) -> String {
    device.id().map(|id| id.id().to_owned()).unwrap_or_default()
}

/// What people call a device.
pub(super) fn name_of(device: &Device) -> String {
    device
        .description()
        .map_or_else(|_| id_of(device), |d| d.name().to_owned())
}

/// The sound system `keep`, when a device is looked for again: asking another one would find
/// another device, and ALSA prints its disappointment each time.
pub(super) fn host(keep: Option<HostId>) -> Result<Host, AudioError> {
    keep.map_or_else(
        || Ok(cpal::default_host()),
        |id| {
            cpal::host_from_id(id).map_err(|e| AudioError::Device {
                what: id.name().to_owned(),
                reason: e.to_string(),
            })
        },
    )
}

/// The sound system that a choice names as `host:device`, with the rest; else the default one, or
/// `keep`.
fn host_for(asked: Option<&str>, keep: Option<HostId>) -> Result<(Host, Option<&str>), AudioError> {
    if let Some((name, rest)) = asked.and_then(|asked| asked.split_once(':')) {
        let named = cpal::ALL_HOSTS
            .iter()
            .find(|id| id.name().eq_ignore_ascii_case(name))
            .and_then(|id| cpal::host_from_id(*id).ok());
        if let Some(host) = named {
            return Ok((host, Some(rest)));
        }
    }
    Ok((host(keep)?, asked))
}

/// Whether an output can be opened as an input, which hears what it plays. On Linux the sound server
/// has monitors, which are inputs.
pub const OUTPUTS_ARE_HEARD: bool = cfg!(any(target_os = "windows", target_os = "macos"));

/// The usual format of a device that is to be heard.
pub(super) fn input_config(device: &Device) -> Result<cpal::SupportedStreamConfig, cpal::Error> {
    match device.default_input_config() {
        Err(_) if OUTPUTS_ARE_HEARD => device.default_output_config(),
        result => result,
    }
}

/// A format with at least so many channels, as like `usual` as there is.
pub(super) fn with_channels(
    device: &Device,
    usual: cpal::SupportedStreamConfig,
    needed: usize,
) -> Option<cpal::SupportedStreamConfig> {
    if usize::from(usual.channels()) >= needed {
        return Some(usual);
    }
    device
        .supported_input_configs()
        .ok()?
        .filter(|range| usize::from(range.channels()) >= needed)
        .filter_map(|range| {
            let other_format = range.sample_format() != usual.sample_format();
            let config = range.try_with_sample_rate(usual.sample_rate())?;
            Some((other_format, config.channels(), config))
        })
        .min_by_key(|(other_format, channels, _)| (*other_format, *channels))
        .map(|(.., config)| config)
}

/// The input that `asked` means: a number of [`devices`], an id, a name or a part of one,
/// optionally after `host:`. `None` is the system's default.
pub(super) fn find_input(
    asked: Option<&str>,
    keep: Option<HostId>,
) -> Result<(Host, Device), AudioError> {
    let (host, wanted) = host_for(asked, keep)?;
    let Some(wanted) = wanted else {
        return match host.default_input_device() {
            Some(device) => Ok((host, device)),
            None => Err(AudioError::NoInput {
                host: host.id().name().to_owned(),
            }),
        };
    };
    let mut all = all_of(&host, Direction::Input);
    let numbered = all.len();
    if OUTPUTS_ARE_HEARD {
        all.extend(all_of(&host, Direction::Output));
    }
    let names: Vec<(String, String)> = all.iter().map(|d| (id_of(d), name_of(d))).collect();
    match choose(wanted, &names, numbered) {
        Some(index) => Ok((host, all.swap_remove(index))),
        None if names.is_empty() => Err(AudioError::NoInput {
            host: host.id().name().to_owned(),
        }),
        None => {
            let found: Vec<String> = names
                .iter()
                .enumerate()
                .map(|(index, (id, name))| match index {
                    _ if index < numbered => format!("{index}: {name} ({id})"),
                    _ => format!("what {name} plays ({id})"),
                })
                .collect();
            Err(AudioError::NoSuchInput {
                asked: wanted.to_owned(),
                found: found.join(", "),
            })
        }
    }
}

/// Index among ids and names: exact id or name, then a number below `numbered`, then a part,
/// whatever the case.
fn choose(wanted: &str, names: &[(String, String)], numbered: usize) -> Option<usize> {
    let exact = names
        .iter()
        .position(|(id, name)| id == wanted || name == wanted);
    let number = wanted.parse().ok().filter(|n| *n < numbered);
    let wanted = wanted.to_lowercase();
    let part = || {
        names.iter().position(|(id, name)| {
            id.to_lowercase().contains(&wanted) || name.to_lowercase().contains(&wanted)
        })
    };
    exact.or(number).or_else(part)
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn inputs_are_chosen_by_number_id_name_or_part() {
        let names: Vec<(String, String)> = [
            ("vj.monitor", "Monitor of VJ"),
            ("hw:1", "Scarlett 2i2"),
            ("1", "odd"),
        ]
        .map(|(id, name)| (id.to_owned(), name.to_owned()))
        .to_vec();
        for (wanted, index) in [
            ("0", Some(0)),
            ("1", Some(2)),
            ("2", Some(2)),
            ("hw:1", Some(1)),
            ("scarlett", Some(1)),
            ("Monitor of VJ", Some(0)),
            ("nothing", None),
            ("9", None),
        ] {
            // An output that can be heard has no number among the inputs.
            assert_eq!(choose(wanted, &names, 3), index, "{wanted}");
        }
    }
}
