//! The results as JSON.

use std::fmt::Write;

use super::Results;

/// A JSON string, quotes included.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // U+2028 and U+2029 too: valid JSON, but not in every reader's JavaScript.
            c if c < ' ' || matches!(c, '\u{7f}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `{"passed": N, ..., "cases": [{"name": ..., "runs": [{"place": ..., "verdict": ...}]}]}`.
pub fn write(results: &Results) -> String {
    let (passed, failed, skipped) = results.totals();
    let mut json = format!(
        "{{\n\"passed\": {passed}, \"failed\": {failed}, \"skipped\": {skipped},\n\"cases\": ["
    );
    for (i, case) in results.cases.iter().enumerate() {
        let separator = if i == 0 { "" } else { "," };
        let _ = write!(json, "{separator}\n{{\"name\": {}, \"runs\": [", quote(&case.name));
        for (k, (place, run)) in results.places.iter().zip(&case.runs).enumerate() {
            let separator = if k == 0 { "" } else { ", " };
            let _ = write!(
                json,
                "{separator}{{\"place\": {}, \"verdict\": {}, \"millis\": {}, \"output\": {}}}",
                quote(place),
                quote(&run.verdict.word().to_lowercase()),
                run.millis,
                quote(&run.output)
            );
        }
        json.push_str("]}");
    }
    json.push_str("\n]\n}\n");
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::tests::sample;

    #[test]
    fn escapes() {
        assert_eq!(quote("a\"b\\c\n\t\u{1}é"), "\"a\\\"b\\\\c\\n\\t\\u0001é\"");
        assert_eq!(quote("\u{2028}"), "\"\\u2028\"");
    }

    #[test]
    fn shape() {
        let json = write(&sample());
        assert!(json.starts_with("{\n\"passed\": 2, \"failed\": 1, \"skipped\": 1,"));
        assert!(json.contains(
            "{\"place\": \"ptrace\", \"verdict\": \"fail\", \"millis\": 3, \
             \"output\": \"expected <1> & got \\\"2\\\"\"}"
        ));
        assert_eq!(json.matches('{').count(), json.matches('}').count());
    }
}
