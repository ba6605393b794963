//! The options of SOL_SOCKET that all families keep in the same way: socket(7).

use abi::time::Timeval;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// The default buffer size, and the most SO_SNDBUF and SO_RCVBUF take (before Linux doubles it):
/// net.core.wmem_default and wmem_max.
pub const BUFFER_SIZE: usize = 212_992;
/// SOCK_MIN_SNDBUF.
const MIN_SNDBUF: usize = 4608;
/// SOCK_MIN_RCVBUF.
const MIN_RCVBUF: usize = 2304;

/// Options that are an int and only remembered. Those of the second kind are 0 or 1.
const NUMBERS: [i32; 2] = [libc::SO_PRIORITY, libc::SO_RCVLOWAT];
const SWITCHES: [i32; 13] = [
    libc::SO_REUSEADDR,
    libc::SO_DONTROUTE,
    libc::SO_BROADCAST,
    libc::SO_KEEPALIVE,
    libc::SO_OOBINLINE,
    libc::SO_NO_CHECK,
    libc::SO_REUSEPORT,
    libc::SO_PASSCRED,
    libc::SO_PASSSEC,
    libc::SO_TIMESTAMP,
    libc::SO_TIMESTAMPNS,
    libc::SO_ZEROCOPY,
    libc::SO_DEBUG,
];
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;

/// The options of a socket.
pub struct SocketOptions(Mutex<Inner>);

struct Inner {
    sndbuf: usize,
    rcvbuf: usize,
    rcvtimeo: Option<Duration>,
    sndtimeo: Option<Duration>,
    linger: Option<u32>,
    /// Those of [`NUMBERS`] and [`SWITCHES`] that are not at their default.
    numbers: BTreeMap<i32, i32>,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions(Mutex::new(Inner {
            sndbuf: BUFFER_SIZE,
            rcvbuf: BUFFER_SIZE,
            rcvtimeo: None,
            sndtimeo: None,
            linger: None,
            numbers: BTreeMap::new(),
        }))
    }
}

impl SocketOptions {
    /// SO_SNDBUF, in bytes.
    pub fn sndbuf(&self) -> usize {
        self.0.lock().sndbuf
    }

    /// SO_RCVBUF, in bytes.
    pub fn rcvbuf(&self) -> usize {
        self.0.lock().rcvbuf
    }

    /// SO_RCVTIMEO; None: no limit.
    pub fn receive_timeout(&self) -> Option<Duration> {
        self.0.lock().rcvtimeo
    }

    /// SO_SNDTIMEO; None: no limit.
    pub fn send_timeout(&self) -> Option<Duration> {
        self.0.lock().sndtimeo
    }

    /// SO_LINGER in seconds; None: off.
    pub fn linger(&self) -> Option<u32> {
        self.0.lock().linger
    }

    /// Is a switch (SO_REUSEADDR, SO_PASSCRED...) on?
    pub fn is_on(&self, name: i32) -> bool {
        self.0.lock().numbers.get(&name).is_some_and(|value| *value != 0)
    }

    /// Takes over switches of another socket, as an accepted one does from its listener.
    pub fn inherit(&self, from: &SocketOptions, names: &[i32]) {
        let on: Vec<i32> = names.iter().copied().filter(|name| from.is_on(*name)).collect();
        self.0.lock().numbers.extend(on.into_iter().map(|name| (name, 1)));
    }

    /// getsockopt(2) with SOL_SOCKET. ENOPROTOOPT for what is not kept here.
    pub fn get(&self, name: i32) -> SysResult<Vec<u8>> {
        let inner = self.0.lock();
        let int = |value: usize| i32::try_from(value).unwrap_or(i32::MAX).as_bytes().to_vec();
        Ok(match name {
            libc::SO_SNDBUF => int(inner.sndbuf),
            libc::SO_RCVBUF => int(inner.rcvbuf),
            libc::SO_SNDLOWAT => int(1),
            libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => timeval(inner.rcvtimeo),
            libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => timeval(inner.sndtimeo),
            libc::SO_LINGER => {
                let linger = inner.linger.map_or([0, 0], |seconds| [1, seconds as i32]);
                linger.as_bytes().to_vec()
            }
            _ if NUMBERS.contains(&name) || SWITCHES.contains(&name) => {
                let default = i32::from(name == libc::SO_RCVLOWAT);
                inner.numbers.get(&name).unwrap_or(&default).as_bytes().to_vec()
            }
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// setsockopt(2) with SOL_SOCKET. EINVAL for a value that is too short, EDOM for a time that is
    /// none, EPERM for what wants CAP_NET_ADMIN, ENOPROTOOPT for what is not kept here.
    pub fn set(&self, name: i32, value: &[u8]) -> SysResult<()> {
        let number = i32::read_from_prefix(value).map(|(number, _)| number);
        let number = number.map_err(|_| Errno::EINVAL)?;
        let mut inner = self.0.lock();
        match name {
            libc::SO_SNDBUF => inner.sndbuf = buffer_size(number, MIN_SNDBUF),
            libc::SO_RCVBUF => inner.rcvbuf = buffer_size(number, MIN_RCVBUF),
            libc::SO_SNDBUFFORCE | libc::SO_RCVBUFFORCE => return Err(Errno::EPERM),
            libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => inner.rcvtimeo = timeout(value)?,
            libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => inner.sndtimeo = timeout(value)?,
            libc::SO_LINGER => {
                let (linger, _) = <[i32; 2]>::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
                inner.linger = (linger[0] != 0).then_some(linger[1] as u32);
            }
            libc::SO_PRIORITY if !(0..=6).contains(&number) => return Err(Errno::EPERM),
            libc::SO_RCVLOWAT => {
                let low = if number < 0 { i32::MAX } else { number.max(1) };
                inner.numbers.insert(name, low);
            }
            _ if NUMBERS.contains(&name) => {
                inner.numbers.insert(name, number);
            }
            _ if SWITCHES.contains(&name) => {
                inner.numbers.insert(name, i32::from(number != 0));
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}

/// The size that is kept: twice what is asked for, as Linux does to account for its overhead.
fn buffer_size(asked: i32, min: usize) -> usize {
    // Linux compares without the sign: a negative number is the most.
    let asked = (asked as u32 as usize).min(BUFFER_SIZE);
    (asked * 2).max(min)
}

fn timeval(timeout: Option<Duration>) -> Vec<u8> {
    Timeval::from(timeout.unwrap_or_default()).as_bytes().to_vec()
}

fn timeout(value: &[u8]) -> SysResult<Option<Duration>> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    if !(0..1_000_000).contains(&time.usec) {
        return Err(Errno::EDOM);
    }
    if time.sec < 0 {
        // As Linux: no waiting at all.
        return Ok(Some(Duration::ZERO));
    }
    Ok(time.to_duration().filter(|time| !time.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(options: &SocketOptions, name: i32) -> i32 {
        i32::read_from_bytes(&options.get(name).unwrap()).unwrap()
    }

    #[test]
    fn buffers_are_doubled_and_bounded() {
        let options = SocketOptions::default();
        assert_eq!(int(&options, libc::SO_SNDBUF), 212_992);
        options.set(libc::SO_SNDBUF, &10_000i32.to_ne_bytes()).unwrap();
        assert_eq!(int(&options, libc::SO_SNDBUF), 20_000);
        options.set(libc::SO_SNDBUF, &0i32.to_ne_bytes()).unwrap();
        assert_eq!(int(&options, libc::SO_SNDBUF), 4608);
        options.set(libc::SO_RCVBUF, &i32::MAX.to_ne_bytes()).unwrap();
        assert_eq!(options.rcvbuf(), 2 * BUFFER_SIZE);
    }

    #[test]
    fn values_are_checked() {
        let options = SocketOptions::default();
        assert_eq!(options.set(libc::SO_REUSEADDR, &[1, 0]), Err(Errno::EINVAL));
        assert_eq!(options.set(9999, &[0; 4]), Err(Errno::ENOPROTOOPT));
        let bad = Timeval { sec: 0, usec: 1_000_000 };
        assert_eq!(options.set(libc::SO_RCVTIMEO, bad.as_bytes()), Err(Errno::EDOM));
        let good = Timeval { sec: 1, usec: 500_000 };
        options.set(libc::SO_RCVTIMEO, good.as_bytes()).unwrap();
        assert_eq!(options.receive_timeout(), Some(Duration::from_millis(1500)));
        options.set(libc::SO_KEEPALIVE, &7i32.to_ne_bytes()).unwrap();
        assert_eq!(int(&options, libc::SO_KEEPALIVE), 1);
        assert!(options.is_on(libc::SO_KEEPALIVE));
        assert_eq!(int(&options, libc::SO_RCVLOWAT), 1);
    }
}
