//! Mappings of files: mmap(2) with a descriptor, msync(2), SIGBUS, memfd_create(2).

use crate::calls::{self, close, open, read, write};
use crate::case::{Case, Outcome, in_child};
use crate::sys::{Fault, PAGE, Region, fault_of, fault_of_read};
use crate::{cases, check_eq, check_errno, sys};

cases! { "mapfile";
    private_reads_contents: "a private mapping shows the file, and zeros in its last page's tail";
    private_write_does_not_reach_file: "writes to a private mapping stay private";
    shared_write_is_read_back: "writes to a shared mapping are seen by read";
    write_is_seen_by_shared_mapping: "write is seen by a shared mapping";
    offset_selects_page: "the offset selects where the mapping starts, an odd one is EINVAL";
    shared_between_processes: "two processes mapping the same file share it";
    survives_close_and_unlink: "a mapping lives on after close and unlink";
    past_end_is_sigbus: "access in a page beyond the end is SIGBUS with BUS_ADRERR";
    truncate_takes_pages_away: "after ftruncate the pages beyond the end are SIGBUS";
    grown_file_shows_new_bytes: "after growing the file its mapping shows the new bytes";
    write_only_descriptor_is_eacces: "a descriptor not open for reading is EACCES";
    read_only_descriptor_shared_write_is_eacces: "MAP_SHARED with PROT_WRITE needs O_RDWR";
    read_only_descriptor_private_write_works: "MAP_PRIVATE with PROT_WRITE needs only O_RDONLY";
    mprotect_cannot_add_write: "mprotect of a read-only shared mapping to PROT_WRITE is EACCES";
    directory_is_enodev: "a directory cannot be mapped: ENODEV";
    pipe_is_enodev: "a pipe cannot be mapped: ENODEV";
    dev_zero_gives_zeros: "/dev/zero maps as fresh memory";
    msync_errors: "msync's EINVAL and ENOMEM";
    private_dontneed_shows_file_again: "MADV_DONTNEED drops private changes";
    private_copy_is_inherited: "a private change is inherited by a child, and then its own";
    memfd_grows_and_maps: "a memfd starts empty, grows by ftruncate and maps shared";
    memfd_seals: "F_SEAL_WRITE refuses writes and writable mappings";
    read_into_own_mapping: "read from a file into a mapping of the same file works";
}

const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn pages(c: &mut Case, count: usize) -> Outcome<i32> {
    let contents: Vec<u8> = (0..count).flat_map(|page| [b'a' + page as u8; PAGE]).collect();
    let path = c.file("f", &contents)?;
    Ok(open(&path, libc::O_RDWR, 0)?)
}

fn map(fd: i32, len: usize, prot: i32, flags: i32) -> sys::SysResult<Region> {
    Region::map(0, len, prot, flags, fd, 0)
}

fn pread(fd: i32, offset: usize) -> Outcome<u8> {
    let mut byte = [0u8];
    check_eq!(sys!(SYS_pread64, fd, &mut byte, 1, offset)?, 1, "pread at {offset}");
    Ok(byte[0])
}

fn private_reads_contents(c: &mut Case) -> Outcome {
    let path = c.file("f", &[7u8; 100])?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    let region = map(fd, 100, libc::PROT_READ, libc::MAP_PRIVATE)?;
    let bytes = (region.get(0), region.get(99), region.get(100), region.get(PAGE - 1));
    check_eq!(bytes, (7, 7, 0, 0), "bytes 0, 99, 100 and 4095");
    Ok(())
}

fn private_write_does_not_reach_file(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_PRIVATE)?;
    region.set(5, b'X');
    check_eq!(pread(fd, 5)?, b'a', "byte of the file");
    check_eq!((region.get(4), region.get(5)), (b'a', b'X'), "bytes of the mapping");
    // A page written once no longer follows the file.
    sys!(SYS_pwrite64, fd, b"Y", 1, 6)?;
    check_eq!(region.get(6), b'a', "byte of the private copy");
    Ok(())
}

fn shared_write_is_read_back(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_SHARED)?;
    region.set(5, b'X');
    region.set(PAGE + 5, b'Y');
    check_eq!((pread(fd, 5)?, pread(fd, PAGE + 5)?), (b'X', b'Y'), "bytes of the file");
    Ok(())
}

fn write_is_seen_by_shared_mapping(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, libc::PROT_READ, libc::MAP_SHARED)?;
    check_eq!(region.get(PAGE), b'b', "byte before");
    sys!(SYS_pwrite64, fd, b"Z", 1, PAGE)?;
    check_eq!(region.get(PAGE), b'Z', "byte after the write");
    Ok(())
}

fn offset_selects_page(c: &mut Case) -> Outcome {
    let fd = pages(c, 3)?;
    let region = Region::map(0, PAGE, libc::PROT_READ, libc::MAP_PRIVATE, fd, 2 * PAGE as i64)?;
    check_eq!(region.get(0), b'c', "first byte");
    let odd = Region::map(0, PAGE, libc::PROT_READ, libc::MAP_PRIVATE, fd, 100);
    check_errno!(odd, EINVAL);
    Ok(())
}

fn shared_between_processes(c: &mut Case) -> Outcome {
    let path = c.file("f", &[0u8; 10])?;
    let region = map(open(&path, libc::O_RDWR, 0)?, PAGE, RW, libc::MAP_SHARED)?;
    in_child(|| {
        // Its own descriptor and mapping, not the inherited one.
        let own = map(open(&path, libc::O_RDWR, 0)?, PAGE, RW, libc::MAP_SHARED)?;
        own.set(3, 33);
        Ok(())
    })?;
    check_eq!(region.get(3), 33, "byte written by the child");
    Ok(())
}

fn survives_close_and_unlink(c: &mut Case) -> Outcome {
    let fd = pages(c, 1)?;
    let region = map(fd, PAGE, RW, libc::MAP_SHARED)?;
    close(fd)?;
    calls::unlink(&c.path("f")?)?;
    region.set(1, 1);
    check_eq!((region.get(0), region.get(1)), (b'a', 1), "bytes of the mapping");
    Ok(())
}

/// BUS_ADRERR at `address`.
fn bus_error(address: usize) -> Option<Fault> {
    Some(Fault { signal: libc::SIGBUS, code: 2, address })
}

fn past_end_is_sigbus(c: &mut Case) -> Outcome {
    let fd = pages(c, 1)?;
    let shared = map(fd, 3 * PAGE, RW, libc::MAP_SHARED)?;
    let private = map(fd, 3 * PAGE, RW, libc::MAP_PRIVATE)?;
    for region in [shared, private] {
        let address = region.base + PAGE + 8;
        check_eq!(fault_of_read(address)?, bus_error(address), "read fault");
        check_eq!(fault_of(|| sys::store8(address, 1))?, bus_error(address), "write fault");
    }
    check_errno!(sys!(SYS_uname, shared.base + PAGE), EFAULT);
    Ok(())
}

fn truncate_takes_pages_away(c: &mut Case) -> Outcome {
    let fd = pages(c, 3)?;
    let region = map(fd, 3 * PAGE, RW, libc::MAP_SHARED)?;
    region.set(2 * PAGE, 1);
    sys!(SYS_ftruncate, fd, PAGE + 10)?;
    let address = region.base + 2 * PAGE;
    check_eq!(fault_of_read(address)?, bus_error(address), "fault");
    check_eq!((region.get(PAGE + 9), region.get(PAGE + 10)), (b'b', 0), "bytes around the end");
    Ok(())
}

fn grown_file_shows_new_bytes(c: &mut Case) -> Outcome {
    let fd = pages(c, 1)?;
    let region = map(fd, 3 * PAGE, RW, libc::MAP_SHARED)?;
    sys!(SYS_pwrite64, fd, b"n", 1, 2 * PAGE + 1)?;
    check_eq!((region.get(PAGE), region.get(2 * PAGE + 1)), (0, b'n'), "hole and new byte");
    Ok(())
}

fn write_only_descriptor_is_eacces(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    let fd = open(&path, libc::O_WRONLY, 0)?;
    check_errno!(map(fd, PAGE, libc::PROT_READ, libc::MAP_PRIVATE), EACCES);
    check_errno!(map(fd, PAGE, libc::PROT_WRITE, libc::MAP_SHARED), EACCES);
    Ok(())
}

fn read_only_descriptor_shared_write_is_eacces(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    check_errno!(map(fd, PAGE, RW, libc::MAP_SHARED), EACCES);
    Ok(())
}

fn read_only_descriptor_private_write_works(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    let region = map(fd, PAGE, RW, libc::MAP_PRIVATE)?;
    region.set(0, b'y');
    check_eq!((region.get(0), pread(fd, 0)?), (b'y', b'x'), "byte of the mapping and the file");
    Ok(())
}

fn mprotect_cannot_add_write(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    let region = map(fd, PAGE, libc::PROT_READ, libc::MAP_SHARED)?;
    check_errno!(sys!(SYS_mprotect, region.base, PAGE, RW), EACCES);
    check_eq!(region.get(0), b'x', "byte afterwards");
    Ok(())
}

fn directory_is_enodev(c: &mut Case) -> Outcome {
    let fd = open(&c.dir()?, libc::O_RDONLY, 0)?;
    check_errno!(map(fd, PAGE, libc::PROT_READ, libc::MAP_PRIVATE), ENODEV);
    Ok(())
}

fn pipe_is_enodev(_: &mut Case) -> Outcome {
    let (r, _w) = calls::pipe(0)?;
    check_errno!(map(r, PAGE, libc::PROT_READ, libc::MAP_PRIVATE), ENODEV);
    Ok(())
}

fn dev_zero_gives_zeros(_: &mut Case) -> Outcome {
    let fd = open("/dev/zero", libc::O_RDWR, 0)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_PRIVATE)?;
    check_eq!(region.get(PAGE), 0, "byte");
    region.set(PAGE, 1);
    let shared = map(fd, PAGE, RW, libc::MAP_SHARED)?;
    in_child(|| {
        shared.set(0, 5);
        Ok(())
    })?;
    check_eq!((region.get(PAGE), shared.get(0)), (1, 5), "bytes written");
    Ok(())
}

fn msync_errors(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_SHARED)?;
    region.set(0, b'Q');
    sys!(SYS_msync, region.base, region.len, libc::MS_SYNC)?;
    sys!(SYS_msync, region.base, region.len, libc::MS_ASYNC)?;
    check_eq!(pread(fd, 0)?, b'Q', "byte of the file");
    let both = libc::MS_SYNC | libc::MS_ASYNC;
    check_errno!(sys!(SYS_msync, region.base, PAGE, both), EINVAL);
    check_errno!(sys!(SYS_msync, region.base, PAGE, 64), EINVAL);
    check_errno!(sys!(SYS_msync, region.base + 1, PAGE, libc::MS_SYNC), EINVAL);
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_errno!(sys!(SYS_msync, region.base, 2 * PAGE, libc::MS_SYNC), ENOMEM);
    Ok(())
}

fn private_dontneed_shows_file_again(c: &mut Case) -> Outcome {
    let fd = pages(c, 1)?;
    let region = map(fd, PAGE, RW, libc::MAP_PRIVATE)?;
    region.set(0, b'X');
    sys!(SYS_madvise, region.base, PAGE, libc::MADV_DONTNEED)?;
    check_eq!(region.get(0), b'a', "byte after MADV_DONTNEED");
    Ok(())
}

fn private_copy_is_inherited(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_PRIVATE)?;
    region.set(0, b'X');
    in_child(|| {
        check_eq!((region.get(0), region.get(PAGE)), (b'X', b'b'), "bytes inherited");
        region.set(0, b'Y');
        region.set(PAGE, b'Y');
        Ok(())
    })?;
    check_eq!((region.get(0), region.get(PAGE)), (b'X', b'b'), "bytes of the parent");
    check_eq!(pread(fd, PAGE)?, b'b', "byte of the file");
    Ok(())
}

fn memfd_grows_and_maps(_: &mut Case) -> Outcome {
    let fd = sys!(SYS_memfd_create, c"name", libc::MFD_CLOEXEC)? as i32;
    check_eq!(calls::fstat(fd)?.st_size, 0, "size of a fresh memfd");
    sys!(SYS_ftruncate, fd, 2 * PAGE)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_SHARED)?;
    region.set(PAGE, 3);
    check_eq!(pread(fd, PAGE)?, 3, "byte by pread");
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}"))?;
    check_eq!(link.to_string_lossy(), "/memfd:name (deleted)", "link in /proc/self/fd");
    check_errno!(sys!(SYS_memfd_create, c"name", 0x100), EINVAL);
    check_errno!(sys!(SYS_memfd_create, sys::BAD, 0), EFAULT);
    Ok(())
}

fn memfd_seals(_: &mut Case) -> Outcome {
    let fd = sys!(SYS_memfd_create, c"s", libc::MFD_ALLOW_SEALING)? as i32;
    write(fd, b"abc")?;
    let region = map(fd, PAGE, RW, libc::MAP_SHARED)?;
    check_errno!(calls::fcntl(fd, libc::F_ADD_SEALS, i64::from(libc::F_SEAL_WRITE)), EBUSY);
    sys!(SYS_munmap, region.base, PAGE)?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    calls::fcntl(fd, libc::F_ADD_SEALS, i64::from(seals))?;
    check_eq!(calls::fcntl(fd, libc::F_GET_SEALS, 0)?, seals as usize, "seals");
    check_errno!(write(fd, b"d"), EPERM);
    check_errno!(map(fd, PAGE, RW, libc::MAP_SHARED), EPERM);
    check_errno!(sys!(SYS_ftruncate, fd, 1), EPERM);
    check_errno!(sys!(SYS_ftruncate, fd, 100), EPERM);
    let plain = sys!(SYS_memfd_create, c"s", 0)? as i32;
    check_errno!(calls::fcntl(plain, libc::F_ADD_SEALS, i64::from(libc::F_SEAL_WRITE)), EPERM);
    Ok(())
}

fn read_into_own_mapping(c: &mut Case) -> Outcome {
    let fd = pages(c, 2)?;
    let region = map(fd, 2 * PAGE, RW, libc::MAP_SHARED)?;
    check_eq!(sys!(SYS_read, fd, region.base + PAGE, PAGE)?, PAGE, "bytes read");
    check_eq!(pread(fd, PAGE + 17)?, b'a', "byte copied onto the second page");
    check_eq!(read(fd, &mut [0])?, 1, "read goes on behind");
    Ok(())
}
