//! Addresses, as far as the standard library has none.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of an Ethernet device (EUI-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EthernetAddress(pub [u8; 6]);

impl EthernetAddress {
    /// All stations of a link.
    pub const BROADCAST: EthernetAddress = EthernetAddress([0xff; 6]);

    /// Of a group of stations, or of all.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for EthernetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address and how many of its first bits name its network: `10.0.0.2/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A prefix that is longer than the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixTooLong;

impl fmt::Display for PrefixTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the prefix is longer than the address")
    }
}

impl std::error::Error for PrefixTooLong {}

impl Cidr {
    /// An address with a prefix of at most 32 bits (IPv4) or 128 (IPv6).
    ///
    /// # Errors
    /// [`PrefixTooLong`].
    pub fn new(address: IpAddr, prefix: u8) -> Result<Cidr, PrefixTooLong> {
        let longest = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        if u32::from(prefix) > longest {
            return Err(PrefixTooLong);
        }
        Ok(Cidr { address, prefix })
    }

    /// The address itself, with the bits beyond the prefix.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits name the network.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Is `other` in the network? Never for an address of the other version, not even an
    /// IPv4-mapped one.
    pub fn contains(&self, other: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, other) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                // A shift by all bits is no shift at all, hence checked.
                let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - prefix).unwrap_or(0);
                (ours.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - prefix).unwrap_or(0);
                (ours.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(address: &str, prefix: u8) -> Cidr {
        Cidr::new(address.parse().unwrap(), prefix).unwrap()
    }

    fn contains(cidr: Cidr, address: &str) -> bool {
        cidr.contains(address.parse().unwrap())
    }

    #[test]
    fn prefixes_have_an_end() {
        let four = IpAddr::from([10, 0, 0, 1]);
        assert!(Cidr::new(four, 32).is_ok());
        assert_eq!(Cidr::new(four, 33), Err(PrefixTooLong));
        let six = IpAddr::from([0; 16]);
        assert!(Cidr::new(six, 128).is_ok());
        assert_eq!(Cidr::new(six, 129), Err(PrefixTooLong));
    }

    #[test]
    fn networks_contain_their_addresses() {
        let net = cidr("10.1.2.3", 24);
        assert!(contains(net, "10.1.2.0") && contains(net, "10.1.2.255"));
        assert!(!contains(net, "10.1.3.3"));
        assert!(!contains(net, "::ffff:10.1.2.3"));
        assert!(contains(cidr("0.0.0.0", 0), "255.255.255.255"));
        assert!(contains(cidr("10.0.0.1", 32), "10.0.0.1"));
        assert!(!contains(cidr("10.0.0.1", 32), "10.0.0.0"));
        let six = cidr("fe80::1", 64);
        assert!(contains(six, "fe80::ffff") && !contains(six, "fe80:0:0:1::1"));
        assert!(contains(cidr("::", 0), "2001:db8::1"));
    }

    #[test]
    fn they_print_as_people_write_them() {
        assert_eq!(cidr("10.1.2.3", 24).to_string(), "10.1.2.3/24");
        let address = EthernetAddress([2, 0, 0, 0xab, 0xcd, 0xef]);
        assert_eq!(address.to_string(), "02:00:00:ab:cd:ef");
        assert!(!address.is_multicast() && EthernetAddress::BROADCAST.is_multicast());
    }
}
