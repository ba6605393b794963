//! /proc/net: the tables of the network, each empty unless the network gives one.

use crate::node::Flavor;
use crate::node::tree::{Context, Entries, Entry, entries};
use crate::options::NetTables;
use std::sync::Arc;

/// What these files share.
pub(crate) struct Net {
    pub flavor: Flavor,
    pub tables: Option<Arc<dyn NetTables>>,
}

impl Context for Net {
    fn flavor(&self) -> Flavor {
        self.flavor
    }
}

impl Net {
    fn table(&self, name: &str, empty: fn() -> String) -> Vec<u8> {
        let given = self.tables.as_ref().and_then(|tables| tables.table(name));
        given.unwrap_or_else(|| empty().into_bytes())
    }
}

macro_rules! table {
    ($name:literal, $empty:expr) => {
        ($name, Entry::Text(0o444, |net: &Net| Ok(net.table($name, || $empty))))
    };
}

/// The tables.
pub(crate) fn tables() -> Entries<Net> {
    entries([
        table!("arp", line(ARP)),
        table!("dev", format!("{DEV}{DEV_LO}")),
        table!("dev_mcast", String::new()),
        table!("icmp", padded(&inet("", UDP_END), 127)),
        table!("icmp6", line(&inet6(UDP_END))),
        table!("if_inet6", String::new()),
        table!("igmp", line(IGMP)),
        table!("igmp6", String::new()),
        table!("ipv6_route", String::new()),
        table!("mcfilter", line(MCFILTER)),
        table!("mcfilter6", line(MCFILTER6)),
        table!("netlink", line(NETLINK)),
        table!("netstat", counters(NETSTAT)),
        table!("packet", line(PACKET)),
        table!("protocols", line(PROTOCOLS)),
        table!("psched", line("000003e8 00000040 000f4240 3b9aca00")),
        table!("ptype", line("Type Device      Function")),
        table!("raw", line(&inet("", UDP_END))),
        table!("raw6", line(&inet6(UDP_END))),
        table!("route", padded(ROUTE, 127)),
        table!("rt_cache", padded(RT_CACHE, 127)),
        table!("snmp", counters(SNMP)),
        table!("snmp6", snmp6()),
        table!("sockstat", SOCKSTAT.to_owned()),
        table!("sockstat6", SOCKSTAT6.to_owned()),
        table!("softnet_stat", String::new()),
        table!("tcp", padded(&inet("", ""), 149)),
        table!("tcp6", line(&inet6(""))),
        table!("udp", padded(&inet(" ", UDP_END), 127)),
        table!("udp6", line(&inet6(UDP_END))),
        table!("udplite", padded(&inet(" ", UDP_END), 127)),
        table!("udplite6", line(&inet6(UDP_END))),
        table!("unix", line(UNIX)),
        table!("wireless", WIRELESS.to_owned()),
    ])
}

fn line(text: &str) -> String {
    format!("{text}\n")
}

/// Tables of fixed width pad their header too.
fn padded(text: &str, width: usize) -> String {
    format!("{text:<width$}\n")
}

/// What tables without the columns of TCP have at the end.
const UDP_END: &str = " ref pointer drops";
const INET_END: &str = "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

fn inet(indent: &str, end: &str) -> String {
    format!("{indent}  sl  local_address rem_address   {INET_END}{end}")
}

fn inet6(end: &str) -> String {
    let (local, remote) = ("local_address", "remote_address");
    format!("  sl  {local:<38}{remote:<38} {INET_END}{end}").replacen("  st", " st", 1)
}

const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
";
const DEV_LO: &str = "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n";
const ARP: &str = "IP address       HW type     Flags       HW address            Mask     Device";
const IGMP: &str = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter";
const MCFILTER: &str = "Idx Device        MCA        SRC    INC    EXC";
const MCFILTER6: &str =
    "Idx Device                Multicast Address                   Source Address    INC    EXC";
const NETLINK: &str =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode";
const PACKET: &str = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode";
const PROTOCOLS: &str = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac \
    io in de sh ss gs se re bi br ha uh gp em";
const ROUTE: &str =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
const RT_CACHE: &str = "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\t\
    Window\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst";
const UNIX: &str = "Num       RefCount Protocol Flags    Type St Inode Path";
const SOCKSTAT: &str = "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 \
    mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";
const SOCKSTAT6: &str =
    "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n";
const WIRELESS: &str = "\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
";

/// Groups of counters: name, the counters, and the values of those that are not 0.
type Counters = &'static [(&'static str, &'static str, &'static [(&'static str, &'static str)])];

const SNMP: Counters = &[
    (
        "Ip",
        "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos \
         InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs \
         ReasmFails FragOKs FragFails FragCreates OutTransmits",
        &[("Forwarding", "2"), ("DefaultTTL", "64")],
    ),
    (
        "Icmp",
        "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs \
         InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps \
         OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds \
         OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps \
         OutTimestampReps OutAddrMasks OutAddrMaskReps",
        &[],
    ),
    (
        "Tcp",
        "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets \
         CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors",
        &[("RtoAlgorithm", "1"), ("RtoMin", "200"), ("RtoMax", "120000"), ("MaxConn", "-1")],
    ),
    ("Udp", UDP_COUNTERS, &[]),
    ("UdpLite", UDP_COUNTERS, &[]),
];

const UDP_COUNTERS: &str = "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors \
    InCsumErrors IgnoredMulti MemErrors";

/// The part of it that programs look at.
const NETSTAT: Counters = &[
    (
        "TcpExt",
        "SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops TCPTimeouts \
         TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPMemoryPressures",
        &[],
    ),
    (
        "IpExt",
        "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets \
         OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors \
         InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps",
        &[],
    ),
];

fn counters(groups: Counters) -> String {
    let mut text = String::new();
    for (group, names, values) in groups {
        let value = |name| values.iter().find(|(other, _)| *other == name).map_or("0", |v| v.1);
        let values: Vec<&str> = names.split(' ').map(value).collect();
        text += &format!("{group}: {names}\n{group}: {}\n", values.join(" "));
    }
    text
}

fn snmp6() -> String {
    const NAMES: [&str; 8] = [
        "Ip6InReceives",
        "Ip6InDelivers",
        "Ip6OutRequests",
        "Ip6InOctets",
        "Ip6OutOctets",
        "Icmp6InMsgs",
        "Udp6InDatagrams",
        "Udp6OutDatagrams",
    ];
    NAMES.iter().map(|name| format!("{name:<32}\t0\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(text: &str) -> String {
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn headers_are_linuxs_own() {
        let ours: [(&str, String); 19] = [
            ("arp", line(ARP)),
            ("dev", DEV.to_owned()),
            ("icmp6", line(&inet6(UDP_END))),
            ("igmp", line(IGMP)),
            ("mcfilter", line(MCFILTER)),
            ("mcfilter6", line(MCFILTER6)),
            ("netlink", line(NETLINK)),
            ("packet", line(PACKET)),
            ("protocols", line(PROTOCOLS)),
            ("ptype", line("Type Device      Function")),
            ("raw", line(&inet("", UDP_END))),
            ("raw6", line(&inet6(UDP_END))),
            ("route", padded(ROUTE, 127)),
            ("rt_cache", padded(RT_CACHE, 127)),
            ("tcp", padded(&inet("", ""), 149)),
            ("tcp6", line(&inet6(""))),
            ("udp", padded(&inet(" ", UDP_END), 127)),
            ("udp6", line(&inet6(UDP_END))),
            ("unix", line(UNIX)),
        ];
        let mut compared = 0;
        for (name, ours) in ours {
            // Not every host has every table.
            let Ok(host) = std::fs::read_to_string(format!("/proc/net/{name}")) else { continue };
            assert_eq!(first_line(&ours), first_line(&host), "{name}");
            compared += 1;
        }
        assert!(compared > 5);
    }

    #[test]
    fn counters_are_linuxs_own() {
        let host = std::fs::read_to_string("/proc/net/snmp").unwrap();
        let ours = counters(SNMP);
        let known: Vec<&str> = ours.lines().step_by(2).collect();
        for header in &known {
            let group = header.split(' ').next().unwrap();
            let host = host.lines().find(|line| line.starts_with(group)).unwrap();
            let host: Vec<&str> = host.split(' ').collect();
            for name in header.split(' ') {
                assert!(host.contains(&name), "{name} of {group}");
            }
        }
        assert!(ours.contains("Ip: 2 64 0 "));
    }

    #[test]
    fn lo_is_laid_out_as_the_hosts() {
        let host = std::fs::read_to_string("/proc/net/dev").unwrap();
        let Some(host) = host.lines().find(|line| line.trim_start().starts_with("lo:")) else {
            return;
        };
        let words = |line: &str| line.split_ascii_whitespace().count();
        assert_eq!(words(DEV_LO), words(host));
    }
}
