//! The first stack of a program: strings, auxiliary vector, envp, argv, argc (the System V ABI for
//! x86-64, 3.4; getauxval(3)).

use super::Arguments;
use crate::kernel::Processor;
use abi::{SysResult, UserAddr};
use mm::MemoryManager;

/// The auxiliary vector's values that depend on the image.
pub struct AuxValues {
    /// AT_PHDR, an address.
    pub phdr: u64,
    /// AT_PHNUM.
    pub phnum: u64,
    /// AT_BASE: the interpreter's.
    pub base: u64,
    /// AT_ENTRY: the program's own.
    pub entry: u64,
    /// AT_UID, AT_EUID, AT_GID, AT_EGID.
    pub ids: [u32; 4],
    /// AT_SECURE.
    pub secure: bool,
}

/// Where things came to lie.
pub struct Placed {
    /// The stack pointer to start with: at argc.
    pub stack_pointer: u64,
    /// The strings of argv.
    pub args: std::ops::Range<u64>,
    /// The strings of envp.
    pub env: std::ops::Range<u64>,
}

const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_HWCAP2: u64 = 26;
const AT_MINSIGSTKSZ: u64 = 51;

/// Writes everything below `top`.
pub fn build(
    mm: &MemoryManager,
    top: u64,
    name: &[u8],
    arguments: &Arguments,
    aux: &AuxValues,
    processor: Processor,
) -> SysResult<Placed> {
    // Strings first, from the top: the name, the environment, the arguments.
    let mut strings = Vec::with_capacity(arguments.size() + name.len() + 1);
    let mut argv = Vec::with_capacity(arguments.argv.len());
    let mut envp = Vec::with_capacity(arguments.envp.len());
    for (list, offsets) in [(&arguments.argv, &mut argv), (&arguments.envp, &mut envp)] {
        for string in list {
            offsets.push(strings.len() as u64);
            strings.extend_from_slice(string);
            strings.push(0);
        }
    }
    let env_offset = envp.first().copied().unwrap_or(strings.len() as u64);
    let name_offset = strings.len() as u64;
    strings.extend_from_slice(name);
    strings.push(0);
    // The kernel leaves eight zero bytes at the very top.
    let base = top - 8 - strings.len() as u64;
    mm.write_bytes(UserAddr(base), &strings)?;

    let platform = b"x86_64\0";
    let platform_at = (base - platform.len() as u64) & !15;
    mm.write_bytes(UserAddr(platform_at), platform)?;
    let random_at = platform_at - 16;
    mm.write_bytes(UserAddr(random_at), &super::random_bytes::<16>())?;

    let (hwcap, hwcap2) = processor.hwcap;
    let [uid, euid, gid, egid] = aux.ids.map(u64::from);
    let auxv: [(u64, u64); 21] = [
        (AT_MINSIGSTKSZ, processor.min_signal_stack as u64),
        (libc::AT_HWCAP, hwcap as u64),
        (libc::AT_PAGESZ, abi::PAGE_SIZE),
        (libc::AT_CLKTCK, 100),
        (libc::AT_PHDR, aux.phdr),
        (libc::AT_PHENT, goblin::elf64::program_header::SIZEOF_PHDR as u64),
        (libc::AT_PHNUM, aux.phnum),
        (libc::AT_BASE, aux.base),
        (libc::AT_FLAGS, 0),
        (libc::AT_ENTRY, aux.entry),
        (libc::AT_UID, uid),
        (libc::AT_EUID, euid),
        (libc::AT_GID, gid),
        (libc::AT_EGID, egid),
        (libc::AT_SECURE, u64::from(aux.secure)),
        (libc::AT_RANDOM, random_at),
        (AT_HWCAP2, hwcap2 as u64),
        (libc::AT_EXECFN, base + name_offset),
        (libc::AT_PLATFORM, platform_at),
        (AT_RSEQ_FEATURE_SIZE, 28),
        (AT_RSEQ_ALIGN, 32),
    ];
    let mut words: Vec<u64> = Vec::with_capacity(argv.len() + envp.len() + 3 + 2 * auxv.len() + 2);
    words.push(argv.len() as u64);
    words.extend(argv.iter().map(|offset| base + offset));
    words.push(0);
    words.extend(envp.iter().map(|offset| base + offset));
    words.push(0);
    words.extend(auxv.iter().flat_map(|(key, value)| [*key, *value]));
    words.extend([libc::AT_NULL, 0]);
    let stack_pointer = (random_at - 8 * words.len() as u64) & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    mm.write_bytes(UserAddr(stack_pointer), &bytes)?;
    Ok(Placed {
        stack_pointer,
        args: base..base + env_offset,
        env: base + env_offset..base + name_offset,
    })
}
