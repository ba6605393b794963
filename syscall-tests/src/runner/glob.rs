//! Shell patterns for names of cases: `*` any run of characters (slashes too), `?` any one.

/// Whether the whole of `text` matches `pattern`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go back to: after the last star, with one more character given to it.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn literal_and_wild() {
        assert!(matches("open/excl", "open/excl"));
        assert!(!matches("open/excl", "open/excl_"));
        assert!(matches("open/*", "open/excl"));
        assert!(matches("*", ""));
        assert!(matches("*excl*", "open/excl_existing"));
        assert!(matches("o?en/*g", "open/existing"));
        assert!(!matches("?", ""));
        assert!(!matches("open/*x", "open/existing"));
    }

    #[test]
    fn stars_go_back() {
        assert!(matches("*ab*ab", "aabbabab"));
        assert!(!matches("*ab*abc", "aabbabab"));
        assert!(matches("a**b", "ab"));
    }
}
