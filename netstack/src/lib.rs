//! The network stack: interfaces over links, and above them, when networking comes, TCP, UDP and
//! ICMP.
//!
//! **Only the interface is here yet**: what a link has to provide ([`LinkDevice`]), who hears of it
//! ([`LinkWatcher`]), and what an [`Interface`] of the sandbox is. No link and no protocol is
//! implemented; guests have unix sockets only (the crate `net`), and socket(2) answers
//! EAFNOSUPPORT for every other family.
//!
//! What is to come, and where:
//!
//! * `engine/`: smoltcp as the protocol engine, wrapped so that a listener has a backlog, and so
//!   that shutdown, urgent data, options and errors are Linux's. One [`Interface`] is one smoltcp
//!   interface; its socket locks are apart from the interface's own.
//! * `loopback/`: the interface `lo`. Two sockets of one sandbox hand each other bytes, not
//!   segments; only what asks for packets (raw and packet sockets) sees some.
//! * `link/`: the three [`LinkDevice`]s. A tap device and an AF_PACKET socket on a veth are host
//!   descriptors that the front end opened; the user-mode link of ordinary users is a socket to a
//!   small process which opens host sockets on the sandbox's behalf and asks an egress policy
//!   first.
//!
//! What this crate never does: open a socket or a device (it is given descriptors), block, or know
//! of tasks and descriptors of guests. The crate `net` makes guest sockets out of it.
//!
//! Lock order: an [`Interface`] has no lock of its own; whoever owns it locks it. A link's locks
//! are leaves, and a [`LinkWatcher`] is called with none of them held.
//!
//! Start reading in `link.rs`.

#![forbid(unsafe_code)]

mod address;
mod interface;
mod link;

pub use address::{Cidr, EthernetAddress, PrefixTooLong};
pub use interface::{AddressError, Interface, InterfaceName, InvalidName};
pub use link::{LinkDevice, LinkError, LinkWatcher, Medium, Readiness};
