//! Network interfaces of the sandbox: netdevice(7), as `ip link` and `ip address` show them.

use crate::{Cidr, LinkDevice};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The name of an interface: 1 to 15 bytes, as dev_valid_name() of Linux wants them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

/// What is no name of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no name of an interface: 1 to 15 bytes, without '/', ':' and white space")
    }
}

impl std::error::Error for InvalidName {}

/// IFNAMSIZ, which counts a NUL.
const NAME_SIZE: usize = 16;

impl InterfaceName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`InvalidName`]: empty, too long, `.`, `..`, or with a character that a path in /sys or an
    /// alias could not have.
    pub fn new(name: &str) -> Result<InterfaceName, InvalidName> {
        let is_bad = |c: char| c == '/' || c == ':' || c == '\0' || c.is_ascii_whitespace();
        match name {
            "" | "." | ".." => Err(InvalidName),
            _ if name.len() >= NAME_SIZE || name.contains(is_bad) => Err(InvalidName),
            _ => Ok(InterfaceName(name.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an address was not added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It is there already: EEXIST in rtnetlink(7).
    Exists,
    /// It is not there: EADDRNOTAVAIL.
    NotThere,
    /// No address of one host (multicast, unspecified): EINVAL.
    NotAHost,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Exists => "the interface has this address already",
            AddressError::NotThere => "the interface does not have this address",
            AddressError::NotAHost => "not the address of a host",
        })
    }
}

impl std::error::Error for AddressError {}

/// An interface: a link, and what the sandbox calls itself on it.
pub struct Interface {
    index: u32,
    name: InterfaceName,
    device: Arc<dyn LinkDevice>,
    addresses: Vec<Cidr>,
    up: bool,
}

impl Interface {
    /// An interface that is down and has no addresses. `index` is the number by which guests know
    /// it, from 1 on (`lo` is 1), and never used again in its network namespace.
    pub fn new(index: u32, name: InterfaceName, device: Arc<dyn LinkDevice>) -> Interface {
        Interface { index, name, device, addresses: Vec::new(), up: false }
    }

    /// Its number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its name.
    pub fn name(&self) -> &InterfaceName {
        &self.name
    }

    /// The link below.
    pub fn device(&self) -> &Arc<dyn LinkDevice> {
        &self.device
    }

    /// IFF_UP: packets go in and out.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Sets IFF_UP.
    pub fn set_up(&mut self, up: bool) {
        self.up = up;
    }

    /// Its addresses, in the order in which they were added: the first that fits is the source of
    /// what is sent.
    pub fn addresses(&self) -> &[Cidr] {
        &self.addresses
    }

    /// Adds an address.
    ///
    /// # Errors
    /// [`AddressError::Exists`], [`AddressError::NotAHost`].
    pub fn add_address(&mut self, cidr: Cidr) -> Result<(), AddressError> {
        let address = cidr.address();
        if address.is_multicast() || address.is_unspecified() {
            return Err(AddressError::NotAHost);
        }
        if self.addresses.contains(&cidr) {
            return Err(AddressError::Exists);
        }
        self.addresses.push(cidr);
        Ok(())
    }

    /// Removes an address.
    ///
    /// # Errors
    /// [`AddressError::NotThere`].
    pub fn remove_address(&mut self, cidr: Cidr) -> Result<(), AddressError> {
        let at = self.addresses.iter().position(|have| *have == cidr);
        self.addresses.remove(at.ok_or(AddressError::NotThere)?);
        Ok(())
    }

    /// Is it one of the interface's own addresses?
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|cidr| cidr.address() == address)
    }

    /// The interface's address in the network that `address` is in, if it is on this link and
    /// needs no router.
    pub fn neighbour_source(&self, address: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().find(|cidr| cidr.contains(address)).map(Cidr::address)
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("index", &self.index)
            .field("name", &self.name.as_str())
            .field("up", &self.up)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EthernetAddress, LinkError, LinkWatcher, Medium};

    /// A link to nowhere.
    struct Silence;

    impl LinkDevice for Silence {
        fn medium(&self) -> Medium {
            Medium::Ethernet
        }

        fn mtu(&self) -> usize {
            1500
        }

        fn hardware_address(&self) -> Option<EthernetAddress> {
            Some(EthernetAddress([2, 0, 0, 0, 0, 1]))
        }

        fn send(&self, _packet: &[u8]) -> Result<(), LinkError> {
            Ok(())
        }

        fn receive(&self, _buf: &mut [u8]) -> Result<Option<usize>, LinkError> {
            Ok(None)
        }

        fn watch(&self, _watcher: Arc<dyn LinkWatcher>) {}
    }

    fn cidr(address: &str, prefix: u8) -> Cidr {
        Cidr::new(address.parse().unwrap(), prefix).unwrap()
    }

    #[test]
    fn names_are_those_that_linux_takes() {
        for good in ["lo", "eth0", "a", "br-0123456789ab", "veth1.200", "..."] {
            assert_eq!(InterfaceName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\0", "0123456789abcdef"] {
            assert_eq!(InterfaceName::new(bad), Err(InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn addresses_come_and_go() {
        let name = InterfaceName::new("eth0").unwrap();
        let mut interface = Interface::new(2, name, Arc::new(Silence));
        assert!(!interface.is_up());
        interface.set_up(true);
        assert!(interface.is_up() && interface.device().mtu() == 1500);
        let (first, second) = (cidr("10.0.0.2", 24), cidr("fd00::2", 64));
        assert_eq!(interface.add_address(first), Ok(()));
        assert_eq!(interface.add_address(second), Ok(()));
        assert_eq!(interface.add_address(first), Err(AddressError::Exists));
        assert_eq!(interface.add_address(cidr("10.0.0.2", 8)), Ok(()), "another network");
        for no_host in ["224.0.0.1", "0.0.0.0", "ff02::1", "::"] {
            assert_eq!(interface.add_address(cidr(no_host, 8)), Err(AddressError::NotAHost));
        }
        let own = |address: &str| interface.is_own(address.parse().unwrap());
        assert!(own("10.0.0.2") && own("fd00::2") && !own("10.0.0.3"));
        let source = |address: &str| {
            interface.neighbour_source(address.parse().unwrap()).map(|source| source.to_string())
        };
        assert_eq!(source("10.0.0.77").as_deref(), Some("10.0.0.2"));
        assert_eq!(source("fd00::77").as_deref(), Some("fd00::2"));
        assert_eq!(source("192.0.2.1"), None);
        assert_eq!(interface.remove_address(second), Ok(()));
        assert_eq!(interface.remove_address(second), Err(AddressError::NotThere));
        assert_eq!(interface.addresses(), [first, cidr("10.0.0.2", 8)]);
    }
}
