//! One address space: its life, and how changes reach the host. The calls are in files of their
//! own, by family.

use crate::batch::Batch;
use crate::pma::Pmas;
use crate::spurious::Recent;
use crate::state::State;
use crate::vma::Vmas;
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use parking_lot::RwLock;
use platform::{AddressSpace, GUEST_ADDRESS_END, MapOp, Platform};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Where mappings go down from, unless exec says otherwise: 1 GiB is left for the stack.
const DEFAULT_MMAP_BASE: u64 = GUEST_ADDRESS_END - (1 << 30);

/// One guest address space.
///
/// Every method may be called from any thread. Addresses and lengths are the guest's and may be
/// anything.
pub struct MemoryManager {
    id: u64,
    platform: Arc<dyn Platform>,
    address_space: Arc<dyn AddressSpace>,
    pub(crate) memory: Arc<MemoryFile>,
    pub(crate) state: RwLock<State>,
}

impl MemoryManager {
    /// An empty address space.
    pub fn new(
        platform: &Arc<dyn Platform>,
        memory: &Arc<MemoryFile>,
    ) -> SysResult<Arc<MemoryManager>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let address_space = platform.new_address_space()?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new_cyclic(|this: &Weak<MemoryManager>| MemoryManager {
            id,
            platform: platform.clone(),
            address_space,
            memory: memory.clone(),
            state: RwLock::new(State {
                id,
                this: this.clone(),
                memory: memory.clone(),
                vmas: Vmas::default(),
                pmas: Pmas::default(),
                total: 0,
                locked: 0,
                lock_future: false,
                limits: Limits::default(),
                layout: ImageLayout::default(),
                brk: 0,
                brk_reserve: None,
                mmap_base: DEFAULT_MMAP_BASE,
                no_gap: None,
                recent: Recent::default(),
            }),
        }))
    }

    /// Identifies this address space; never used again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The platform's side of it.
    pub fn address_space(&self) -> &Arc<dyn AddressSpace> {
        &self.address_space
    }

    /// The memory file behind it.
    pub fn memory_file(&self) -> &Arc<MemoryFile> {
        &self.memory
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.platform
    }

    /// Runs `f` with the state locked, applies the changes it collected (also when it fails
    /// half-way), and then, unlocked, frees what they took away.
    pub(crate) fn change<T>(
        &self,
        f: impl FnOnce(&mut State, &mut Batch) -> SysResult<T>,
    ) -> SysResult<T> {
        let mut batch = Batch::default();
        let result = {
            let mut state = self.state.write();
            let result = f(&mut state, &mut batch);
            let applied = self.apply(&mut state, &mut batch);
            result.and_then(|value| applied.map(|()| value))
        };
        batch.finish(&self.memory);
        result
    }

    /// Applies the changes collected so far; `state` is ours, locked. ENOMEM when the host
    /// refuses. Pages that should be mapped then and are not are mapped again when they fault.
    pub(crate) fn apply(&self, state: &mut State, batch: &mut Batch) -> SysResult<()> {
        if batch.ops.is_empty() {
            return Ok(());
        }
        state.recent.note(&batch.ops);
        self.address_space.apply(&std::mem::take(&mut batch.ops)).map_err(|error| {
            tracing::warn!(%error, "host refused a mapping");
            batch.leak();
            Errno::ENOMEM
        })
    }

    /// Unmaps everything and frees the memory: at exit, whoever may still hold the `Arc`.
    pub fn clear(&self) {
        let _ = self.change(|state, batch| {
            state.unmap(0..GUEST_ADDRESS_END, batch);
            batch.release.extend(state.brk_reserve.take().map(|(_, range)| range));
            if Arc::strong_count(&self.address_space) == 1 {
                // Nobody else has it, so no thread runs in it: it goes away with us.
                batch.ops.clear();
            } else if !batch.ops.is_empty() {
                batch.ops = vec![MapOp::Unmap { addr: 0, len: GUEST_ADDRESS_END }];
            }
            Ok(())
        });
    }

    /// See [`MappingSet::invalidate`].
    pub(crate) fn invalidate(&self, set: &MappingSet, range: Range<u64>, private_copies: bool) {
        let _ = self.change(|state, batch| {
            let (maps_it, hit) = state.areas_of(set, range);
            if !maps_it {
                set.remove(state.id);
            }
            for range in hit {
                if private_copies {
                    state.drop_pmas(range, batch);
                    continue;
                }
                for (range, pma) in state.pmas.pieces(range) {
                    if !pma.is_private() {
                        state.drop_pmas(range, batch);
                    }
                }
            }
            Ok(())
        });
    }

    /// Where exec put things.
    pub fn layout(&self) -> ImageLayout {
        self.state.read().layout
    }

    /// Says where exec put things; the program break is set if it was not.
    pub fn set_layout(&self, layout: ImageLayout) {
        let mut state = self.state.write();
        state.layout = layout;
        if state.brk == 0 {
            state.brk = layout.start_brk;
        }
    }

    /// Sets the start of the heap, and the program break to it.
    pub fn set_brk_start(&self, addr: UserAddr) {
        let mut state = self.state.write();
        state.layout.start_brk = addr.0;
        state.brk = addr.0;
    }

    /// The highest address for mappings without a fixed place.
    pub fn mmap_base(&self) -> UserAddr {
        UserAddr(self.state.read().mmap_base)
    }

    /// Sets it (exec, with address space randomization).
    pub fn set_mmap_base(&self, addr: UserAddr) {
        let mut state = self.state.write();
        state.mmap_base = state::page_down(addr.0.min(GUEST_ADDRESS_END));
        state.no_gap = None;
    }

    /// A free range, as mmap without a hint would choose it. ENOMEM.
    pub fn find_free(&self, len: u64) -> SysResult<UserAddr> {
        let len = state::page_up(len).ok_or(Errno::ENOMEM)?;
        self.state.write().choose(0, len, PAGE_SIZE, false).map(UserAddr)
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.state.read().limits
    }

    /// Sets them; what is mapped already stays.
    pub fn set_limits(&self, limits: Limits) {
        self.state.write().limits = limits;
    }
}

impl Drop for MemoryManager {
    fn drop(&mut self) {
        self.clear();
    }
}
