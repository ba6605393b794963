//! Sets of processors, all of which are there: 0 to the last.

/// As `Cpus_allowed`: words of 32 in hexadecimal, the highest first.
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
    fn sets_look_as_linux_writes_them() {
        assert_eq!((mask(1), list(1)), ("1".to_owned(), "0".to_owned()));
        assert_eq!((mask(2), list(2)), ("3".to_owned(), "0-1".to_owned()));
        assert_eq!(mask(32), "ffffffff");
        assert_eq!(mask(33), "1,ffffffff");
        assert_eq!(mask(0), "1");
    }
}
