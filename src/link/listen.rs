//! Whether other programs use Link on this network, told without taking part.
//!
//! Who takes part says so to a multicast group four times a second (Ableton's source, `discovery/v1`).

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 76, 78, 75);
const PORT: u16 = 20_808;
/// How a message begins, and the kind that says "I am here".
const HEADER: [u8; 8] = *b"_asdp_v\x01";
const ALIVE: u8 = 1;
/// Longest wait for one message.
const WAIT: Duration = Duration::from_millis(100);

/// The group, heard on the interfaces that there were when it was opened.
#[derive(Debug)]
pub(super) struct Listener(UdpSocket);

impl Listener {
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // The library and other programs have the same port.
        socket.set_reuse_address(true)?;
        #[cfg(target_vendor = "apple")]
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(WAIT))?;
        for interface in if_addrs::get_if_addrs()? {
            if let IpAddr::V4(address) = interface.ip() {
                // One that is about to go, or has two addresses, is no reason to give up.
                socket.join_multicast_v4(&GROUP, &address).ok();
            }
        }
        Ok(Self(socket))
    }

    /// Waits until somebody is there, or for so long.
    pub(super) fn hears_somebody(&self, within: Duration) -> bool {
        let start = Instant::now();
        let mut message = [0; 512];
        while start.elapsed() < within {
            if let Ok(length) = self.0.recv(&mut message)
                && says_alive(&message[..length])
            {
                return true;
            }
        }
        false
    }
}

fn says_alive(message: &[u8]) -> bool {
    message
        .strip_prefix(&HEADER)
        .is_some_and(|rest| rest.first() == Some(&ALIVE))
}

#[cfg(test)]
mod tests {
    use super::says_alive;

    #[test]
    fn only_the_living_count() {
        assert!(says_alive(b"_asdp_v\x01\x01\x05..."));
        for other in [
            &b"_asdp_v\x01\x03"[..],
            b"_asdp_v\x02\x01",
            b"_asdp_v\x01",
            b"",
            b"M-SEARCH * HTTP/1.1",
        ] {
            assert!(!says_alive(other));
        }
    }
}
