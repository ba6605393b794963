//! Links: where packets leave the sandbox and come in.

use crate::EthernetAddress;
use std::fmt;
use std::sync::Arc;

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Ethernet frames: 14 bytes of header and the payload, without preamble and checksum.
    /// Neighbours are found by ARP (RFC 826) and NDP (RFC 4861).
    Ethernet,
    /// IP packets without a header of the link. There are no neighbours to find.
    Ip,
}

/// What a link can do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A packet has arrived.
    pub receive: bool,
    /// There is room for a packet, after [`LinkError::Full`].
    pub send: bool,
}

/// Why a packet was not sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// No room now; the watcher hears when there is. The packet may be dropped, as a full queue of
    /// Linux drops it, or kept and sent then.
    Full,
    /// The packet is longer than the link takes: [`LinkDevice::mtu`], and for
    /// [`Medium::Ethernet`] the header.
    TooLong,
    /// The other side is gone: the device was removed, the process behind it ended. There is no
    /// way back.
    Gone,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkError::Full => "the link's queue is full",
            LinkError::TooLong => "the packet is longer than the link's MTU",
            LinkError::Gone => "the link is gone",
        })
    }
}

impl std::error::Error for LinkError {}

/// A link, as the stack sees it: whole packets, one at a time.
///
/// It may be used by several threads at once. It never blocks; what it is fed from (a host
/// descriptor in the sentry's epoll thread) calls the watcher.
pub trait LinkDevice: Send + Sync {
    /// What it carries; never changes.
    fn medium(&self) -> Medium;

    /// The longest IP packet it takes, in bytes, without the header of the link. At least 1280
    /// (RFC 8200, section 5).
    fn mtu(&self) -> usize;

    /// The address of this end. None for [`Medium::Ip`].
    fn hardware_address(&self) -> Option<EthernetAddress>;

    /// Sends one packet, whole or not at all.
    ///
    /// # Errors
    /// All of [`LinkError`].
    fn send(&self, packet: &[u8]) -> Result<(), LinkError>;

    /// Takes the next packet that has arrived; its length. None: there is none now. `buf` has room
    /// for the longest packet; longer ones, which only a broken peer sends, are passed over.
    ///
    /// # Errors
    /// [`LinkError::Gone`].
    fn receive(&self, buf: &mut [u8]) -> Result<Option<usize>, LinkError>;

    /// From now on `watcher` hears of changes, instead of the one before. A packet that arrived
    /// earlier is not told again: watch first, then receive until there is none.
    fn watch(&self, watcher: Arc<dyn LinkWatcher>);
}

/// Hears of a link. Called on any thread and without a lock of the link; it must not block.
pub trait LinkWatcher: Send + Sync {
    /// The link has become ready for this.
    fn ready(&self, readiness: Readiness);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    /// A link whose other end is itself, with room for two packets: the traits are enough to write
    /// one, and can be used behind a pointer.
    #[derive(Default)]
    struct Mirror {
        queue: Mutex<VecDeque<Vec<u8>>>,
        watcher: Mutex<Option<Arc<dyn LinkWatcher>>>,
    }

    impl Mirror {
        fn tell(&self, readiness: Readiness) {
            let watcher = self.watcher.lock().unwrap().clone();
            if let Some(watcher) = watcher {
                watcher.ready(readiness);
            }
        }
    }

    impl LinkDevice for Mirror {
        fn medium(&self) -> Medium {
            Medium::Ip
        }

        fn mtu(&self) -> usize {
            1500
        }

        fn hardware_address(&self) -> Option<EthernetAddress> {
            None
        }

        fn send(&self, packet: &[u8]) -> Result<(), LinkError> {
            if packet.len() > self.mtu() {
                return Err(LinkError::TooLong);
            }
            {
                let mut queue = self.queue.lock().unwrap();
                if queue.len() == 2 {
                    return Err(LinkError::Full);
                }
                queue.push_back(packet.to_vec());
            }
            self.tell(Readiness { receive: true, send: false });
            Ok(())
        }

        fn receive(&self, buf: &mut [u8]) -> Result<Option<usize>, LinkError> {
            loop {
                let (packet, was_full) = {
                    let mut queue = self.queue.lock().unwrap();
                    let was_full = queue.len() == 2;
                    (queue.pop_front(), was_full)
                };
                let Some(packet) = packet else { return Ok(None) };
                if was_full {
                    self.tell(Readiness { receive: false, send: true });
                }
                if let Some(room) = buf.get_mut(..packet.len()) {
                    room.copy_from_slice(&packet);
                    return Ok(Some(packet.len()));
                }
            }
        }

        fn watch(&self, watcher: Arc<dyn LinkWatcher>) {
            *self.watcher.lock().unwrap() = Some(watcher);
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<Readiness>>);

    impl LinkWatcher for Heard {
        fn ready(&self, readiness: Readiness) {
            self.0.lock().unwrap().push(readiness);
        }
    }

    #[test]
    fn packets_go_whole_and_the_watcher_hears() {
        let link: Arc<dyn LinkDevice> = Arc::new(Mirror::default());
        let heard = Arc::new(Heard::default());
        link.watch(heard.clone());
        let mut buf = [0; 1500];
        assert_eq!(link.receive(&mut buf), Ok(None));
        assert_eq!(link.send(&[1; 1501]), Err(LinkError::TooLong));
        assert_eq!(link.send(b"one"), Ok(()));
        assert_eq!(link.send(b"two!"), Ok(()));
        assert_eq!(link.send(b"three"), Err(LinkError::Full));
        assert_eq!(link.receive(&mut buf), Ok(Some(3)));
        assert_eq!(&buf[..3], b"one");
        assert_eq!(link.send(b"4"), Ok(()));
        assert_eq!(link.receive(&mut buf[..2]), Ok(Some(1)), "what has no room is passed over");
        let arrived = Readiness { receive: true, send: false };
        let room = Readiness { receive: false, send: true };
        assert_eq!(*heard.0.lock().unwrap(), [arrived, arrived, room, arrived, room]);
    }
}
