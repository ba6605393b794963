//! Random sequences of calls, checked step by step against a model in which every page is one
//! word.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use abi::UserAddr;
use abi::mman::MapFlags;
use common::*;
use mm::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

const BASE: u64 = 0x4000_0000;
const PAGES: u64 = 96;
/// Where in a page its word is.
const WORD: u64 = 0x7f8;
const FILE_PAGES: u64 = 40;

/// One word a page, of memory that several see.
type Words = Rc<RefCell<Vec<u64>>>;

#[derive(Clone)]
enum Kind {
    Anon(u64),
    /// A private mapping of a file whose page N contains N + 1; what was written to it.
    Private(u64, Option<u64>),
    Shared(Words, usize),
}

#[derive(Clone)]
struct Page {
    prot: Prot,
    kind: Kind,
    dont_fork: bool,
    wipe: bool,
}

struct Space {
    mm: Arc<MemoryManager>,
    pages: BTreeMap<u64, Page>,
}

struct World {
    rng: Rng,
    memory: Arc<MemoryFile>,
    spaces: Vec<Space>,
    private: [Arc<TestFile>; 2],
    shared: [(Arc<TestFile>, Words); 2],
}

impl World {
    fn new(seed: u64) -> World {
        let memory = MemoryFile::new_memfd().unwrap();
        let len = FILE_PAGES * 4096;
        let private = [TestFile::in_memory(&memory, len), TestFile::on_host(len)];
        for file in &private {
            for page in 0..FILE_PAGES {
                file.write_at(page * 4096 + WORD, &(page + 1).to_ne_bytes()).unwrap();
            }
        }
        let words = || Rc::new(RefCell::new(vec![0; FILE_PAGES as usize]));
        let shared =
            [(TestFile::in_memory(&memory, len), words()), (TestFile::on_host(len), words())];
        let mm = new_mm(&memory);
        let spaces = vec![Space { mm, pages: BTreeMap::new() }];
        World { rng: Rng(seed), memory, spaces, private, shared }
    }

    fn range(&mut self) -> (u64, u64) {
        let first = self.rng.below(PAGES);
        let most = if self.rng.below(4) == 0 { PAGES } else { 8 };
        let count = 1 + self.rng.below(most.min(PAGES - first));
        (BASE + first * 4096, count)
    }

    fn prot(&mut self) -> Prot {
        match self.rng.below(6) {
            0 => Prot::empty(),
            1 => Prot::READ,
            2 => Prot::READ | Prot::EXEC,
            _ => Prot::READ | Prot::WRITE,
        }
    }

    fn mmap(&mut self, who: usize) {
        let (addr, mut count) = self.range();
        let prot = self.prot();
        let mut args = MmapArgs::anonymous(0, prot).at(UserAddr(addr));
        let mut offset = 0;
        let kind = self.rng.below(7);
        let pick = (kind & 1) as usize;
        let file = kind >= 3;
        if file {
            offset = self.rng.below(FILE_PAGES);
            count = count.min(FILE_PAGES - offset);
            args.flags = MapFlags::FIXED;
            args.offset = offset * 4096;
        }
        args.len = count * 4096 - self.rng.below(4096);
        let cells: Box<dyn Fn(u64) -> Kind> = match kind {
            0 | 1 => Box::new(|_| Kind::Anon(0)),
            2 => {
                args.flags = MapFlags::FIXED | MapFlags::ANONYMOUS | MapFlags::SHARED;
                let words = Rc::new(RefCell::new(vec![0; count as usize]));
                Box::new(move |i| Kind::Shared(words.clone(), i as usize))
            }
            3 | 4 => {
                args.flags |= MapFlags::PRIVATE;
                args.file = Some(self.private[pick].mapped());
                Box::new(move |i| Kind::Private(offset + i, None))
            }
            _ => {
                args.flags |= MapFlags::SHARED;
                args.file = Some(self.shared[pick].0.mapped());
                let words = self.shared[pick].1.clone();
                Box::new(move |i| Kind::Shared(words.clone(), (offset + i) as usize))
            }
        };
        let space = &mut self.spaces[who];
        assert_eq!(space.mm.mmap(args), Ok(UserAddr(addr)));
        for i in 0..count {
            let page = Page { prot, kind: cells(i), dont_fork: false, wipe: false };
            space.pages.insert(addr + i * 4096, page);
        }
    }

    fn mremap(&mut self, who: usize) {
        let maps = self.spaces[who].mm.maps();
        if maps.is_empty() {
            return;
        }
        let entry = &maps[self.rng.below(maps.len() as u64) as usize];
        let pages = (entry.end - entry.start) / 4096;
        let skip = self.rng.below(pages);
        let old = entry.start + skip * 4096;
        let count = 1 + self.rng.below(pages - skip);
        let to = BASE + self.rng.below(PAGES - count + 1) * 4096;
        let space = &mut self.spaces[who];
        let shrink = 1 + self.rng.below(count);
        let result = space.mm.mremap(UserAddr(old), count * 4096, shrink * 4096, 3, UserAddr(to));
        if to < old + count * 4096 && old < to + shrink * 4096 {
            assert!(result.is_err());
            return;
        }
        assert_eq!(result, Ok(UserAddr(to)));
        let mut moved = Vec::new();
        for i in 0..count {
            moved.extend(space.pages.remove(&(old + i * 4096)).filter(|_| i < shrink));
        }
        assert_eq!(moved.len() as u64, shrink);
        for (i, page) in moved.into_iter().enumerate() {
            space.pages.insert(to + i as u64 * 4096, page);
        }
    }

    fn step(&mut self) {
        let who = self.rng.below(self.spaces.len() as u64) as usize;
        let (addr, count) = self.range();
        let pages: Vec<u64> = (0..count).map(|i| addr + i * 4096).collect();
        match self.rng.below(100) {
            0..8 => self.mmap(who),
            8..11 => {
                let space = &mut self.spaces[who];
                space.mm.munmap(UserAddr(addr), count * 4096).unwrap();
                pages.iter().for_each(|page| drop(space.pages.remove(page)));
            }
            11..16 => {
                let prot = self.prot();
                let space = &mut self.spaces[who];
                let result = space.mm.mprotect(UserAddr(addr), count * 4096, prot.bits().into());
                let whole = pages.iter().all(|page| space.pages.contains_key(page));
                assert_eq!(result.is_ok(), whole);
                // What lies before the first hole is changed all the same.
                for page in pages {
                    let Some(page) = space.pages.get_mut(&page) else { break };
                    page.prot = prot;
                }
            }
            16..19 => self.mremap(who),
            19..22 => {
                let space = &mut self.spaces[who];
                let _ = space.mm.madvise(UserAddr(addr), count * 4096, libc::MADV_DONTNEED);
                for page in pages {
                    let Some(page) = space.pages.get_mut(&page) else { continue };
                    match &mut page.kind {
                        Kind::Anon(word) => *word = 0,
                        Kind::Private(_, written) => *written = None,
                        Kind::Shared(..) => {}
                    }
                }
            }
            22 => {
                let space = &mut self.spaces[who];
                let _ = space.mm.madvise(UserAddr(addr), count * 4096, libc::MADV_DONTFORK);
                for page in pages {
                    if let Some(page) = space.pages.get_mut(&page) {
                        page.dont_fork = true;
                    }
                }
            }
            23 => {
                let anon = |page: &u64| {
                    matches!(
                        self.spaces[who].pages.get(page),
                        Some(Page { kind: Kind::Anon(_), .. })
                    )
                };
                if pages.iter().all(anon) {
                    let space = &mut self.spaces[who];
                    let len = count * 4096;
                    space.mm.madvise(UserAddr(addr), len, libc::MADV_WIPEONFORK).unwrap();
                    for page in pages {
                        space.pages.get_mut(&page).unwrap().wipe = true;
                    }
                }
            }
            24 | 25 if self.spaces.len() < 4 => {
                let space = &self.spaces[who];
                let mm = space.mm.fork().unwrap();
                let mut pages = space.pages.clone();
                pages.retain(|_, page| !page.dont_fork);
                for page in pages.values_mut().filter(|page| page.wipe) {
                    page.kind = Kind::Anon(0);
                }
                self.spaces.push(Space { mm, pages });
            }
            24..27 if self.spaces.len() > 1 => {
                self.spaces.swap_remove(who);
            }
            27..60 => self.load(who, addr),
            _ => self.store(who, addr),
        }
    }

    fn word(&self, kind: &Kind) -> u64 {
        match kind {
            Kind::Anon(word) => *word,
            Kind::Private(index, written) => written.unwrap_or(index + 1),
            Kind::Shared(words, index) => words.borrow()[*index],
        }
    }

    fn load(&mut self, who: usize, addr: u64) {
        let how = self.rng.below(3);
        let Space { mm, pages } = &self.spaces[who];
        let page = pages.get(&addr);
        let expected = match page {
            None => Err(SEGV_MAPERR),
            Some(page) if page.prot.is_empty() => Err(SEGV_ACCERR),
            Some(page) => Ok(self.word(&page.kind)),
        };
        let addr = addr + WORD;
        let found = match how {
            0 => mm.read::<u64>(UserAddr(addr)).map_err(|_| expected.err().unwrap_or(0)),
            1 => load(mm, addr, Access::Read).map_err(|fault| fault.code),
            _ => load(mm, addr, Access::Unknown).map_err(|fault| fault.code),
        };
        assert_eq!(found, expected, "load {addr:#x} in {who}, way {how}");
    }

    fn store(&mut self, who: usize, addr: u64) {
        let how = self.rng.below(3);
        let value = self.rng.next();
        let Space { mm, pages } = &mut self.spaces[who];
        let expected = match pages.get_mut(&addr) {
            None => Err(SEGV_MAPERR),
            Some(page) if !page.prot.contains(Prot::WRITE) => Err(SEGV_ACCERR),
            Some(page) => {
                match &mut page.kind {
                    Kind::Anon(word) => *word = value,
                    Kind::Private(_, written) => *written = Some(value),
                    Kind::Shared(words, index) => words.borrow_mut()[*index] = value,
                }
                Ok(())
            }
        };
        let addr = addr + WORD;
        let found = match how {
            0 => mm.write(UserAddr(addr), &value).map_err(|_| expected.err().unwrap_or(0)),
            1 => store(mm, addr, value, Access::Write).map_err(|fault| fault.code),
            _ => store(mm, addr, value, Access::Unknown).map_err(|fault| fault.code),
        };
        assert_eq!(found, expected, "store {addr:#x} in {who}, way {how}");
    }

    /// The areas are what the model says, and the host allows no more than they do.
    fn check(&self) {
        for Space { mm, pages } in &self.spaces {
            let mut areas = BTreeMap::new();
            for entry in mm.maps() {
                for addr in (entry.start..entry.end).step_by(4096) {
                    areas.insert(addr, entry.prot);
                }
            }
            let model: BTreeMap<u64, Prot> = pages.iter().map(|(&a, p)| (a, p.prot)).collect();
            assert_eq!(areas, model);
            for (addr, page) in table(mm).pages.lock().unwrap().iter() {
                let prot = model.get(addr).copied().expect("host maps what the guest has not");
                assert!(prot.contains(page.prot), "host allows too much at {addr:#x}");
            }
        }
    }
}

#[test]
fn random_sequences_agree_with_the_model() {
    for seed in 1..=24 {
        let mut world = World::new(seed * 0x9e37_79b9);
        for step in 0..3000 {
            world.step();
            if step % 16 == 0 {
                world.check();
            }
        }
        let memory = world.memory.clone();
        drop(world);
        assert_eq!(memory.allocated_bytes(), 0, "seed {seed} leaks");
        assert_eq!(memory.used_bytes(), 0, "seed {seed} leaks on the host");
    }
}
