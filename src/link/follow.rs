//! A session followed with Ableton's library, which finds the others and keeps time on threads of its own.

use super::listen::Listener;
use super::{LinkError, Session};
use crate::rt::thread;
use crate::signal::BEATS_PER_BAR;
use rusty_link::{AblLink, SessionState};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the library wants to be told; the others' tempo counts.
const ANY_BPM: f64 = 120.0;
/// Of two sessions the older goes on, but of two that are within half a second any: ours must be clearly younger.
const JOIN_AFTER: Duration = Duration::from_secs(1);
/// For so long the others may be gone before we go, too.
const LEAVE_AFTER: Duration = Duration::from_secs(3);
/// How often it is looked whether they are there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What we have said ourselves is heard no longer than this.
const ECHO: Duration = Duration::from_millis(300);
/// How often it is looked for new interfaces.
const LISTEN_FOR: Duration = Duration::from_secs(5);

/// A follower of the network's session; dropped, the session is left.
pub struct Link {
    link: Arc<AblLink>,
    /// Kept, since a new one allocates.
    state: SessionState,
    left: Arc<AtomicBool>,
}

impl Link {
    /// Follows the network's session, whenever there is one. It is found within about two seconds.
    ///
    /// # Errors
    ///
    /// [`LinkError::Deaf`].
    pub fn join() -> Result<Self, LinkError> {
        let listener = Listener::open().map_err(LinkError::Deaf)?;
        let link = Arc::new(AblLink::new(ANY_BPM));
        let left = Arc::new(AtomicBool::new(false));
        let (theirs, until) = (Arc::clone(&link), Arc::clone(&left));
        thread::spawn("link", move || attend(&theirs, listener, &until))
            .map_err(LinkError::Deaf)?;
        Ok(Self {
            link,
            state: SessionState::new(),
            left,
        })
    }

    /// Where the session is now. Neither locks nor allocates; only one thread may ask, as the library
    /// wants it, which `&mut` sees to.
    pub fn session(&mut self) -> Session {
        self.link.capture_audio_session_state(&mut self.state);
        let (at, micros) = (Instant::now(), self.link.clock_micros());
        Session {
            at,
            beats: self.state.beat_at_time(micros, f64::from(BEATS_PER_BAR)),
            bpm: self.state.tempo(),
            peers: self.link.num_peers(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peers", &self.link.num_peers())
            .finish_non_exhaustive()
    }
}

/// Takes part while others do.
fn attend(link: &AblLink, first: Listener, left: &AtomicBool) {
    let mut listener = Some(first);
    let gone = || left.load(Ordering::Relaxed);
    while !gone() {
        // Opened anew each time: an interface may have come.
        let open = listener.take().map_or_else(Listener::open, Ok);
        let Ok(open) = open.inspect_err(|error| log::debug!("Ableton Link: {error}")) else {
            std::thread::sleep(LISTEN_FOR);
            continue;
        };
        let start = Instant::now();
        while !gone() && start.elapsed() < LISTEN_FOR {
            if open.hears_somebody(LOOK_EVERY) {
                drop(open);
                std::thread::sleep(JOIN_AFTER);
                take_part(link, left);
                break;
            }
        }
    }
}

/// Until the others are gone.
fn take_part(link: &AblLink, left: &AtomicBool) {
    link.enable(true);
    let mut seen = Instant::now();
    while !left.load(Ordering::Relaxed) && seen.elapsed() < LEAVE_AFTER {
        if link.num_peers() > 0 {
            seen = Instant::now();
        }
        std::thread::sleep(LOOK_EVERY);
    }
    link.enable(false);
    std::thread::sleep(ECHO);
}

#[cfg(test)]
mod tests {
    use super::{AblLink, Link, SessionState};
    use std::time::{Duration, Instant};

    fn within(secs: u64, mut done: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(secs) {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Another program.
    struct Other(AblLink, SessionState);

    impl Other {
        fn at(bpm: f64) -> Self {
            let link = AblLink::new(bpm);
            link.enable(true);
            Self(link, SessionState::new())
        }

        fn beat(&mut self) -> f64 {
            self.0.capture_app_session_state(&mut self.1);
            self.1.beat_at_time(self.0.clock_micros(), 4.0)
        }

        fn bpm(&mut self) -> f64 {
            self.0.capture_app_session_state(&mut self.1);
            self.1.tempo()
        }
    }

    #[test]
    fn the_session_of_others_is_followed_and_left_alone() {
        // We are there first: nobody is told a tempo for that.
        let mut link = Link::join().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(link.session().peers, 0);
        let (mut other, second) = (Other::at(93.0), Other::at(93.0));
        if !within(10, || other.0.num_peers() > 0) {
            eprintln!("skipped: Link's programs do not find each other here (no multicast)");
            return;
        }
        // Whole microseconds a beat.
        let is = |bpm: f64, wanted: f64| (bpm - wanted).abs() < 1e-3;
        let leads = |link: &mut Link, bpm: f64| {
            within(20, || {
                let session = link.session();
                session.peers == 2 && is(session.bpm, bpm)
            })
        };
        assert!(leads(&mut link, 93.0));
        assert!(is(other.bpm(), 93.0));
        let mut apart = |link: &mut Link| {
            let beats = link.session().beats;
            (other.beat() - beats + 2.0).rem_euclid(4.0) - 2.0
        };
        // The library settles the clocks' difference in a moment.
        assert!(
            within(10, || apart(&mut link).abs() < 0.01),
            "{}",
            apart(&mut link)
        );
        // The tempo is changed.
        other.0.capture_app_session_state(&mut other.1);
        other.1.set_tempo(151.0, other.0.clock_micros());
        other.0.commit_app_session_state(&other.1);
        assert!(leads(&mut link, 151.0));
        let first = link.session();
        std::thread::sleep(Duration::from_millis(400));
        let then = link.session();
        let gone = (then.at - first.at).as_secs_f64() * 151.0 / 60.0;
        assert!((then.beats - first.beats - gone).abs() < 0.01);
        // They go, and come with another tempo: theirs again.
        drop((other, second));
        assert!(within(20, || link.session().peers == 0));
        std::thread::sleep(Duration::from_secs(4));
        let mut other = Other::at(77.0);
        assert!(within(20, || link.session().peers == 1
            && is(link.session().bpm, 77.0)));
        assert!(is(other.bpm(), 77.0));
        // So it is when we go.
        drop(link);
        assert!(within(20, || other.0.num_peers() == 0));
        assert!(is(other.bpm(), 77.0));
    }
}
