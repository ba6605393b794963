//! Reading ELF headers. All numbers come from the file and are not trusted.

use abi::{Errno, PAGE_SIZE, SysResult};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::ProgramHeader;
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_PHDR};
use goblin::elf64::header::SIZEOF_EHDR;
use goblin::elf64::program_header::SIZEOF_PHDR;
use mm::Prot;
use vfs::OpenFile;

/// Linux reads at most 64 KiB of program headers.
const MAX_PHDRS: usize = 65_536 / SIZEOF_PHDR;

/// A PT_LOAD segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where, relative to the image's base.
    pub vaddr: u64,
    /// Where in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory, at least as many.
    pub mem_size: u64,
    /// Access.
    pub prot: Prot,
    /// PF_W: the bytes behind the file's part can be zeroed.
    pub writable: bool,
}

/// What the headers say.
#[derive(Clone, Debug)]
pub struct Elf {
    /// ET_DYN: can be loaded anywhere.
    pub relocatable: bool,
    /// Entry point, relative to the base.
    pub entry: u64,
    /// Ascending, page ranges not overlapping backwards.
    pub segments: Vec<Segment>,
    /// PT_INTERP.
    pub interpreter: Option<Vec<u8>>,
    /// Where the program headers are in memory, relative to the base; 0 if they are not.
    pub phdr_vaddr: u64,
    /// How many there are.
    pub phdr_count: u64,
    /// The stack is to be executable.
    pub executable_stack: bool,
    /// The largest alignment that a segment wants, a power of two.
    pub align: u64,
}

/// Fills `buf` from `offset`; ENOEXEC where the file is shorter.
fn read_exact(file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<()> {
    let mut done = 0;
    while done < buf.len() {
        let at = offset.checked_add(done as u64).ok_or(Errno::ENOEXEC)?;
        match file.ops().read(file, &mut buf[done..], at)? {
            0 => return Err(Errno::ENOEXEC),
            count => done += count,
        }
    }
    Ok(())
}

impl Elf {
    /// Parses the headers of `file`. ENOEXEC for whatever is not an x86-64 ELF executable.
    pub fn read(file: &OpenFile) -> SysResult<Elf> {
        let mut bytes = [0; SIZEOF_EHDR];
        read_exact(file, &mut bytes, 0)?;
        let ident_ok = bytes.starts_with(b"\x7fELF\x02\x01");
        let header = goblin::elf::Elf::parse_header(&bytes).map_err(|_| Errno::ENOEXEC)?;
        let type_ok = header.e_type == ET_EXEC || header.e_type == ET_DYN;
        let count = usize::from(header.e_phnum);
        if !ident_ok
            || !type_ok
            || header.e_machine != EM_X86_64
            || usize::from(header.e_phentsize) != SIZEOF_PHDR
            || count == 0
            || count > MAX_PHDRS
        {
            return Err(Errno::ENOEXEC);
        }
        let mut table = vec![0; count * SIZEOF_PHDR];
        read_exact(file, &mut table, header.e_phoff)?;
        let context = Ctx::new(Container::Big, Endian::Little);
        let phdrs = ProgramHeader::parse(&table, 0, count, context).map_err(|_| Errno::ENOEXEC)?;

        let mut elf = Elf {
            relocatable: header.e_type == ET_DYN,
            entry: header.e_entry,
            segments: Vec::new(),
            interpreter: None,
            phdr_vaddr: 0,
            phdr_count: count as u64,
            executable_stack: false,
            align: PAGE_SIZE,
        };
        for phdr in &phdrs {
            match phdr.p_type {
                PT_LOAD => elf.add_segment(phdr)?,
                PT_INTERP if elf.interpreter.is_none() => {
                    elf.interpreter = Some(read_interpreter(file, phdr)?);
                }
                PT_GNU_STACK => elf.executable_stack = phdr.p_flags & PF_X != 0,
                PT_PHDR => elf.phdr_vaddr = phdr.p_vaddr,
                _ => {}
            }
        }
        if elf.segments.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        elf.locate_phdrs(header.e_phoff);
        Ok(elf)
    }

    fn add_segment(&mut self, phdr: &ProgramHeader) -> SysResult<()> {
        if phdr.p_memsz == 0 {
            return Ok(());
        }
        let end = phdr.p_vaddr.checked_add(phdr.p_memsz).ok_or(Errno::ENOEXEC)?;
        let file_end = phdr.p_offset.checked_add(phdr.p_filesz).ok_or(Errno::ENOEXEC)?;
        let last_end = self.segments.last().map_or(0, |s| s.vaddr + s.mem_size);
        if phdr.p_filesz > phdr.p_memsz
            || end > platform::GUEST_ADDRESS_END
            || file_end > i64::MAX as u64
            || phdr.p_vaddr % PAGE_SIZE != phdr.p_offset % PAGE_SIZE
            || phdr.p_vaddr < last_end
        {
            return Err(Errno::ENOEXEC);
        }
        let mut prot = Prot::empty();
        prot.set(Prot::READ, phdr.p_flags & PF_R != 0);
        prot.set(Prot::WRITE, phdr.p_flags & PF_W != 0);
        prot.set(Prot::EXEC, phdr.p_flags & PF_X != 0);
        // An alignment that is no power of two is ignored, as Linux does.
        if phdr.p_align.is_power_of_two() && phdr.p_align <= 1 << 30 {
            self.align = self.align.max(phdr.p_align);
        }
        self.segments.push(Segment {
            vaddr: phdr.p_vaddr,
            offset: phdr.p_offset,
            file_size: phdr.p_filesz,
            mem_size: phdr.p_memsz,
            prot,
            writable: phdr.p_flags & PF_W != 0,
        });
        Ok(())
    }

    /// Without PT_PHDR the program headers are where a segment maps their place in the file.
    fn locate_phdrs(&mut self, offset: u64) {
        if self.phdr_vaddr != 0 {
            return;
        }
        let covers = |s: &&Segment| (s.offset..s.offset + s.file_size).contains(&offset);
        if let Some(segment) = self.segments.iter().find(covers) {
            self.phdr_vaddr = segment.vaddr + (offset - segment.offset);
        }
    }

    /// The page-aligned range from the first to the last byte in memory, relative to the base.
    pub fn span(&self) -> (u64, u64) {
        let start = self.segments.first().map_or(0, |s| s.vaddr);
        let end = self.segments.last().map_or(0, |s| s.vaddr + s.mem_size);
        (start & !(PAGE_SIZE - 1), end.next_multiple_of(PAGE_SIZE))
    }
}

fn read_interpreter(file: &OpenFile, phdr: &ProgramHeader) -> SysResult<Vec<u8>> {
    if phdr.p_filesz < 2 || phdr.p_filesz > abi::PATH_MAX as u64 {
        return Err(Errno::ENOEXEC);
    }
    let mut path = vec![0; phdr.p_filesz as usize];
    // Linux calls it an error of the disk where the file ends before.
    read_exact(file, &mut path, phdr.p_offset).map_err(|errno| match errno {
        Errno::ENOEXEC => Errno::EIO,
        other => other,
    })?;
    if path.pop() != Some(0) {
        return Err(Errno::ENOEXEC);
    }
    path.truncate(path.iter().position(|b| *b == 0).unwrap_or(path.len()));
    Ok(path)
}
