//! auxv: the auxiliary vector, found where exec put it: above envp, above argv, on the stack.

use super::Live;
use super::cmdline::read_range;
use abi::{Errno, SysResult};

/// The bytes of one word.
const WORD: usize = size_of::<u64>();

/// More entries than this no kernel gives.
const MAX_ENTRIES: usize = 64;

/// argv and envp are looked through this far; longer ones hide the vector.
const MAX_POINTERS: u64 = 1 << 20;

/// getauxval(3)'s pairs, up to and with AT_NULL.
pub(super) fn auxv(live: &Live) -> SysResult<Vec<u8>> {
    let mm = live.mm().ok_or(Errno::ESRCH)?;
    let start = mm.layout().start_stack;
    let mut at = start;
    // In pieces: most processes have few arguments.
    let mut words = Words {
        next: move || {
            let bytes = read_range(&mm, at, at + 4096);
            at += bytes.len() as u64;
            bytes
        },
        buffer: Vec::new(),
        pos: 0,
    };
    Ok(find(&mut words).unwrap_or_default())
}

/// Words of memory, one after the other.
struct Words<F> {
    next: F,
    buffer: Vec<u8>,
    pos: usize,
}

impl<F: FnMut() -> Vec<u8>> Iterator for Words<F> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.pos + WORD > self.buffer.len() {
            self.buffer = (self.next)();
            self.pos = 0;
        }
        let (word, _) = self.buffer.get(self.pos..)?.split_first_chunk::<WORD>()?;
        self.pos += WORD;
        Some(u64::from_ne_bytes(*word))
    }
}

/// The vector in a program's first stack, which begins with argc.
fn find(words: &mut impl Iterator<Item = u64>) -> Option<Vec<u8>> {
    let argc = words.next().filter(|argc| *argc < MAX_POINTERS)?;
    words.nth(argc as usize)?; // argv and its NULL
    let mut seen = 0;
    while words.next()? != 0 {
        seen += 1;
        if seen > MAX_POINTERS {
            return None;
        }
    }
    let mut vector = Vec::new();
    for _ in 0..MAX_ENTRIES {
        let (key, value) = (words.next()?, words.next()?);
        vector.extend([key, value].iter().flat_map(|word| word.to_ne_bytes()));
        if key == 0 {
            break;
        }
    }
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_is_found_behind_argv_and_envp() {
        let stack = [2, 0x100, 0x200, 0, 0x300, 0, 6, 4096, 17, 100, 0, 0, 99];
        let expected: Vec<u8> =
            [6u64, 4096, 17, 100, 0, 0].iter().flat_map(|w| w.to_ne_bytes()).collect();
        assert_eq!(find(&mut stack.into_iter()), Some(expected));
    }

    #[test]
    fn a_stack_that_was_overwritten_gives_nothing() {
        assert_eq!(find(&mut [u64::MAX, 0].into_iter()), None);
        assert_eq!(find(&mut [0, 0].into_iter()), None);
        assert_eq!(find(&mut std::iter::repeat(1)), None);
    }
}
