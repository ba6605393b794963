//! Where things go in a new address space, with Linux's amounts of randomness.

use super::random_below;
use abi::PAGE_SIZE;
use platform::GUEST_ADDRESS_END;

/// Places for a new image.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Just above the stack's first byte.
    pub stack_top: u64,
    /// mmap(2) allocates downwards from here.
    pub mmap_base: u64,
    /// Where a position-independent executable goes.
    pub pie_base: u64,
    /// How far the heap is from the end of the image.
    pub brk_gap: u64,
}

/// ELF_ET_DYN_BASE: two thirds of the address space.
const PIE_BASE: u64 = (GUEST_ADDRESS_END / 3 * 2) & !0xfff;

/// The least and the most that lies between the stack's top and the mmap area.
const MIN_GAP: u64 = 128 << 20;
const MAX_GAP: u64 = GUEST_ADDRESS_END / 6 * 5;

/// Randomness in pages: 22 bits for the stack, 28 for mmap and PIE; 32 MiB for the heap.
const STACK_RANDOM: u64 = 1 << 22;
const MMAP_RANDOM: u64 = 1 << 28;
const BRK_RANDOM: u64 = 0x0200_0000;

impl Layout {
    /// Chooses. `stack_limit` is RLIMIT_STACK.
    pub fn choose(stack_limit: u64, no_randomize: bool) -> Layout {
        let random = |limit| if no_randomize { 0 } else { random_below(limit) };
        let stack_top = GUEST_ADDRESS_END - PAGE_SIZE - random(STACK_RANDOM) * PAGE_SIZE;
        let gap = stack_limit.clamp(MIN_GAP, MAX_GAP) & !(PAGE_SIZE - 1);
        // The stack's own randomness and guard gap are beyond the limit.
        let room = gap + STACK_RANDOM * PAGE_SIZE + (256 * PAGE_SIZE);
        let mmap_base = GUEST_ADDRESS_END - room - random(MMAP_RANDOM) * PAGE_SIZE;
        Layout {
            stack_top,
            mmap_base,
            pie_base: PIE_BASE + random(MMAP_RANDOM) * PAGE_SIZE,
            brk_gap: random(BRK_RANDOM) & !(PAGE_SIZE - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_do_not_overlap_for_any_limit() {
        for limit in [0, 8 << 20, 1 << 30, 1 << 40, u64::MAX] {
            for no_randomize in [true, false] {
                let layout = Layout::choose(limit, no_randomize);
                assert!(layout.stack_top < GUEST_ADDRESS_END);
                assert!(layout.mmap_base < layout.stack_top);
                assert!(layout.mmap_base.is_multiple_of(PAGE_SIZE));
                assert!(layout.pie_base.is_multiple_of(PAGE_SIZE));
                assert!(layout.pie_base < GUEST_ADDRESS_END);
            }
        }
    }
}
