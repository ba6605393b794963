//! Anonymous memory: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2), mincore(2).

use std::sync::atomic::Ordering::SeqCst;

use crate::case::{Case, Outcome, in_child};
use crate::sys::{BAD, PAGE, Region, fault_of, fault_of_read};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "memory";
    anonymous_memory_is_zero: "fresh anonymous memory reads as zero";
    length_zero_is_einval: "mmap and munmap of length 0 are EINVAL";
    huge_length_is_enomem: "a length beyond the address space is ENOMEM";
    needs_private_or_shared: "mmap without MAP_PRIVATE or MAP_SHARED is EINVAL";
    bad_descriptor_is_ebadf: "a file mapping of a closed descriptor is EBADF";
    hint_is_taken_when_free: "a free, aligned hint is used; a used one is not";
    fixed_replaces: "MAP_FIXED replaces what was there";
    fixed_unaligned_is_einval: "MAP_FIXED at an odd address is EINVAL";
    fixed_noreplace_is_eexist: "MAP_FIXED_NOREPLACE over a mapping is EEXIST and leaves it";
    munmap_makes_a_hole: "unmapping the middle leaves both ends";
    munmap_of_nothing_is_fine: "unmapping what is not mapped works, an odd address is EINVAL";
    mprotect_splits: "changing one page of three leaves its neighbours";
    mprotect_hole_is_enomem: "mprotect over a hole is ENOMEM, an odd address EINVAL";
    mprotect_none_hides_and_keeps: "PROT_NONE faults; the contents are there afterwards";
    prot_none_write_is_efault: "a system call reading into PROT_NONE memory is EFAULT";
    prot_read_blocks_kernel_writes: "a system call writing to read-only memory is EFAULT";
    mremap_grows_in_place_or_not: "without MAYMOVE growth works in place or is ENOMEM";
    mremap_moves_contents: "MREMAP_MAYMOVE keeps the contents and frees the old place";
    mremap_shrinks: "shrinking unmaps the tail";
    mremap_fixed_replaces: "MREMAP_FIXED moves onto another mapping";
    mremap_errors: "mremap's EINVAL and EFAULT";
    mremap_dontunmap_leaves_empty: "MREMAP_DONTUNMAP leaves empty memory behind";
    brk_grows_and_shrinks: "brk moves the end of the heap, and the memory with it";
    brk_failure_gives_old_end: "an impossible brk gives the old end";
    private_is_copied_on_fork: "private memory is copied, in both directions";
    shared_is_shared_on_fork: "shared anonymous memory is shared by parent and child";
    shared_survives_mremap: "shared memory moved by mremap is still shared";
    madvise_dontneed_zeroes: "MADV_DONTNEED empties private memory";
    madvise_dontneed_keeps_shared: "MADV_DONTNEED keeps shared memory";
    madvise_errors: "unknown advice and odd addresses are EINVAL, holes ENOMEM";
    madvise_dontfork_is_absent_in_child: "MADV_DONTFORK memory does not exist in a child";
    madvise_wipeonfork_is_zero_in_child: "MADV_WIPEONFORK memory is zero in a child";
    mincore_reports_pages: "mincore tells touched pages; holes are ENOMEM";
    mlock_of_hole_is_enomem: "mlock over a hole is ENOMEM";
    populate_maps_at_once: "MAP_POPULATE makes the pages resident";
    sparse_terabyte_can_be_reserved: "a large PROT_NONE reservation works, and parts can be opened";
    many_mappings: "a thousand mappings with different protection live side by side";
    stack_grows_on_demand: "the stack grows below what was touched before";
}

const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Whether a read at `address` faults.
fn faults(address: usize) -> sys::SysResult<bool> {
    Ok(fault_of_read(address)?.is_some())
}

fn anonymous_memory_is_zero(_: &mut Case) -> Outcome {
    let region = Region::private(1 << 20)?;
    for offset in (0..region.len).step_by(511) {
        check_eq!(region.get(offset), 0, "byte {offset}");
        region.set(offset, 0xff);
    }
    sys!(SYS_munmap, region.base, region.len)?;
    let again = Region::map(region.base, region.len, RW, ANON | libc::MAP_FIXED, -1, 0)?;
    check!((0..again.len).step_by(511).all(|o| again.get(o) == 0), "zeros after mapping again");
    Ok(())
}

fn length_zero_is_einval(_: &mut Case) -> Outcome {
    check_errno!(Region::map(0, 0, RW, ANON, -1, 0), EINVAL);
    check_errno!(sys!(SYS_munmap, 0x10000, 0), EINVAL);
    Ok(())
}

fn huge_length_is_enomem(_: &mut Case) -> Outcome {
    check_errno!(Region::map(0, 1 << 47, RW, ANON, -1, 0), ENOMEM);
    check_errno!(Region::map(0, usize::MAX, RW, ANON, -1, 0), ENOMEM);
    check_errno!(sys!(SYS_munmap, 0x10000, 1usize << 48), EINVAL);
    Ok(())
}

fn needs_private_or_shared(_: &mut Case) -> Outcome {
    check_errno!(Region::map(0, PAGE, RW, libc::MAP_ANONYMOUS, -1, 0), EINVAL);
    Ok(())
}

fn bad_descriptor_is_ebadf(_: &mut Case) -> Outcome {
    check_errno!(Region::map(0, PAGE, RW, libc::MAP_PRIVATE, -1, 0), EBADF);
    check_errno!(Region::map(0, PAGE, RW, libc::MAP_PRIVATE, 999, 0), EBADF);
    check_errno!(Region::map(0, PAGE, RW, libc::MAP_PRIVATE, 999, 7), EINVAL);
    Ok(())
}

fn hint_is_taken_when_free(_: &mut Case) -> Outcome {
    let region = Region::private(4 * PAGE)?;
    sys!(SYS_munmap, region.base, region.len)?;
    let hinted = Region::map(region.base + PAGE, PAGE, RW, ANON, -1, 0)?;
    check_eq!(hinted.base, region.base + PAGE, "address with a free hint");
    let other = Region::map(hinted.base, PAGE, RW, ANON, -1, 0)?;
    check!(other.base != hinted.base, "another address with a used hint");
    Ok(())
}

fn fixed_replaces(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    (0..3).for_each(|page| region.set(page * PAGE, 7));
    let middle = Region::map(region.base + PAGE, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0)?;
    check_eq!(middle.base, region.base + PAGE, "address");
    let bytes = [region.get(0), region.get(PAGE), region.get(2 * PAGE)];
    check_eq!(bytes, [7, 0, 7], "first bytes of the three pages");
    Ok(())
}

fn fixed_unaligned_is_einval(_: &mut Case) -> Outcome {
    let flags = ANON | libc::MAP_FIXED;
    check_errno!(Region::map(0x10_0001, PAGE, RW, flags, -1, 0), EINVAL);
    Ok(())
}

fn fixed_noreplace_is_eexist(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    region.set(PAGE, 9);
    let flags = ANON | libc::MAP_FIXED_NOREPLACE;
    check_errno!(Region::map(region.base + PAGE, PAGE, RW, flags, -1, 0), EEXIST);
    check_eq!(region.get(PAGE), 9, "byte of the old mapping");
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_errno!(Region::map(region.base, 3 * PAGE, RW, flags, -1, 0), EEXIST);
    let hole = Region::map(region.base + PAGE, PAGE, RW, flags, -1, 0)?;
    check_eq!(hole.base, region.base + PAGE, "address in the hole");
    Ok(())
}

fn munmap_makes_a_hole(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    region.set(0, 1);
    region.set(2 * PAGE, 3);
    // The length is rounded up to whole pages.
    sys!(SYS_munmap, region.base + PAGE, 1)?;
    check_eq!((region.get(0), region.get(2 * PAGE)), (1, 3), "bytes on both sides");
    check!(faults(region.base + PAGE)?, "a fault in the hole");
    Ok(())
}

fn munmap_of_nothing_is_fine(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    sys!(SYS_munmap, region.base, PAGE)?;
    sys!(SYS_munmap, region.base, PAGE)?;
    check_errno!(sys!(SYS_munmap, region.base + 1, PAGE), EINVAL);
    check_errno!(sys!(SYS_munmap, sys::KERNEL_ADDRESS, PAGE), EINVAL);
    Ok(())
}

fn mprotect_splits(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    sys!(SYS_mprotect, region.base + PAGE, PAGE, libc::PROT_READ)?;
    region.set(PAGE - 1, 1);
    region.set(2 * PAGE, 1);
    check_eq!(region.get(PAGE), 0, "byte of the read-only page");
    check!(fault_of(|| region.set(PAGE, 1))?.is_some(), "a fault at its first byte");
    check!(fault_of(|| region.set(2 * PAGE - 1, 1))?.is_some(), "a fault at its last byte");
    sys!(SYS_mprotect, region.base, region.len, RW)?;
    region.set(PAGE, 5);
    check_eq!(region.get(PAGE), 5, "byte when it is writable again");
    Ok(())
}

fn mprotect_hole_is_enomem(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_errno!(sys!(SYS_mprotect, region.base, region.len, libc::PROT_READ), ENOMEM);
    check_errno!(sys!(SYS_mprotect, region.base + 1, PAGE, RW), EINVAL);
    check_errno!(sys!(SYS_mprotect, region.base, PAGE, 0x40), EINVAL);
    sys!(SYS_mprotect, region.base, 0, RW)?;
    Ok(())
}

fn mprotect_none_hides_and_keeps(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    region.set(9, 9);
    sys!(SYS_mprotect, region.base, PAGE, libc::PROT_NONE)?;
    check!(faults(region.base + 9)?, "a fault on PROT_NONE");
    sys!(SYS_mprotect, region.base, PAGE, libc::PROT_READ)?;
    check_eq!(region.get(9), 9, "byte when it is readable again");
    Ok(())
}

fn prot_none_write_is_efault(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    let (r, w) = crate::calls::pipe(0)?;
    sys!(SYS_mprotect, region.base + PAGE, PAGE, libc::PROT_NONE)?;
    check_errno!(sys!(SYS_write, w, region.base + PAGE, 1), EFAULT);
    // What comes before the fault is transferred.
    let written = sys!(SYS_write, w, region.base + PAGE - 10, 20);
    check!(matches!(written, Ok(10) | Err(_)), "10 bytes or an error, got {written:?}");
    crate::calls::write(w, &[1; 8])?;
    check_errno!(sys!(SYS_read, r, region.base + PAGE, 8), EFAULT);
    Ok(())
}

fn prot_read_blocks_kernel_writes(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    sys!(SYS_mprotect, region.base, PAGE, libc::PROT_READ)?;
    check_errno!(sys!(SYS_uname, region.base), EFAULT);
    check_errno!(sys!(SYS_clock_gettime, 0, region.base), EFAULT);
    check_errno!(sys!(SYS_pipe, region.base), EFAULT);
    check_eq!(region.get(0), 0, "byte of the read-only page");
    Ok(())
}

fn mremap_grows_in_place_or_not(_: &mut Case) -> Outcome {
    let region = Region::private(4 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, 2 * PAGE)?;
    region.set(0, 8);
    check_eq!(sys!(SYS_mremap, region.base, PAGE, 3 * PAGE, 0)?, region.base, "grown in place");
    check_eq!((region.get(0), region.get(2 * PAGE)), (8, 0), "old and new bytes");
    check_errno!(sys!(SYS_mremap, region.base, 3 * PAGE, 5 * PAGE, 0), ENOMEM);
    Ok(())
}

fn mremap_moves_contents(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    (0..3).for_each(|page| region.set(page * PAGE + 5, page as u8 + 1));
    // Blocked in place by its own last page.
    let moved = sys!(SYS_mremap, region.base, 2 * PAGE, 64 * PAGE, libc::MREMAP_MAYMOVE)?;
    check!(moved != region.base, "another address");
    check_eq!((sys::load8(moved + 5), sys::load8(moved + PAGE + 5)), (1, 2), "bytes moved");
    check_eq!(sys::load8(moved + 63 * PAGE), 0, "a new byte");
    check!(faults(region.base + 5)?, "a fault at the old place");
    check_eq!(region.get(2 * PAGE + 5), 3, "byte of the page which stayed");
    Ok(())
}

fn mremap_shrinks(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    region.set(0, 4);
    check_eq!(sys!(SYS_mremap, region.base, 3 * PAGE, PAGE, 0)?, region.base, "address");
    check_eq!(region.get(0), 4, "byte kept");
    check!(faults(region.base + PAGE)?, "a fault in what was cut off");
    Ok(())
}

fn mremap_fixed_replaces(_: &mut Case) -> Outcome {
    let from = Region::private(PAGE)?;
    let to = Region::private(PAGE)?;
    from.set(1, 11);
    to.set(1, 22);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    check_eq!(sys!(SYS_mremap, from.base, PAGE, PAGE, flags, to.base)?, to.base, "address");
    check_eq!(to.get(1), 11, "byte at the new place");
    check!(faults(from.base)?, "a fault at the old place");
    Ok(())
}

fn mremap_errors(_: &mut Case) -> Outcome {
    let region = Region::private(4 * PAGE)?;
    let base = region.base;
    let fixed = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    check_errno!(sys!(SYS_mremap, base + 1, PAGE, PAGE, 0), EINVAL);
    check_errno!(sys!(SYS_mremap, base, PAGE, 0, 0), EINVAL);
    check_errno!(sys!(SYS_mremap, base, PAGE, PAGE, 64), EINVAL);
    check_errno!(sys!(SYS_mremap, base, PAGE, PAGE, libc::MREMAP_FIXED, base), EINVAL);
    check_errno!(sys!(SYS_mremap, base, 2 * PAGE, 2 * PAGE, fixed, base + PAGE), EINVAL);
    sys!(SYS_munmap, base + PAGE, PAGE)?;
    check_errno!(sys!(SYS_mremap, base + PAGE, PAGE, 2 * PAGE, 1), EFAULT);
    check_errno!(sys!(SYS_mremap, base, 3 * PAGE, 8 * PAGE, 1), EFAULT);
    // A private mapping cannot be duplicated by an old length of zero.
    check_errno!(sys!(SYS_mremap, base, 0, PAGE, 1), EINVAL);
    Ok(())
}

fn mremap_dontunmap_leaves_empty(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    region.set(3, 33);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP;
    let moved = sys!(SYS_mremap, region.base, PAGE, PAGE, flags, 0)?;
    check_eq!(sys::load8(moved + 3), 33, "byte at the new place");
    check_eq!(region.get(3), 0, "byte at the old place");
    Ok(())
}

fn brk_grows_and_shrinks(_: &mut Case) -> Outcome {
    in_child(|| {
        let end = sys!(SYS_brk, 0)?;
        let top = (end + PAGE - 1) & !(PAGE - 1);
        check_eq!(sys!(SYS_brk, top + 4 * PAGE)?, top + 4 * PAGE, "brk after growing");
        sys::store8(top + 3 * PAGE, 1);
        check_eq!(sys!(SYS_brk, top + PAGE)?, top + PAGE, "brk after shrinking");
        check!(faults(top + 3 * PAGE)?, "a fault above the end");
        check_eq!(sys!(SYS_brk, top + 4 * PAGE)?, top + 4 * PAGE, "brk after growing again");
        check_eq!(sys::load8(top + 3 * PAGE), 0, "byte of the memory grown again");
        Ok(())
    })
}

fn brk_failure_gives_old_end(_: &mut Case) -> Outcome {
    let end = sys!(SYS_brk, 0)?;
    check_eq!(sys!(SYS_brk, PAGE)?, end, "brk below the start of the heap");
    check_eq!(sys!(SYS_brk, 1usize << 46)?, end, "brk beyond every limit");
    Ok(())
}

fn private_is_copied_on_fork(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    let shared = Region::shared(PAGE)?;
    region.set(0, 1);
    in_child(|| {
        check_eq!(region.get(0), 1, "byte inherited");
        region.set(0, 2);
        region.set(PAGE, 2);
        shared.set(0, region.get(0));
        Ok(())
    })?;
    check_eq!((region.get(0), region.get(PAGE)), (1, 0), "bytes of the parent");
    check_eq!(shared.get(0), 2, "byte the child saw");
    Ok(())
}

fn shared_is_shared_on_fork(_: &mut Case) -> Outcome {
    let region = Region::shared(2 * PAGE)?;
    in_child(|| {
        region.set(PAGE + 1, 7);
        // Shared with grandchildren as well.
        in_child(|| {
            region.set(2, region.get(PAGE + 1) + 1);
            Ok(())
        })
    })?;
    check_eq!((region.get(PAGE + 1), region.get(2)), (7, 8), "bytes written by the children");
    Ok(())
}

fn shared_survives_mremap(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    // An old length of zero makes a second mapping of the same pages.
    let second = sys!(SYS_mremap, region.base, 0, PAGE, libc::MREMAP_MAYMOVE)?;
    region.set(4, 44);
    check_eq!(sys::load8(second + 4), 44, "byte through the second mapping");
    Ok(())
}

fn madvise_dontneed_zeroes(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    (0..3).for_each(|page| region.set(page * PAGE, 1));
    sys!(SYS_madvise, region.base + PAGE, PAGE, libc::MADV_DONTNEED)?;
    let bytes = [region.get(0), region.get(PAGE), region.get(2 * PAGE)];
    check_eq!(bytes, [1, 0, 1], "first bytes of the three pages");
    Ok(())
}

fn madvise_dontneed_keeps_shared(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    region.set(0, 1);
    sys!(SYS_madvise, region.base, PAGE, libc::MADV_DONTNEED)?;
    check_eq!(region.get(0), 1, "byte of shared memory");
    Ok(())
}

fn madvise_errors(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    check_errno!(sys!(SYS_madvise, region.base, PAGE, 9999), EINVAL);
    check_errno!(sys!(SYS_madvise, region.base + 1, PAGE, libc::MADV_DONTNEED), EINVAL);
    sys!(SYS_madvise, region.base, 0, libc::MADV_DONTNEED)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    region.set(2 * PAGE, 6);
    let result = sys!(SYS_madvise, region.base, region.len, libc::MADV_DONTNEED);
    check_errno!(result, ENOMEM);
    check_eq!(region.get(2 * PAGE), 0, "byte beyond the hole: the advice is applied all the same");
    Ok(())
}

fn madvise_dontfork_is_absent_in_child(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    region.set(0, 1);
    sys!(SYS_madvise, region.base, PAGE, libc::MADV_DONTFORK)?;
    // The probe runs in a child.
    check!(faults(region.base)?, "a fault in the child");
    check_eq!(region.get(0), 1, "byte in the parent");
    Ok(())
}

fn madvise_wipeonfork_is_zero_in_child(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    region.set(0, 1);
    sys!(SYS_madvise, region.base, PAGE, libc::MADV_WIPEONFORK)?;
    in_child(|| {
        check_eq!(region.get(0), 0, "byte in the child");
        Ok(())
    })?;
    check_eq!(region.get(0), 1, "byte in the parent");
    Ok(())
}

fn mincore_reports_pages(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    sys!(SYS_madvise, region.base, region.len, libc::MADV_NOHUGEPAGE)
        .or_else(|errno| if errno.0 == libc::EINVAL { Ok(0) } else { Err(errno) })?;
    region.set(PAGE, 1);
    let mut pages = [0xffu8; 3];
    sys!(SYS_mincore, region.base, region.len, &mut pages)?;
    check_eq!(pages[1] & 1, 1, "bit of the touched page");
    check_errno!(sys!(SYS_mincore, region.base + 1, PAGE, &mut pages), EINVAL);
    check_errno!(sys!(SYS_mincore, region.base, PAGE, BAD), EFAULT);
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_errno!(sys!(SYS_mincore, region.base, region.len, &mut pages), ENOMEM);
    Ok(())
}

fn mlock_of_hole_is_enomem(_: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_errno!(sys!(SYS_mlock, region.base, region.len), ENOMEM);
    check_errno!(sys!(SYS_munlock, region.base, region.len), ENOMEM);
    check_errno!(sys!(SYS_mlockall, 0), EINVAL);
    Ok(())
}

fn populate_maps_at_once(_: &mut Case) -> Outcome {
    let region = Region::map(0, 4 * PAGE, RW, ANON | libc::MAP_POPULATE, -1, 0)?;
    let mut pages = [0u8; 4];
    sys!(SYS_mincore, region.base, region.len, &mut pages)?;
    check_eq!(pages.map(|p| p & 1), [1; 4], "resident pages");
    Ok(())
}

fn sparse_terabyte_can_be_reserved(_: &mut Case) -> Outcome {
    let flags = ANON | libc::MAP_NORESERVE;
    let region = Region::map(0, 1 << 40, libc::PROT_NONE, flags, -1, 0)?;
    for offset in [0, 1usize << 32, (1 << 40) - PAGE] {
        sys!(SYS_mprotect, region.base + offset, PAGE, RW)?;
        region.set(offset, 1);
        check_eq!(region.get(offset), 1, "byte at {offset:#x}");
    }
    sys!(SYS_munmap, region.base, region.len)?;
    Ok(())
}

fn many_mappings(_: &mut Case) -> Outcome {
    let region = Region::private(2000 * PAGE)?;
    for page in (0..2000).step_by(2) {
        region.set(page * PAGE, page as u8);
        sys!(SYS_mprotect, region.base + page * PAGE, PAGE, libc::PROT_READ)?;
    }
    for page in (0..2000).step_by(2) {
        check_eq!(region.get(page * PAGE), page as u8, "byte of page {page}");
        region.set((page + 1) * PAGE, 1);
    }
    sys!(SYS_munmap, region.base, region.len)?;
    Ok(())
}

/// Recursion with a large frame: 64 KiB a level.
#[inline(never)]
fn dig(depth: u32) -> u32 {
    let frame = std::hint::black_box([depth as u8; 64 << 10]);
    if depth == 0 { 0 } else { dig(depth - 1) + u32::from(frame[(depth as usize) * 13] > 0) }
}

fn stack_grows_on_demand(_: &mut Case) -> Outcome {
    let shared = Region::shared(PAGE)?;
    in_child(|| {
        shared.word(0).store(dig(40), SeqCst);
        Ok(())
    })?;
    check_eq!(shared.word(0).load(SeqCst), 40, "levels reached");
    Ok(())
}
