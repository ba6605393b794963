//! Sets of processors, as /proc and /sys write them.

use kernel::schedule::CpuSet;

/// A set among `cpus` processors, as `Cpus_allowed`: words of 32 in hexadecimal, the highest first.
pub(crate) fn mask_of_set(set: &CpuSet, cpus: u32) -> String {
    let cpus = cpus.max(1);
    let mut text = String::new();
    for word in (0..cpus.div_ceil(32)).rev() {
        let first = word * 32;
        let bits = (cpus - first).min(32);
        let value: u32 = (0..bits).map(|bit| u32::from(set.contains(first + bit)) << bit).sum();
        let separator = if text.is_empty() { "" } else { "," };
        text.push_str(&format!("{separator}{value:0width$x}", width = bits.div_ceil(4) as usize));
    }
    text
}

/// A set as `Cpus_allowed_list`: ranges.
pub(crate) fn list_of_set(set: &CpuSet) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for cpu in set.iter() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let shown = ranges.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// As `Cpus_allowed`, of the first `cpus`: words of 32 in hexadecimal, the highest first.
pub(crate) fn mask(cpus: u32) -> String {
    let cpus = cpus.max(1);
    let top = (cpus - 1) % 32 + 1;
    let mut text = format!("{:x}", u32::MAX >> (32 - top));
    for _ in 0..(cpus - 1) / 32 {
        text.push_str(",ffffffff");
    }
    text
}

/// As `Cpus_allowed_list`.
pub(crate) fn list(cpus: u32) -> String {
    if cpus <= 1 { "0".to_owned() } else { format!("0-{}", cpus - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_processors() {
        let set = CpuSet::from_bytes(&[0b1011, 0, 0, 0, 1]);
        assert_eq!(mask_of_set(&set, 34), "1,0000000b");
        assert_eq!(mask_of_set(&set, 8), "0b");
        assert_eq!(list_of_set(&set), "0-1,3,32");
        assert_eq!(list_of_set(&CpuSet::from_bytes(&[])), "");
        for cpus in [1, 2, 32, 33, 64] {
            let all = CpuSet::first(cpus);
            assert_eq!((mask_of_set(&all, cpus), list_of_set(&all)), (mask(cpus), list(cpus)));
        }
    }

    #[test]
    fn sets_look_as_linux_writes_them() {
        assert_eq!((mask(1), list(1)), ("1".to_owned(), "0".to_owned()));
        assert_eq!((mask(2), list(2)), ("3".to_owned(), "0-1".to_owned()));
        assert_eq!(mask(32), "ffffffff");
        assert_eq!(mask(33), "1,ffffffff");
        assert_eq!(mask(0), "1");
    }
}
