//! The results as JUnit XML: a test suite for each place, a class for each family.

use std::fmt::Write;

use super::{Results, Verdict};

/// Text for XML content and attributes. Characters that XML 1.0 has no way to write become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // As references, or an attribute's value would lose them.
            '\n' | '\t' | '\r' => {
                let _ = write!(escaped, "&#{};", c as u32);
            }
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The whole document.
pub fn write(results: &Results) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (i, place) in results.places.iter().enumerate() {
        let runs = || results.cases.iter().filter_map(|case| Some((case, case.runs.get(i)?)));
        let count = |verdict| runs().filter(|(_, run)| run.verdict == verdict).count();
        let failures = runs().filter(|(_, run)| results.is_bad(run)).count();
        let skipped = if results.deny_skips { 0 } else { count(Verdict::Skip) };
        let millis: u64 = runs().map(|(_, run)| run.millis).sum();
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" \
             time=\"{}\">",
            escape(place),
            runs().count(),
            seconds(millis)
        );
        for (case, run) in runs() {
            let (family, name) = case.name.split_once('/').unwrap_or(("", &case.name));
            let _ = write!(
                xml,
                "<testcase classname=\"{}.{}\" name=\"{}\" time=\"{}\"",
                escape(place),
                escape(family),
                escape(name),
                seconds(run.millis)
            );
            let output = escape(&run.output);
            let _ = if results.is_bad(run) {
                let kind = run.verdict.word();
                writeln!(xml, "><failure type=\"{kind}\" message=\"{output}\"/></testcase>")
            } else if run.verdict == Verdict::Skip {
                writeln!(xml, "><skipped message=\"{output}\"/></testcase>")
            } else {
                writeln!(xml, "/>")
            };
        }
        xml.push_str("</testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::tests::sample;

    #[test]
    fn escapes() {
        assert_eq!(
            escape("<a b=\"c\"> & 'd'\n\u{1}"),
            "&lt;a b=&quot;c&quot;&gt; &amp; &apos;d&apos;&#10;\u{fffd}"
        );
    }

    #[test]
    fn shape() {
        let xml = write(&sample());
        assert!(xml.contains(
            "<testsuite name=\"native\" tests=\"2\" failures=\"0\" skipped=\"1\" time=\"0.003\">"
        ));
        assert!(xml.contains(
            "<testcase classname=\"ptrace.open\" name=\"one\" time=\"0.003\"><failure type=\"FAIL\" \
             message=\"expected &lt;1&gt; &amp; got &quot;2&quot;\"/></testcase>"
        ));
        assert_eq!(xml.matches("<testsuite ").count(), xml.matches("</testsuite>").count());
    }
}
