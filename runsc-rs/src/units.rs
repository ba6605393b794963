//! Sizes and durations on the command line.

use std::time::Duration;

/// Bytes: a number, and K, M, G or T for powers of 1024 (`512M`, `2GiB`, `1.5G`).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit.len() < 2 => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("not a size; write it as 512M or 2G".into()),
    };
    scale(number, (1u64 << shift) as f64)
        .map(|bytes| bytes as u64)
        .ok_or_else(|| "not a size; write it as 512M or 2G".into())
}

/// A duration: a number, in seconds or with ms, s, m, h or d (`10`, `500ms`, `1.5h`). Not zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err("not a duration; write it as 10, 500ms or 2m".into()),
    };
    scale(number, seconds)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a duration; write it as 10, 500ms or 2m".into())
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// `number` is digits and points. None where it is no number or the product is beyond 2^60.
fn scale(number: &str, factor: f64) -> Option<f64> {
    let number: f64 = number.parse().ok()?;
    Some(number * factor).filter(|product| *product <= (1u64 << 60) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4096b", 4096),
            ("1k", 1024),
            ("512M", 512 << 20),
            ("2GiB", 2 << 30),
            ("2gb", 2 << 30),
            ("1.5G", 3 << 29),
            ("1T", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1X", "-1", "1.2.3", "ib", "1ib", "99999999999T", "1 M", "inf", "."] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("10", 10_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("0.5", 500),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "0", "0ms", "s", "-1", "1w", "1e3", "nan", "9999999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
