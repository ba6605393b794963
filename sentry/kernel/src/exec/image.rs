//! Making a program's memory from its file: scripts, ELF, the interpreter, the first stack.

use super::elf::{Elf, Segment};
use super::layout::Layout;
use super::stack::{self, AuxValues};
use super::{Arguments, argument_space, checked, credentials, mm_limits};
use crate::Kernel;
use crate::limits::{Limits, Resource};
use crate::task::Comm;
use abi::file::{FileType, OpenFlags};
use abi::mman::MapFlags;
use abi::{Errno, PAGE_SIZE, SysResult, UserAddr};
use mm::{ImageLayout, MappedFile, MemoryManager, MmapArgs, Prot};
use std::sync::Arc;
use vfs::cred::MAY_EXEC;
use vfs::{Credentials, MountFlags, OpenFile, Path, PathContext, WalkFlags};

/// BINPRM_BUF_SIZE: how much of a script's first line is looked at.
const HEADER_SIZE: usize = 256;

/// How many scripts may interpret each other.
const MAX_SCRIPTS: u32 = 5;

/// What the first stack has below its contents.
const STACK_SLACK: u64 = 128 << 10;

/// In whose name, and where, an image is made.
pub(crate) struct ImageRequest<'a> {
    pub kernel: &'a Arc<Kernel>,
    pub paths: PathContext<'a>,
    pub limits: &'a Limits,
    pub no_randomize: bool,
}

/// A program ready to run.
pub(crate) struct Image {
    pub mm: Arc<MemoryManager>,
    pub entry: u64,
    pub stack_pointer: u64,
    pub comm: Comm,
    pub exe: Path,
    pub cred: Credentials,
    /// The file gave rights that the caller had not.
    pub privileged: bool,
}

/// Loads `place` as a program. Nothing of the caller changes.
pub(crate) fn load(
    request: &ImageRequest<'_>,
    place: Path,
    name: Vec<u8>,
    mut arguments: Arguments,
) -> SysResult<Image> {
    let space = argument_space(request.limits.get(Resource::Stack).cur);
    if arguments.argv.is_empty() {
        // Since 5.18 the kernel gives a program without arguments an empty one.
        arguments.argv.push(Vec::new());
    }
    let comm = Comm::new(name.rsplit(|b| *b == b'/').next().unwrap_or_default());
    let mut file = open_program(request, place)?;
    let mut interpreted = name.clone();
    for depth in 0.. {
        if arguments.size() + interpreted.len() + 1 > space {
            return Err(Errno::E2BIG);
        }
        let mut header = [0; HEADER_SIZE];
        let len = file.ops().read(&file, &mut header, 0)?;
        let Some(script) = Script::parse(&header[..len])? else { break };
        if depth >= MAX_SCRIPTS {
            return Err(Errno::ELOOP);
        }
        let mut argv = vec![script.interpreter.clone()];
        argv.extend(script.argument);
        argv.push(std::mem::replace(&mut interpreted, script.interpreter));
        argv.extend(arguments.argv.drain(1..));
        arguments.argv = argv;
        let place = request.paths.walk(&interpreted, WalkFlags::FOLLOW)?;
        file = open_program(request, place)?;
    }
    let elf = Elf::read(&file)?;
    load_elf(request, &file, &elf, &interpreted, &arguments, comm)
}

/// A regular file that may be executed.
fn open_program(request: &ImageRequest<'_>, place: Path) -> SysResult<Arc<OpenFile>> {
    if place.inode().file_type() != FileType::Regular
        || place.mount.flags().contains(MountFlags::NOEXEC)
    {
        return Err(Errno::EACCES);
    }
    request.paths.access(&place, MAY_EXEC)?;
    // Opened by the kernel itself: execute permission is enough.
    let flags = OpenFlags::empty();
    let ops = place.inode().open(flags)?;
    Ok(OpenFile::new(ops, place, flags))
}

/// The first line of a script.
struct Script {
    interpreter: Vec<u8>,
    argument: Option<Vec<u8>>,
}

impl Script {
    /// None: no script. ENOEXEC: one without an interpreter, or with a name too long to see whole.
    fn parse(header: &[u8]) -> SysResult<Option<Script>> {
        let Some(rest) = header.strip_prefix(b"#!") else { return Ok(None) };
        let end = rest.iter().position(|b| *b == b'\n' || *b == 0);
        let line = &rest[..end.unwrap_or(rest.len())];
        let is_space = |b: &u8| *b == b' ' || *b == b'\t';
        let start = line.iter().position(|b| !is_space(b)).ok_or(Errno::ENOEXEC)?;
        let line = &line[start..];
        let cut = line.iter().position(is_space);
        if end.is_none() && cut.is_none() && header.len() == HEADER_SIZE {
            return Err(Errno::ENOEXEC);
        }
        let (name, tail) = line.split_at(cut.unwrap_or(line.len()));
        let from = tail.iter().position(|b| !is_space(b));
        let to = tail.iter().rposition(|b| !is_space(b));
        let argument = from.zip(to).map(|(from, to)| tail[from..=to].to_vec());
        Ok(Some(Script { interpreter: name.to_vec(), argument }))
    }
}

fn load_elf(
    request: &ImageRequest<'_>,
    file: &Arc<OpenFile>,
    elf: &Elf,
    name: &[u8],
    arguments: &Arguments,
    comm: Comm,
) -> SysResult<Image> {
    let attr = file.path().inode().attr()?;
    let (cred, privileged) =
        credentials::after_exec(request.paths.cred, &attr, file.path().mount.flags());
    let kernel = request.kernel;
    let stack_limit = request.limits.get(Resource::Stack).cur;
    let layout = Layout::choose(stack_limit, request.no_randomize && !privileged);
    let mm = MemoryManager::new(kernel.platform(), kernel.memory_file())?;
    mm.set_limits(mm_limits(request.limits, &cred));
    mm.set_mmap_base(UserAddr(layout.mmap_base));

    let base = map_image(request, &mm, file, elf, Some(layout.pie_base))?;
    let mut entry = checked(base.checked_add(elf.entry))?;
    let mut interpreter_base = 0;
    if let Some(path) = &elf.interpreter {
        let place = request.paths.walk(path, WalkFlags::FOLLOW)?;
        let file = open_program(request, place)?;
        // An interpreter that is no ELF is ELIBBAD on Linux.
        let elf = Elf::read(&file).map_err(|errno| match errno {
            Errno::ENOEXEC => Errno::from_raw(libc::ELIBBAD),
            other => other,
        })?;
        interpreter_base = map_image(request, &mm, &file, &elf, None)?;
        entry = checked(interpreter_base.checked_add(elf.entry))?;
    }
    let (start, end) = elf.span();
    let image_end = base + end;
    let brk = image_end.saturating_add(layout.brk_gap).next_multiple_of(PAGE_SIZE);
    mm.set_brk_start(UserAddr(brk));

    let stack_size = (arguments.size() + name.len()) as u64 + STACK_SLACK;
    let stack_size = stack_size.next_multiple_of(PAGE_SIZE);
    let mut prot = Prot::READ | Prot::WRITE;
    prot.set(Prot::EXEC, elf.executable_stack);
    let mut stack_args =
        MmapArgs::anonymous(stack_size, prot).at(UserAddr(layout.stack_top - stack_size));
    stack_args.flags |= MapFlags::GROWSDOWN | MapFlags::STACK;
    mm.mmap(stack_args)?;
    let aux = AuxValues {
        phdr: if elf.phdr_vaddr == 0 { 0 } else { base.wrapping_add(elf.phdr_vaddr) },
        phnum: elf.phdr_count,
        base: interpreter_base,
        entry: base.wrapping_add(elf.entry),
        ids: [cred.uid, cred.euid, cred.gid, cred.egid],
        secure: privileged,
    };
    let placed = stack::build(&mm, layout.stack_top, name, arguments, &aux, kernel.processor)?;
    let code = elf.segments.iter().find(|s| s.prot.contains(Prot::EXEC));
    let data = elf.segments.iter().rfind(|s| s.writable);
    let range = |s: Option<&Segment>| {
        s.map_or((base + start, image_end), |s| (base + s.vaddr, base + s.vaddr + s.file_size))
    };
    let ((start_code, end_code), (start_data, end_data)) = (range(code), range(data));
    mm.set_layout(ImageLayout {
        start_code,
        end_code,
        start_data,
        end_data,
        start_brk: brk,
        start_stack: placed.stack_pointer,
        arg_start: placed.args.start,
        arg_end: placed.args.end,
        env_start: placed.env.start,
        env_end: placed.env.end,
    });
    Ok(Image {
        mm,
        entry,
        stack_pointer: placed.stack_pointer,
        comm,
        exe: file.path().clone(),
        cred,
        privileged,
    })
}

/// Maps all segments. Gives the base: what is added to the file's addresses. `wanted` is where a
/// relocatable image should go; None: wherever mmap puts it.
fn map_image(
    request: &ImageRequest<'_>,
    mm: &Arc<MemoryManager>,
    file: &Arc<OpenFile>,
    elf: &Elf,
    wanted: Option<u64>,
) -> SysResult<u64> {
    let (start, end) = elf.span();
    let base = match (elf.relocatable, wanted) {
        (false, _) => 0,
        (true, Some(wanted)) => (wanted & !(elf.align - 1)).wrapping_sub(start),
        (true, None) => {
            // A place for all of it at once, with room to align.
            let len = checked((end - start).checked_add(elf.align))?;
            let at = mm.find_free(len)?.0;
            at.next_multiple_of(elf.align).wrapping_sub(start)
        }
    };
    let top = base.wrapping_add(end);
    if top > platform::GUEST_ADDRESS_END || top < base.wrapping_add(start) {
        return Err(Errno::ENOMEM);
    }
    let attr = file.path().inode().attr()?;
    let mapped = MappedFile {
        mappable: file.ops().mappable().map_err(|_| Errno::EACCES)?,
        name: file.path().display(request.paths.root).into(),
        dev: attr.dev,
        ino: attr.ino,
        may_write: false,
        may_exec: true,
    };
    for segment in &elf.segments {
        map_segment(mm, &mapped, segment, base)?;
    }
    Ok(base)
}

fn map_segment(
    mm: &MemoryManager,
    file: &MappedFile,
    segment: &Segment,
    base: u64,
) -> SysResult<()> {
    let addr = base.wrapping_add(segment.vaddr);
    let page = addr & !(PAGE_SIZE - 1);
    let skew = addr - page;
    let file_end = addr + segment.file_size;
    let file_top = match segment.file_size {
        0 => page,
        _ => checked(file_end.checked_next_multiple_of(PAGE_SIZE))?,
    };
    let mem_top = checked((addr + segment.mem_size).checked_next_multiple_of(PAGE_SIZE))?;
    if segment.file_size > 0 {
        mm.mmap(MmapArgs {
            addr: UserAddr(page),
            len: segment.file_size + skew,
            prot: segment.prot,
            flags: MapFlags::PRIVATE | MapFlags::FIXED,
            file: Some(file.clone()),
            offset: segment.offset - skew,
        })?;
        // The rest of the last page is bss; without write permission it stays the file's.
        if segment.writable && segment.mem_size > segment.file_size {
            // A file that ends before has nothing there.
            mm.zero_bytes(UserAddr(file_end), file_top - file_end).map_err(|_| Errno::ENOEXEC)?;
        }
    }
    if mem_top > file_top {
        mm.mmap(MmapArgs::anonymous(mem_top - file_top, segment.prot).at(UserAddr(file_top)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        Script::parse(text).unwrap().map(|s| (s.interpreter, s.argument))
    }

    #[test]
    fn first_lines() {
        assert_eq!(parse(b"\x7fELF"), None);
        assert_eq!(parse(b"#!/bin/sh\nx"), Some((b"/bin/sh".to_vec(), None)));
        assert_eq!(parse(b"#! \t/bin/sh  \n"), Some((b"/bin/sh".to_vec(), None)));
        let one = Some((b"/usr/bin/env".to_vec(), Some(b"-S a b".to_vec())));
        assert_eq!(parse(b"#!/usr/bin/env  -S a b \t\n"), one);
        assert_eq!(parse(b"#!/bin/sh"), Some((b"/bin/sh".to_vec(), None)));
        assert!(matches!(Script::parse(b"#!  \n"), Err(Errno::ENOEXEC)));
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut line = b"#!/".to_vec();
        line.resize(HEADER_SIZE, b'x');
        assert!(matches!(Script::parse(&line), Err(Errno::ENOEXEC)));
        line[100] = b' ';
        assert!(Script::parse(&line).is_ok());
    }
}
