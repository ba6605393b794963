//! What the calls promise, one test a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use abi::mman::MapFlags;
use abi::signal::Signal;
use abi::{Errno, UserAddr};
use common::*;
use mm::*;
use std::sync::Arc;

const RW: Prot = Prot::READ.union(Prot::WRITE);
const AT: u64 = 0x7000_0000;
const GIB: u64 = 1 << 30;

fn setup() -> (Arc<MemoryFile>, Arc<MemoryManager>) {
    let memory = MemoryFile::new_memfd().unwrap();
    let mm = new_mm(&memory);
    (memory, mm)
}

fn anon(mm: &MemoryManager, pages: u64) -> u64 {
    mm.mmap(MmapArgs::anonymous(pages * 4096, RW)).unwrap().0
}

fn shared(flags: MapFlags) -> MmapArgs {
    let mut args = MmapArgs::anonymous(4096 * 4, RW);
    args.flags = MapFlags::SHARED | flags;
    args
}

#[test]
fn mmap_errors_come_in_linux_order() {
    let (memory, mm) = setup();
    let with = |change: &dyn Fn(&mut MmapArgs)| {
        let mut args = MmapArgs::anonymous(4096, RW);
        change(&mut args);
        mm.mmap(args).map_err(|error| error.name())
    };
    assert_eq!(with(&|a| (a.offset, a.len) = (1, 0)), Err("EINVAL"));
    assert_eq!(with(&|a| (a.flags, a.len) = (MapFlags::PRIVATE, 0)), Err("EBADF"));
    assert_eq!(with(&|a| a.flags |= MapFlags::HUGETLB), Err("ENOMEM"));
    assert_eq!(with(&|a| a.len = 0), Err("EINVAL"));
    assert_eq!(with(&|a| a.len = u64::MAX), Err("ENOMEM"));
    assert_eq!(with(&|a| a.len = u64::MAX / 2), Err("ENOMEM"));
    assert_eq!(with(&|a| a.offset = u64::MAX - 4095), Err("EOVERFLOW"));
    let fixed = MapFlags::FIXED;
    assert_eq!(with(&|a| (a.flags, a.addr) = (a.flags | fixed, UserAddr(AT + 1))), Err("EINVAL"));
    assert_eq!(with(&|a| (a.flags, a.addr) = (a.flags | fixed, UserAddr(4096))), Err("EPERM"));
    assert_eq!(with(&|a| (a.flags, a.addr) = (a.flags | fixed, UserAddr(!4095))), Err("ENOMEM"));
    assert_eq!(with(&|a| a.flags = MapFlags::ANONYMOUS), Err("EINVAL"));
    let both = MapFlags::SHARED | MapFlags::PRIVATE;
    assert_eq!(with(&|a| a.flags = MapFlags::ANONYMOUS | both), Err("EINVAL"));
    let down = MapFlags::GROWSDOWN | MapFlags::ANONYMOUS | MapFlags::SHARED;
    assert_eq!(with(&|a| a.flags = down), Err("EINVAL"));

    let file = TestFile::in_memory(&memory, 4096);
    let mapped = |change: &dyn Fn(&mut MmapArgs, &mut MappedFile)| {
        let mut args = MmapArgs::anonymous(4096, RW);
        args.flags = MapFlags::SHARED;
        let mut mapped = file.mapped();
        change(&mut args, &mut mapped);
        args.file = Some(mapped);
        mm.mmap(args).map_err(|error| error.name())
    };
    assert_eq!(mapped(&|_, f| f.may_write = false), Err("EACCES"));
    assert!(mapped(&|a, f| (a.prot, f.may_write) = (Prot::READ, false)).is_ok());
    assert_eq!(mapped(&|a, f| (a.prot, f.may_exec) = (Prot::EXEC, false)), Err("EPERM"));
    assert_eq!(mapped(&|a, _| a.flags = both | MapFlags::SYNC), Err("EOPNOTSUPP"));
    assert!(mapped(&|a, _| a.flags = both).is_ok());

    let noreplace = MapFlags::FIXED_NOREPLACE;
    mm.mmap(MmapArgs::anonymous(8192, RW).at(UserAddr(AT))).unwrap();
    assert_eq!(
        with(&|a| (a.flags, a.addr) = (a.flags | noreplace, UserAddr(AT + 4096))),
        Err("EEXIST")
    );
}

#[test]
fn other_errors() {
    let (memory, mm) = setup();
    let at = anon(&mm, 4);
    assert_eq!(mm.munmap(UserAddr(at + 1), 1), Err(Errno::EINVAL));
    assert_eq!(mm.munmap(UserAddr(at), 0), Err(Errno::EINVAL));
    assert_eq!(mm.munmap(UserAddr(at), u64::MAX), Err(Errno::EINVAL));
    assert_eq!(mm.mprotect(UserAddr(at + 1), 1, 0), Err(Errno::EINVAL));
    assert_eq!(mm.mprotect(UserAddr(at), 0, 0xff00), Ok(()));
    assert_eq!(mm.mprotect(UserAddr(at), 1, 0xff00), Err(Errno::EINVAL));
    assert_eq!(mm.mprotect(UserAddr(AT), 1, 1), Err(Errno::ENOMEM));
    assert_eq!(mm.mprotect(UserAddr(!4095), 1 << 20, 1), Err(Errno::ENOMEM));
    let down = 0x0100_0000;
    assert_eq!(mm.mprotect(UserAddr(at), 1, 1 | down), Err(Errno::EINVAL));
    assert_eq!(mm.mremap(UserAddr(at), 4096, 0, 0, UserAddr(0)), Err(Errno::EINVAL));
    assert_eq!(mm.mremap(UserAddr(at), 4096, 4096, 8, UserAddr(0)), Err(Errno::EINVAL));
    assert_eq!(mm.mremap(UserAddr(AT), 4096, 8192, 1, UserAddr(0)), Err(Errno::EFAULT));
    assert_eq!(mm.mremap(UserAddr(at), 0, 8192, 1, UserAddr(0)), Err(Errno::EINVAL));
    assert_eq!(mm.mremap(UserAddr(at), 4096, 8192, 0, UserAddr(0)), Err(Errno::ENOMEM));
    assert_eq!(mm.madvise(UserAddr(at), 4096, 77), Err(Errno::EINVAL));
    assert_eq!(mm.madvise(UserAddr(at), 1 << 20, libc::MADV_NORMAL), Err(Errno::ENOMEM));
    assert_eq!(mm.msync(UserAddr(at), 4096, 5), Err(Errno::EINVAL));
    assert_eq!(mm.msync(UserAddr(AT), 4096, libc::MS_SYNC), Err(Errno::ENOMEM));
    let mut file = TestFile::in_memory(&memory, 4096).mapped();
    file.may_write = false;
    let args = MmapArgs { prot: Prot::READ, file: Some(file), ..shared(MapFlags::empty()) };
    let at = mm.mmap(args).unwrap();
    assert_eq!(mm.mprotect(at, 4096, 3), Err(Errno::EACCES));
}

#[test]
fn areas_split_and_merge() {
    let (_, mm) = setup();
    mm.mmap(MmapArgs::anonymous(8 * 4096, RW).at(UserAddr(AT))).unwrap();
    mm.mmap(MmapArgs::anonymous(8 * 4096, RW).at(UserAddr(AT + 8 * 4096))).unwrap();
    assert_eq!(mm.maps().len(), 1);
    mm.mprotect(UserAddr(AT + 4096), 4096, 1).unwrap();
    assert_eq!(mm.maps().len(), 3);
    mm.mprotect(UserAddr(AT + 4096), 4096, 3).unwrap();
    assert_eq!(mm.maps().len(), 1);
    mm.munmap(UserAddr(AT + 4096), 4096).unwrap();
    assert_eq!(mm.maps().len(), 2);
    assert_eq!(mm.usage().virtual_bytes, 15 * 4096);
}

#[test]
fn too_many_areas() {
    let (memory, mm) = setup();
    mm.mmap(MmapArgs::anonymous(200_000 * 4096, RW).at(UserAddr(AT))).unwrap();
    let mut made = 0;
    let error = loop {
        if let Err(error) = mm.mprotect(UserAddr(AT + (2 * made + 1) * 4096), 4096, 1) {
            break error;
        }
        made += 1;
    };
    assert_eq!(error, Errno::ENOMEM);
    assert!((32_000..=32_765).contains(&made), "{made}");
    drop(mm);
    assert_eq!(memory.allocated_bytes(), 0);
}

#[test]
fn memory_is_zero_when_used_again() {
    let (memory, mm) = setup();
    let at = anon(&mm, 16);
    mm.write_bytes(UserAddr(at), &[0xaa; 16 * 4096]).unwrap();
    assert_eq!(memory.used_bytes(), 16 * 4096);
    mm.munmap(UserAddr(at), 16 * 4096).unwrap();
    assert_eq!(memory.used_bytes(), 0);
    let at = anon(&mm, 16);
    let mut buf = vec![1; 16 * 4096];
    mm.read_bytes(UserAddr(at), &mut buf).unwrap();
    assert!(buf.iter().all(|&byte| byte == 0));
}

#[test]
fn reservations_are_cheap() {
    let (memory, mm) = setup();
    let none = MmapArgs::anonymous(1 << 40, Prot::empty());
    let at = mm.mmap(none).unwrap().0;
    assert_eq!((memory.allocated_bytes(), memory.used_bytes()), (0, 0));
    // A part becomes accessible: only that (and what is around it) gets offsets.
    mm.mprotect(UserAddr(at + 5 * GIB), 1 << 20, 3).unwrap();
    assert!(memory.allocated_bytes() <= 64 << 20);
    store(&mm, at + 5 * GIB, 7, Access::Unknown).unwrap();
    assert_eq!(load(&mm, at, Access::Read).unwrap_err().code, SEGV_ACCERR);
    // A large accessible one gets its memory on fault; reading it needs none.
    let at = mm.mmap(MmapArgs::anonymous(64 * GIB, RW)).unwrap().0;
    assert_eq!(mm.read::<u64>(UserAddr(at + 40 * GIB)), Ok(0));
    mm.write(UserAddr(at + 40 * GIB), &7u64).unwrap();
    assert!(memory.allocated_bytes() <= GIB + (64 << 20));
    assert!(memory.used_bytes() <= 4 * 4096);
    let child = mm.fork().unwrap();
    assert_eq!(child.read::<u64>(UserAddr(at + 40 * GIB)), Ok(7));
    child.write(UserAddr(at + 40 * GIB), &8u64).unwrap();
    assert_eq!(mm.read::<u64>(UserAddr(at + 40 * GIB)), Ok(7));
    assert!(memory.used_bytes() <= 8 * 4096);
    drop((mm, child));
    assert_eq!((memory.allocated_bytes(), memory.used_bytes()), (0, 0));
}

#[test]
fn pieces_of_an_arena_stay_one_mapping() {
    let (_, mm) = setup();
    let at = mm.mmap(MmapArgs::anonymous(64 << 20, Prot::empty())).unwrap().0;
    for i in 0..64 {
        mm.mprotect(UserAddr(at + i * 4096), 4096, 3).unwrap();
    }
    let pages = table(&mm).pages.lock().unwrap();
    let first = pages.get(&at).unwrap().offset;
    assert!((0..64).all(|i| pages.get(&(at + i * 4096)).unwrap().offset == first + i * 4096));
}

#[test]
fn a_full_memory_file_is_an_error_and_no_crash() {
    let (memory, mm) = setup();
    let at = anon(&mm, 4);
    mm.write(UserAddr(at), &1u32).unwrap();
    // What a full tmpfs does too: SIGBUS for whoever touches a page.
    rustix::fs::ftruncate(&**memory.fd(), 0).unwrap();
    assert_eq!(mm.write(UserAddr(at), &1u32), Err(Errno::EFAULT));
    assert_eq!(mm.read::<[u8; 64]>(UserAddr(at)), Err(Errno::EFAULT));
    assert_eq!(mm.load_u32(UserAddr(at)), Err(Errno::EFAULT));
    assert_eq!(mm.compare_exchange_u32(UserAddr(at), 0, 1), Err(Errno::EFAULT));
    assert_eq!(memory.write(1 << 60, &[1]), Err(Errno::ENOMEM));
    let fault = load(&mm, at, Access::Read).unwrap_err();
    assert_eq!((fault.signal, fault.out_of_memory), (Signal::SIGBUS, true));
}

#[test]
fn truncation_takes_pages_away() {
    let (memory, mm) = setup();
    for file in [TestFile::in_memory(&memory, 8 * 4096), TestFile::on_host(8 * 4096)] {
        let map = |flags, prot| {
            let args = MmapArgs { len: 8 * 4096, prot, file: Some(file.mapped()), ..shared(flags) };
            mm.mmap(MmapArgs { flags, ..args }).unwrap().0
        };
        let (both, private) = (map(MapFlags::SHARED, RW), map(MapFlags::PRIVATE, Prot::READ));
        file.write_at(5 * 4096, &9u64.to_ne_bytes()).unwrap();
        let child = mm.fork().unwrap();
        for (mm, at) in [(&mm, both), (&child, both), (&mm, private), (&child, private)] {
            assert_eq!(load(mm, at + 5 * 4096, Access::Read), Ok(9));
        }
        file.truncate(4096 + 100);
        for (mm, at) in [(&mm, both), (&child, both), (&mm, private), (&child, private)] {
            let fault = load(mm, at + 5 * 4096, Access::Unknown).unwrap_err();
            assert_eq!((fault.signal, fault.code), (Signal::SIGBUS, BUS_ADRERR));
            assert!(!fault.out_of_memory);
            assert_eq!(mm.read::<u64>(UserAddr(at + 5 * 4096)), Err(Errno::EFAULT));
            assert_eq!(load(mm, at + 4096, Access::Unknown), Ok(0));
        }
        file.grow(8 * 4096);
        assert_eq!(load(&child, both + 5 * 4096, Access::Unknown), Ok(0));
        assert_eq!(mm.read::<u64>(UserAddr(private + 5 * 4096)), Ok(0));
        mm.munmap(UserAddr(both), 8 * 4096).unwrap();
        mm.munmap(UserAddr(private), 8 * 4096).unwrap();
        drop(child);
        file.truncate(0);
        assert!(file.mappings().is_empty());
    }
}

#[test]
fn futex_keys() {
    let (memory, mm) = setup();
    let private = UserAddr(anon(&mm, 1));
    let both = mm.mmap(shared(MapFlags::ANONYMOUS)).unwrap();
    let file = TestFile::in_memory(&memory, 4 * 4096);
    let map = || {
        let args = MmapArgs { file: Some(file.mapped()), ..shared(MapFlags::empty()) };
        mm.mmap(args).unwrap()
    };
    let (one, two) = (map(), map());
    let child = mm.fork().unwrap();
    assert_eq!(mm.futex_key(private, false), mm.futex_key(private, true));
    assert_ne!(mm.futex_key(private, false), child.futex_key(private, false));
    assert_ne!(mm.futex_key(both, true), child.futex_key(both, true));
    assert_eq!(mm.futex_key(both, false), child.futex_key(both, false));
    assert_eq!(mm.futex_key(one, false), child.futex_key(two, false));
    assert_ne!(mm.futex_key(one, false), mm.futex_key(one.offset(4), false));
    assert_ne!(mm.futex_key(one, false), mm.futex_key(both, false));
    assert_eq!(mm.futex_key(one.offset(1), false), Err(Errno::EINVAL));
    assert_eq!(mm.futex_key(UserAddr(AT), false), Err(Errno::EFAULT));

    assert_eq!(mm.compare_exchange_u32(both, 0, 5), Ok(Ok(0)));
    assert_eq!(child.compare_exchange_u32(both, 0, 6), Ok(Err(5)));
    assert_eq!(child.fetch_update_u32(both, |old| old * 2), Ok(5));
    assert_eq!(mm.load_u32(both), Ok(10));
    assert_eq!(mm.load_u32(both.offset(2)), Err(Errno::EINVAL));
    mm.mprotect(both, 4096, 1).unwrap();
    assert_eq!(mm.compare_exchange_u32(both, 10, 5), Err(Errno::EFAULT));
}

#[test]
fn strings_end_at_nul_or_at_the_end_of_memory() {
    let (_, mm) = setup();
    mm.mmap(MmapArgs::anonymous(2 * 4096, RW).at(UserAddr(AT))).unwrap();
    mm.munmap(UserAddr(AT + 4096), 4096).unwrap();
    let end = AT + 4096;
    mm.write_bytes(UserAddr(end - 6), b"hello\0").unwrap();
    assert_eq!(mm.read_cstr(UserAddr(end - 6), 4096), Ok(b"hello".to_vec()));
    assert_eq!(mm.read_cstr(UserAddr(end - 6), 5), Err(Errno::ENAMETOOLONG));
    mm.write_bytes(UserAddr(end - 1), b"x").unwrap();
    assert_eq!(mm.read_cstr(UserAddr(end - 6), 4096), Err(Errno::EFAULT));
    assert_eq!(mm.read_cstr(UserAddr(end - 6), 6), Err(Errno::ENAMETOOLONG));
    assert_eq!(mm.read_cstr(UserAddr(u64::MAX - 3), 4096), Err(Errno::EFAULT));
    let mut buf = [0; 16];
    assert_eq!(mm.read_partial(UserAddr(end - 6), &mut buf), Ok(6));
    assert_eq!(mm.read_partial(UserAddr(end), &mut buf), Err(Errno::EFAULT));
    assert_eq!(mm.write_partial(UserAddr(end - 2), &buf), Ok(2));
    assert_eq!(mm.read_array::<u64>(UserAddr(AT), u64::MAX, 16), Err(Errno::EINVAL));
    assert_eq!(mm.read_array::<u16>(UserAddr(end - 4), 2, 16).unwrap().len(), 2);
}

#[test]
fn protections_bind_the_kernel_unless_forced() {
    let (_, mm) = setup();
    let at = UserAddr(anon(&mm, 2));
    mm.write(at, &5u32).unwrap();
    let child = mm.fork().unwrap();
    mm.mprotect(at, 4096, 1).unwrap();
    assert_eq!(mm.write(at, &6u32), Err(Errno::EFAULT));
    assert_eq!(mm.write_forced(at, &6u32.to_ne_bytes()), Ok(4));
    assert_eq!((mm.read(at), child.read(at)), (Ok(6u32), Ok(5u32)));
    assert_eq!(store(&mm, at.0, 7, Access::Unknown).unwrap_err().code, SEGV_ACCERR);
    mm.mprotect(at, 4096, 0).unwrap();
    assert_eq!(mm.read::<u32>(at), Err(Errno::EFAULT));
    let mut word = [0; 4];
    assert_eq!(mm.read_forced(at, &mut word), Ok(4));
    assert_eq!(u32::from_ne_bytes(word), 6);
    assert_eq!(load(&mm, at.0, Access::Unknown).unwrap_err().code, SEGV_ACCERR);
}

#[test]
fn stacks_grow_within_their_limit() {
    let (_, mm) = setup();
    mm.set_limits(Limits { stack: 1 << 20, ..Limits::default() });
    let mut args = MmapArgs::anonymous(8 * 4096, RW).at(UserAddr(AT));
    args.flags |= MapFlags::GROWSDOWN;
    mm.mmap(args).unwrap();
    let top = AT + 8 * 4096;
    store(&mm, AT - 8, 1, Access::Unknown).unwrap();
    mm.write(UserAddr(AT - (100 << 10)), &1u8).unwrap();
    store(&mm, top - (1 << 20), 1, Access::Write).unwrap();
    let fault = store(&mm, top - (1 << 20) - 8, 1, Access::Write).unwrap_err();
    assert_eq!((fault.signal, fault.code), (Signal::SIGSEGV, SEGV_MAPERR));
    assert_eq!(mm.maps().len(), 1);
    // Nobody is placed into the gap below.
    let bottom = mm.maps()[0].start;
    let hint = MmapArgs { addr: UserAddr(bottom - 4096), ..MmapArgs::anonymous(4096, RW) };
    assert_ne!(mm.mmap(hint), Ok(UserAddr(bottom - 4096)));
}

#[test]
fn the_heap_is_one_area_and_one_mapping() {
    let (memory, mm) = setup();
    mm.set_brk_start(UserAddr(AT));
    assert_eq!(mm.brk(UserAddr(0)), UserAddr(AT));
    let mut at = AT;
    for _ in 0..100 {
        at += 0x21_100;
        assert_eq!(mm.brk(UserAddr(at)), UserAddr(at));
        anon(&mm, 3);
    }
    mm.write(UserAddr(at - 8), &1u64).unwrap();
    let heap = mm.maps().into_iter().find(|entry| entry.name == b"[heap]").unwrap();
    assert_eq!((heap.start, heap.end), (AT, at.next_multiple_of(4096)));
    let first = table(&mm).pages.lock().unwrap().get(&AT).unwrap().offset;
    let last = table(&mm).pages.lock().unwrap().get(&(heap.end - 4096)).unwrap().offset;
    assert_eq!(last - first, heap.end - 4096 - AT);
    mm.fork().unwrap().brk(UserAddr(at + (1 << 20)));
    assert_eq!(mm.brk(UserAddr(AT + 10)), UserAddr(AT + 10));
    assert_eq!(mm.brk(UserAddr(AT - 10)), UserAddr(AT + 10));
    mm.set_limits(Limits { data: 1 << 20, ..Limits::default() });
    assert_eq!(mm.brk(UserAddr(AT + (2 << 20))), UserAddr(AT + 10));
    mm.clear();
    assert_eq!((memory.allocated_bytes(), memory.used_bytes()), (0, 0));
}

#[test]
fn limits_hold() {
    let (_, mm) = setup();
    mm.set_limits(Limits { address_space: 1 << 20, memlock: 8192, ..Limits::default() });
    assert_eq!(mm.mmap(MmapArgs::anonymous(2 << 20, RW)), Err(Errno::ENOMEM));
    let at = UserAddr(anon(&mm, 200));
    assert_eq!(mm.mmap(MmapArgs::anonymous(1 << 19, RW)), Err(Errno::ENOMEM));
    assert_eq!(mm.mremap(at, 200 * 4096, 300 * 4096, 1, UserAddr(0)), Err(Errno::ENOMEM));
    assert_eq!(mm.mlock(at, 8192), Ok(()));
    assert_eq!(mm.mlock(at, 8192), Ok(()));
    assert_eq!(mm.mlock(at, 8193), Err(Errno::ENOMEM));
    assert_eq!(mm.usage().locked, 8192);
    mm.munlockall();
    assert_eq!((mm.usage().locked, mm.maps().len()), (0, 1));
}

#[test]
fn shared_mappings_are_doubled_by_mremap_of_nothing() {
    let (memory, mm) = setup();
    let one = mm.mmap(shared(MapFlags::ANONYMOUS)).unwrap();
    let two = mm.mremap(one, 0, 4 * 4096, 1, UserAddr(0)).unwrap();
    mm.write(one, &5u32).unwrap();
    assert_eq!(mm.read(two), Ok(5u32));
    mm.munmap(one, 4 * 4096).unwrap();
    assert_eq!(load(&mm, two.0, Access::Read), Ok(5));
    mm.munmap(two, 4 * 4096).unwrap();
    assert_eq!(memory.allocated_bytes(), 0);
}

#[test]
fn mincore_knows_what_is_resident() {
    let (_, mm) = setup();
    let at = anon(&mm, 4);
    let vec = UserAddr(anon(&mm, 1));
    mm.write(UserAddr(at + 4096), &1u8).unwrap();
    mm.mincore(UserAddr(at), 4 * 4096, vec).unwrap();
    assert_eq!(mm.read::<[u8; 4]>(vec), Ok([0, 1, 0, 0]));
    assert_eq!(mm.mincore(UserAddr(at + 1), 1, vec), Err(Errno::EINVAL));
    assert_eq!(mm.mincore(UserAddr(AT), 1, vec), Err(Errno::ENOMEM));
    assert!(mm.usage().resident_bytes >= 4096);
}

#[test]
fn real_faults_end_and_spurious_ones_do_not_kill() {
    let (_, mm) = setup();
    let at = anon(&mm, 1);
    mm.write(UserAddr(at), &1u64).unwrap();
    mm.mprotect(UserAddr(at), 4096, 1).unwrap();
    let mut faults = 0;
    while mm.handle_fault(at, Access::Unknown, false).is_ok() {
        faults += 1;
    }
    assert!(faults <= 256);
    mm.mprotect(UserAddr(at), 4096, 3).unwrap();
    // Many threads find the same page just repaired, again and again.
    let quit = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mm, quit) = (&mm, &quit);
        let order = std::sync::atomic::Ordering::Relaxed;
        let threads: Vec<_> = (0..4u64)
            .map(|i| {
                let kind = if i % 2 == 0 { Access::Unknown } else { Access::Write };
                scope.spawn(move || {
                    while !quit.load(order) {
                        store(mm, at + i * 8, i, kind).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..300 {
            drop(mm.fork().unwrap());
            mm.madvise(UserAddr(at), 4096, libc::MADV_DONTNEED).unwrap();
        }
        quit.store(true, order);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn small_data_sections_are_copied_at_once() {
    let (memory, mm) = setup();
    let file = TestFile::on_host(10 * 4096 + 5);
    file.write_at(0, &[3; 100]).unwrap();
    let mut args = MmapArgs { len: 16 * 4096, ..MmapArgs::anonymous(0, RW) };
    (args.flags, args.file) = (MapFlags::PRIVATE, Some(file.mapped()));
    let at = mm.mmap(args).unwrap().0;
    assert_eq!(table(&mm).pages.lock().unwrap().len(), 11);
    assert_eq!(load(&mm, at, Access::Read).map(|word| word as u8), Ok(3));
    // Pages of zeros cost nothing.
    assert_eq!(memory.used_bytes(), 4096);
    let fault = store(&mm, at + 11 * 4096, 1, Access::Unknown).unwrap_err();
    assert_eq!(fault.signal, Signal::SIGBUS);
}

#[test]
fn low_addresses_and_hints() {
    let (_, mm) = setup();
    let mut args = MmapArgs::anonymous(4096, RW);
    args.flags |= MapFlags::MAP_32BIT;
    assert!(mm.mmap(args).unwrap().0 < 1 << 31);
    let hint = || MmapArgs { addr: UserAddr(AT + 5), ..MmapArgs::anonymous(8192, RW) };
    assert_eq!(mm.mmap(hint()), Ok(UserAddr(AT)));
    assert_ne!(mm.mmap(hint()), Ok(UserAddr(AT)));
    let (one, two) = (anon(&mm, 1), anon(&mm, 1));
    assert_eq!(two, one - 4096);
    mm.munmap(UserAddr(one), 4096).unwrap();
    assert_eq!(anon(&mm, 1), one);
}
