//! A platform that runs nothing: its address spaces are tables of pages, and its "processor" is
//! `load` and `store`, which fault as the real one would.
#![allow(dead_code)] // not every test needs all of it

use abi::{Errno, SysResult};
use mm::*;
use platform::{AddressSpace, Guest, MapOp, Platform, ThreadContext};
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One mapped page.
#[derive(Clone)]
pub struct Page {
    pub file: Arc<OwnedFd>,
    pub offset: u64,
    pub prot: Prot,
}

/// An address space that is only a table.
#[derive(Default)]
pub struct Table {
    pub pages: Mutex<BTreeMap<u64, Page>>,
    /// Every change of more than this many pages is only counted.
    pub huge: AtomicUsize,
    pub ops: AtomicUsize,
}

const MODELLED: u64 = 1 << 30;

impl AddressSpace for Table {
    fn apply(&self, ops: &[MapOp]) -> io::Result<()> {
        let mut pages = self.pages.lock().unwrap();
        self.ops.fetch_add(ops.len(), Ordering::Relaxed);
        for op in ops {
            match op {
                MapOp::Map { addr, len, prot, file, offset, shared } => {
                    assert!(addr % 4096 == 0 && len % 4096 == 0 && offset % 4096 == 0 && *len > 0);
                    assert!(*shared || !prot.contains(Prot::WRITE));
                    if *len > MODELLED {
                        self.huge.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    for at in (0..*len).step_by(4096) {
                        let page = Page { file: file.clone(), offset: offset + at, prot: *prot };
                        pages.insert(addr + at, page);
                    }
                }
                MapOp::Unmap { addr, len } => {
                    let gone: Vec<u64> = pages.range(*addr..addr + len).map(|(&a, _)| a).collect();
                    gone.iter().for_each(|addr| drop(pages.remove(addr)));
                }
                MapOp::Protect { addr, len, prot } => {
                    pages.range_mut(*addr..addr + len).for_each(|(_, page)| page.prot = *prot);
                }
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub struct Tables;

impl Platform for Tables {
    fn name(&self) -> &'static str {
        "tables"
    }
    fn new_address_space(&self) -> io::Result<Arc<dyn AddressSpace>> {
        Ok(Arc::new(Table::default()))
    }
    fn spawn(&self, _: ThreadContext, _: Arc<dyn Guest>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub fn platform() -> Arc<dyn Platform> {
    Arc::new(Tables)
}

pub fn new_mm(memory: &Arc<MemoryFile>) -> Arc<MemoryManager> {
    MemoryManager::new(&platform(), memory).unwrap()
}

pub fn table(mm: &MemoryManager) -> &Table {
    mm.address_space().as_any().downcast_ref().unwrap()
}

/// Runs `access` on the page once it is mapped with `want`, faulting until it is.
fn run(
    mm: &MemoryManager,
    addr: u64,
    want: Prot,
    kind: Access,
    access: impl Fn(&Page) -> io::Result<()>,
) -> Result<(), Fault> {
    for _ in 0..10_000 {
        let page = table(mm).pages.lock().unwrap().get(&(addr & !4095)).cloned();
        let bus = match page.filter(|page| page.prot.contains(want)) {
            Some(page) => match access(&page) {
                Ok(()) => return Ok(()),
                Err(_) => true,
            },
            None => false,
        };
        mm.handle_fault(addr, kind, bus)?;
    }
    panic!("endless faults at {addr:#x}");
}

/// Loads a word as the guest would.
pub fn load(mm: &MemoryManager, addr: u64, kind: Access) -> Result<u64, Fault> {
    let word = AtomicU64::new(0);
    run(mm, addr, Prot::READ, kind, |page| {
        let mut buf = [0; 8];
        let size = rustix::fs::fstat(&*page.file)?.st_size as u64;
        if page.offset >= size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rustix::io::pread(&*page.file, &mut buf, page.offset + (addr & 4095))?;
        word.store(u64::from_ne_bytes(buf), Ordering::Relaxed);
        Ok(())
    })?;
    Ok(word.into_inner())
}

/// Stores a word as the guest would.
pub fn store(mm: &MemoryManager, addr: u64, value: u64, kind: Access) -> Result<(), Fault> {
    run(mm, addr, Prot::WRITE, kind, |page| {
        rustix::io::pwrite(&*page.file, &value.to_ne_bytes(), page.offset + (addr & 4095))?;
        Ok(())
    })
}

/// A host file, or one in the memory file.
pub struct TestFile {
    memory: Option<(Arc<MemoryFile>, FileRange)>,
    host: Option<Arc<OwnedFd>>,
    size: AtomicU64,
    mappings: MappingSet,
}

impl TestFile {
    pub fn in_memory(memory: &Arc<MemoryFile>, size: u64) -> Arc<TestFile> {
        let range = memory.allocate(size).unwrap();
        TestFile::new(Some((memory.clone(), range)), None, size)
    }

    pub fn on_host(size: u64) -> Arc<TestFile> {
        let fd = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, size).unwrap();
        TestFile::new(None, Some(Arc::new(fd)), size)
    }

    fn new(
        memory: Option<(Arc<MemoryFile>, FileRange)>,
        host: Option<Arc<OwnedFd>>,
        size: u64,
    ) -> Arc<TestFile> {
        let size = AtomicU64::new(size);
        Arc::new(TestFile { memory, host, size, mappings: MappingSet::new() })
    }

    pub fn mapped(self: &Arc<TestFile>) -> MappedFile {
        MappedFile {
            mappable: self.clone(),
            name: Arc::from(&b"/file"[..]),
            dev: 42,
            ino: Arc::as_ptr(self) as u64,
            may_write: true,
            may_exec: true,
        }
    }

    pub fn truncate(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
        self.mappings.invalidate(size..u64::MAX);
        if let Some(host) = &self.host {
            rustix::fs::ftruncate(host, size).unwrap();
        }
        if let Some((memory, range)) = &self.memory {
            memory.zero(FileRange::new(range.start + size, range.len - size)).unwrap();
        }
    }

    pub fn grow(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
        if let Some(host) = &self.host {
            rustix::fs::ftruncate(host, size).unwrap();
        }
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        if let Some((memory, range)) = &self.memory {
            memory.dec_ref(*range);
        }
    }
}

impl Mappable for TestFile {
    fn translate(&self, offset: u64, len: u64, _write: bool) -> SysResult<Backing> {
        let pages = self.size().next_multiple_of(4096);
        let len = len.min(pages.checked_sub(offset).filter(|&n| n > 0).ok_or(Errno::ENXIO)?);
        // Not more than three pages at once, to be unpleasant.
        let len = len.min(3 * 4096);
        Ok(match (&self.memory, &self.host) {
            (Some((_, range)), _) => Backing::Memory { offset: range.start + offset, len },
            (_, Some(file)) => Backing::Host { file: file.clone(), offset, len },
            _ => unreachable!(),
        })
    }
    fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }
    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        let left = self.size().saturating_sub(offset).min(buf.len() as u64) as usize;
        match (&self.memory, &self.host) {
            (Some((memory, range)), _) => {
                memory.read(range.start + offset, &mut buf[..left])?;
                Ok(left)
            }
            (_, Some(file)) => Ok(rustix::io::pread(file, &mut buf[..left], offset).unwrap()),
            _ => unreachable!(),
        }
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        match (&self.memory, &self.host) {
            (Some((memory, range)), _) => {
                memory.write(range.start + offset, buf)?;
                Ok(buf.len())
            }
            (_, Some(file)) => Ok(rustix::io::pwrite(file, buf, offset).unwrap()),
            _ => unreachable!(),
        }
    }
}

/// A small generator of numbers, the same for the same seed (xorshift64*).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
}
