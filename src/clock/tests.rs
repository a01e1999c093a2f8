use super::{Clock, ClockAction, ClockChoice, ClockSource, Line, Transport};
use crate::signal::Beat;

/// A performance: frames at some rate, with a clock whose beats are checked at each.
struct Show {
    clock: Clock,
    secs: f64,
    fps: f64,
    last: Option<Beat>,
}

impl Show {
    fn new(choice: ClockChoice, fps: f64) -> Self {
        Self {
            clock: Clock::new(choice),
            secs: 100.0,
            fps,
            last: None,
        }
    }

    /// Frames for `secs`; before each, `feed` gets the clock and the time.
    #[track_caller]
    fn go(&mut self, secs: f64, mut feed: impl FnMut(&mut Clock, f64)) -> Beat {
        let until = self.secs + secs - 1e-9;
        let mut beat = Beat::NONE;
        while self.secs < until {
            self.secs += 1.0 / self.fps;
            feed(&mut self.clock, self.secs);
            beat = self.clock.beat_at(self.secs);
            assert!((0.0..1.0).contains(&beat.phase), "{beat:?}");
            if let Some(before) = self.last {
                let at = |b: &Beat| b.count as f64 + f64::from(b.phase);
                assert!(at(&beat) >= at(&before) - 1e-6, "{before:?} then {beat:?}");
                assert!(at(&beat) <= at(&before) + 4.5, "{before:?} then {beat:?}");
            }
            if beat.is_running() {
                assert_eq!(u64::from(beat.beat_in_bar), beat.count % 4);
                self.last = Some(beat);
            }
        }
        beat
    }
}

/// What a perfect tracker says at `secs`, of music at `bpm` whose first downbeat was at 0.
fn heard(secs: f64, bpm: f64) -> Beat {
    let beats = secs * bpm / 60.0;
    Beat {
        phase: beats.fract() as f32,
        beat_in_bar: (beats as u64 % 4) as u8,
        bpm: bpm as f32,
        confidence: 0.8,
        count: beats as u64,
    }
}

/// Distance of the beat from `beats`, at most half a bar.
fn off(beat: &Beat, beats: f64) -> f64 {
    super::nearest(beats, beat.count as f64 + f64::from(beat.phase), 4.0)
}

/// Even in \[−1, 1\], the same each time.
fn noise(index: i64) -> f64 {
    let bits = (index as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23);
    (bits.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Pulses of a sender whose beat 0 was at 0, up to `secs`, each up to 4 ms late.
#[derive(Default)]
struct Cable {
    sent: i64,
}

impl Cable {
    fn send(&mut self, clock: &mut Clock, secs: f64, bpm: f64) {
        let period = 60.0 / bpm / 24.0;
        while (self.sent + 1) as f64 * period <= secs {
            self.sent += 1;
            let late = 0.002 * (1.0 + noise(self.sent));
            clock.transport(self.sent as f64 * period + late, 1, Transport::Pulse);
        }
    }

    /// Skips what came before `secs`.
    fn plug(secs: f64, bpm: f64) -> Self {
        Self {
            sent: (secs / (60.0 / bpm / 24.0)) as i64,
        }
    }
}

#[test]
fn choices_are_words_or_a_tempo() {
    for (text, choice) in [
        ("auto", ClockChoice::Auto),
        (" MIDI ", ClockChoice::Midi),
        ("tap", ClockChoice::Tap),
        ("tracker", ClockChoice::Tracker),
        ("Link", ClockChoice::Link),
        ("128.5", ClockChoice::Fixed(128.5)),
    ] {
        assert_eq!(text.parse(), Ok(choice));
    }
    for text in ["", "links", "0", "19", "401", "nan", "-120", "inf"] {
        let error = text.parse::<ClockChoice>().unwrap_err();
        assert!(error.contains("from 20 to 400"), "{text}: {error}");
    }
}

#[test]
fn nothing_heard_is_no_beat() {
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    assert_eq!(show.go(1.0, |_, _| {}), Beat::NONE);
    assert_eq!(show.clock.source(), ClockSource::None);
}

#[test]
fn the_tracker_is_followed_ahead_of_time() {
    // Snapshots are 60 ms old, uneven, and the tracker's phase trembles by ±15 ms.
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    let ahead = 0.05;
    for _ in 0..4 {
        let beat = show.go(3.0, |clock, secs| {
            let frame = (secs * 60.0).round() as i64;
            let old = secs - ahead - 0.06 - 0.005 * noise(frame);
            let trembling = old + 0.015 * noise(frame / 16);
            clock.hear(old, &heard(trembling, 126.0));
        });
        let error = off(&beat, show.secs * 126.0 / 60.0);
        assert!(error.abs() < 0.05, "{error}");
        assert!((beat.bpm - 126.0).abs() < 1e-3 && beat.confidence == 0.8);
    }
    assert_eq!(show.clock.source(), ClockSource::Tracker);
}

#[test]
fn a_break_and_a_jump_of_the_tracker_are_smooth() {
    let mut show = Show::new(ClockChoice::Auto, 144.0);
    show.go(2.0, |clock, secs| clock.hear(secs, &heard(secs, 120.0)));
    // The tracker gives up for 10 s: the tempo goes on, ever less sure.
    let beat = show.go(10.0, |clock, secs| clock.hear(secs, &Beat::NONE));
    assert_eq!(show.clock.source(), ClockSource::Coasting);
    assert!(off(&beat, show.secs * 2.0).abs() < 0.01);
    assert!(beat.confidence < 0.4 && beat.bpm == 120.0);
    // It comes back a third of a beat elsewhere: caught up within a beat and a half.
    let moved = |secs: f64| heard(secs + 0.16, 120.0);
    let beat = show.go(0.75, |clock, secs| clock.hear(secs, &moved(secs)));
    assert!(off(&beat, (show.secs + 0.16) * 2.0).abs() < 0.02);
}

#[test]
fn a_bar_that_wavers_is_not_followed_one_that_stays_is() {
    let mut show = Show::new(ClockChoice::Tracker, 60.0);
    show.go(2.0, |clock, secs| clock.hear(secs, &heard(secs, 120.0)));
    let shifted = |secs: f64| Beat {
        beat_in_bar: ((secs * 2.0) as u64 % 4 + 1) as u8 % 4,
        ..heard(secs, 120.0)
    };
    let beat = show.go(2.0, |clock, secs| clock.hear(secs, &shifted(secs)));
    assert!(off(&beat, show.secs * 2.0).abs() < 0.02, "after a bar");
    let beat = show.go(4.0, |clock, secs| clock.hear(secs, &shifted(secs)));
    assert!(
        off(&beat, show.secs * 2.0 + 1.0).abs() < 0.02,
        "after three"
    );
}

#[test]
fn midi_clock_leads_and_follows_its_tempo_and_its_loss() {
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    let tracked = |clock: &mut Clock, secs: f64| clock.hear(secs, &heard(secs, 123.0));
    show.go(1.0, tracked);
    let mut cable = Cable::plug(show.secs, 120.0);
    let start = cable.sent;
    let beat = show.go(4.0, |clock, secs| {
        tracked(clock, secs);
        cable.send(clock, secs, 120.0);
    });
    assert_eq!(show.clock.source(), ClockSource::Midi);
    assert!((beat.bpm - 120.0).abs() < 0.5, "{beat:?}");
    let sent = |cable: &Cable| (cable.sent - start) as f64 / 24.0;
    // The pulse before this frame may be a whole period old.
    let error = off(&beat, sent(&cable) - 1.0 / 24.0);
    assert!((-0.03..0.08).contains(&error), "{error}");
    // Another tempo; the pulses are numbered from its own start.
    let mut faster = Cable::plug(show.secs, 128.0);
    let beat = show.go(2.0, |clock, secs| faster.send(clock, secs, 128.0));
    assert!((beat.bpm - 128.0).abs() < 0.6, "{beat:?}");
    // The cable falls out: coasting needs a tracker no more.
    let beat = show.go(2.5, tracked);
    assert_eq!(show.clock.source(), ClockSource::Tracker);
    assert!((beat.bpm - 123.0).abs() < 1e-3);
    // Only MIDI is wanted: its tempo goes on.
    show.clock.choose(ClockChoice::Midi);
    let beat = show.go(1.0, tracked);
    assert_eq!(show.clock.source(), ClockSource::Coasting);
    assert!((beat.bpm - 123.0).abs() < 1e-3);
}

#[test]
fn two_cables_do_not_mix() {
    let mut show = Show::new(ClockChoice::Midi, 60.0);
    let mut cable = Cable::plug(show.secs, 120.0);
    show.go(0.5, |clock, secs| cable.send(clock, secs, 120.0));
    let beat = show.go(4.0, |clock, secs| {
        cable.send(clock, secs, 120.0);
        clock.transport(secs, 2, Transport::Pulse);
        clock.transport(secs, 2, Transport::Start);
    });
    assert!((beat.bpm - 120.0).abs() < 0.5, "{beat:?}");
    // The first one is gone: the second has the say.
    let beat = show.go(4.0, |clock, secs| {
        clock.transport(secs, 2, Transport::Pulse);
    });
    assert!(
        (beat.bpm - 150.0).abs() < 0.5,
        "60 pulses a second: {beat:?}"
    );
}

#[test]
fn start_begins_a_bar() {
    let mut show = Show::new(ClockChoice::Midi, 60.0);
    let mut cable = Cable::plug(show.secs, 120.0);
    show.go(1.3, |clock, secs| cable.send(clock, secs, 120.0));
    show.clock.transport(show.secs, 1, Transport::Stop);
    show.go(0.2, |clock, secs| cable.send(clock, secs, 120.0));
    assert!(show.clock.is_stopped());
    show.clock.transport(show.secs, 1, Transport::Start);
    let first = (cable.sent + 1) as f64 / 48.0;
    let beat = show.go(2.0, |clock, secs| cable.send(clock, secs, 120.0));
    assert!(!show.clock.is_stopped());
    assert!(
        off(&beat, (show.secs - first) * 2.0).abs() < 0.03,
        "{beat:?}"
    );
}

#[test]
fn a_finger_leads_until_it_lets_go() {
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    let tracked = |clock: &mut Clock, secs: f64| clock.hear(secs, &heard(secs, 123.0));
    show.go(1.0, tracked);
    for _ in 0..4 {
        let secs = show.secs;
        show.clock.tap(secs);
        show.go(0.5, tracked);
    }
    let beat = show.go(0.001, tracked);
    assert_eq!(show.clock.source(), ClockSource::Tap);
    assert!((beat.bpm - 120.0).abs() < 1.0, "{beat:?}");
    let first_tap = 101.0;
    assert!(off(&beat, (show.secs - first_tap) * 2.0).abs() < 0.1);
    assert_eq!(show.clock.choose_next(), ClockChoice::Tracker);
    show.go(0.1, tracked);
    assert_eq!(show.clock.source(), ClockSource::Tracker);
}

#[test]
fn half_double_nudge_and_resync() {
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    let tracked =
        |bpm: f64| move |clock: &mut Clock, secs: f64| clock.hear(secs, &heard(secs, bpm));
    show.go(1.0, tracked(90.0));
    show.clock.double();
    let beat = show.go(2.0, tracked(90.0));
    assert!((beat.bpm - 180.0).abs() < 1e-3, "{beat:?}");
    // The tracker finds the double by itself: the performer's octave stays.
    let beat = show.go(2.0, tracked(180.0));
    assert!((beat.bpm - 180.0).abs() < 1e-3, "{beat:?}");
    show.clock.half();
    show.clock.beat_at(show.secs);
    show.clock.half();
    let beat = show.go(2.0, tracked(180.0));
    assert!((beat.bpm - 45.0).abs() < 1e-3, "{beat:?}");
    show.clock.choose(ClockChoice::Auto);
    let beat = show.go(2.0, tracked(90.0));
    assert!((beat.bpm - 90.0).abs() < 1e-3, "{beat:?}");

    let before = off(&show.clock.beat_at(show.secs), show.secs * 1.5);
    show.clock.nudge(0.02);
    let beat = show.go(1.0, tracked(90.0));
    let moved = off(&beat, show.secs * 1.5) - before;
    assert!((moved - 0.03).abs() < 2e-3, "20 ms earlier: {moved}");

    // A bar begins now, whatever was heard, and stays where it is.
    let now = show.secs;
    show.clock.resync(now);
    let beat = show.go(2.0, tracked(90.0));
    assert!(off(&beat, (show.secs - now) * 1.5).abs() < 0.01, "{beat:?}");
    let beat = show.go(12.0, tracked(90.0));
    assert!(off(&beat, (show.secs - now) * 1.5).abs() < 0.01, "{beat:?}");
}

#[test]
fn a_fixed_tempo_needs_nobody() {
    let mut show = Show::new(ClockChoice::Fixed(140.0), 24.0);
    let beat = show.go(3.0, |_, _| {});
    assert!(off(&beat, show.secs * 140.0 / 60.0).abs() < 1e-4);
    assert_eq!((beat.bpm, beat.confidence), (140.0, 1.0));
    for choice in ["auto", "tracker", "tap", "midi", "140 bpm"] {
        assert_eq!(show.clock.choose_next().to_string(), choice);
    }
}

#[test]
fn the_frame_rate_changes_nothing() {
    let run = |fps: f64| {
        let mut show = Show::new(ClockChoice::Auto, fps);
        show.go(1.0, |clock, secs| clock.hear(secs, &heard(secs, 100.0)));
        show.go(2.0, |clock, secs| {
            clock.hear(secs, &heard(secs + 0.2, 110.0));
        });
        let beat = show.go(1.0, |clock, secs| clock.hear(secs, &Beat::NONE));
        beat.count as f64 + f64::from(beat.phase)
    };
    let (slow, fast) = (run(24.0), run(144.0));
    assert!((slow - fast).abs() < 0.03, "{slow} {fast}");
}

#[test]
fn following_allocates_nothing() {
    let mut clock = Clock::new(ClockChoice::Auto);
    let mut sum = 0.0;
    crate::rt::no_alloc::without_alloc(|| {
        let mut cable = Cable::default();
        for frame in 0..600 {
            let secs = f64::from(frame) / 60.0;
            clock.hear(secs, &heard(secs, 125.0));
            cable.send(&mut clock, secs, 125.0);
            if frame % 30 == 0 {
                clock.tap(secs);
            }
            sum += clock.beat_at(secs).phase;
        }
    });
    assert!(sum > 0.0);
}

/// A session of some tempo whose beat 0 was at 0, told at `secs`.
fn session(secs: f64, bpm: f64) -> Option<Line> {
    Some(Line {
        at_secs: secs,
        beats: secs * bpm / 60.0,
        bpm,
    })
}

#[test]
fn a_link_session_leads_while_others_are_in_it() {
    let mut show = Show::new(ClockChoice::Auto, 60.0);
    // Alone in it, what is heard leads.
    show.go(4.0, |clock, secs| {
        clock.session(None);
        clock.hear(secs, &heard(secs, 100.0));
    });
    assert_eq!(show.clock.source(), ClockSource::Tracker);
    let beat = show.go(4.0, |clock, secs| {
        clock.session(session(secs, 126.0));
        clock.hear(secs, &heard(secs, 100.0));
    });
    assert_eq!(show.clock.source(), ClockSource::Link);
    assert_eq!(beat.bpm, 126.0);
    assert!(
        off(&beat, show.secs * 126.0 / 60.0).abs() < 0.01,
        "{beat:?}"
    );
    // The tempo is changed elsewhere: from this moment on, as Link has it.
    let changed = (show.secs, show.secs * 126.0 / 60.0);
    let line = |secs: f64| Line {
        at_secs: secs,
        beats: (secs - changed.0).mul_add(140.0 / 60.0, changed.1),
        bpm: 140.0,
    };
    let beat = show.go(3.0, |clock, secs| clock.session(Some(line(secs))));
    assert_eq!(beat.bpm, 140.0);
    assert!(off(&beat, line(show.secs).beats).abs() < 0.01, "{beat:?}");
    // A MIDI clock is nearer, and what comes by Link comes back when its cable falls out.
    let mut cable = Cable::plug(show.secs, 120.0);
    show.go(4.0, |clock, secs| {
        clock.session(Some(line(secs)));
        cable.send(clock, secs, 120.0);
    });
    assert_eq!(show.clock.source(), ClockSource::Midi);
    show.go(3.0, |clock, secs| clock.session(Some(line(secs))));
    assert_eq!(show.clock.source(), ClockSource::Link);
    // The others go: what is heard leads again.
    show.go(2.0, |clock, secs| {
        clock.session(None);
        clock.hear(secs, &heard(secs, 100.0));
    });
    assert_eq!(show.clock.source(), ClockSource::Tracker);
}

#[test]
fn half_the_tempo_of_a_session_keeps_its_bars() {
    let mut show = Show::new(ClockChoice::Link, 60.0);
    show.go(2.0, |clock, secs| clock.session(session(secs, 128.0)));
    show.clock.act(show.secs, ClockAction::Half);
    show.go(4.0, |clock, secs| clock.session(session(secs, 128.0)));
    // No bar is begun out of turn in half a minute.
    let mut before: Option<Beat> = None;
    for _ in 0..300 {
        let beat = show.go(0.1, |clock, secs| clock.session(session(secs, 128.0)));
        assert_eq!(beat.bpm, 64.0);
        if let Some(before) = before {
            assert!(beat.count - before.count <= 1, "{before:?} then {beat:?}");
        }
        before = Some(beat);
    }
    // Alone, there is nobody to follow: it goes on.
    let beat = show.go(1.0, |clock, _| clock.session(None));
    assert_eq!(
        (show.clock.source(), beat.bpm),
        (ClockSource::Coasting, 64.0)
    );
}

#[test]
fn link_is_chosen_only_where_there_is_a_session() {
    let mut clock = Clock::new(ClockChoice::Midi);
    assert_eq!(clock.choose_next(), ClockChoice::Auto);
    clock.choose(ClockChoice::Midi);
    clock.session(None);
    assert_eq!(clock.choose_next(), ClockChoice::Link);
    assert_eq!(clock.choose_next(), ClockChoice::Auto);
    assert_eq!("link".parse(), Ok(ClockChoice::Link));
    assert_eq!(ClockChoice::Link.to_string(), "link");
}
