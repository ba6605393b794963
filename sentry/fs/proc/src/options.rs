//! What the file systems are told at the start.

use std::sync::Arc;

/// What is known of the host; read before the sentry is locked down.
#[derive(Clone, Debug, Default)]
pub struct HostInfo {
    /// The host's /proc/cpuinfo. Guests see as many processors as they have.
    pub cpuinfo: Vec<u8>,
}

/// The tables of /proc/net, by name ("tcp", "unix"...). What it does not give is shown empty, with
/// its header only.
pub trait NetTables: Send + Sync {
    /// The whole text of /proc/net/`name`; None where it has none.
    fn table(&self, name: &str) -> Option<Vec<u8>>;
}

/// How to make a [`crate::ProcFs`].
#[derive(Clone, Default)]
pub struct ProcOptions {
    /// The host.
    pub host: HostInfo,
    /// The network.
    pub net: Option<Arc<dyn NetTables>>,
}

impl From<HostInfo> for ProcOptions {
    fn from(host: HostInfo) -> ProcOptions {
        ProcOptions { host, ..ProcOptions::default() }
    }
}
