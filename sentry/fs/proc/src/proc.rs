//! The file system, and what all of its files share.

use crate::net::{self, Net};
use crate::node::Flavor;
use crate::node::dir::DirInode;
use crate::node::tree::{Builder, Context};
use crate::options::ProcOptions;
use crate::pid::ns::Namespaces;
use crate::root::Root;
use crate::top::load::LoadAverage;
use crate::{sys, top};
use abi::{Errno, SysResult};
use kernel::Kernel;
use parking_lot::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use vfs::filesystem::anonymous_dev;
use vfs::{FileSystem, InodeRef};

/// PROC_SUPER_MAGIC.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// `st_ino` of the root.
const ROOT_INO: u64 = 1;
/// `st_ino` of fixed files begins here (PROC_DYNAMIC_FIRST); those of processes are 2^32 and more.
const STATIC_INO: u64 = 0xf000_0000;
/// And of those of /proc/PID/net, which all processes share.
const NET_INO: u64 = 0xf100_0000;

/// proc(5).
pub struct ProcFs {
    dev: u64,
    root: InodeRef,
}

/// What all files of a [`ProcFs`] share.
pub(crate) struct Proc {
    kernel: Weak<Kernel>,
    pub flavor: Flavor,
    pub options: ProcOptions,
    /// /proc/PID/net.
    pub net: InodeRef,
    pub namespaces: Namespaces,
    /// kernel.random.boot_id.
    pub boot_id: String,
    pub load: Mutex<LoadAverage>,
    /// The CPU time that /proc/stat showed last, in ns: it never goes back.
    pub shown_user: AtomicU64,
    /// The same of system time.
    pub shown_system: AtomicU64,
}

impl Proc {
    /// The kernel. ESRCH where it is gone, with all that could be shown.
    pub fn kernel(&self) -> SysResult<Arc<Kernel>> {
        self.kernel.upgrade().ok_or(Errno::ESRCH)
    }
}

impl Context for Proc {
    fn flavor(&self) -> Flavor {
        self.flavor
    }
}

impl ProcFs {
    /// Shows this kernel.
    pub fn new(kernel: &Arc<Kernel>, options: impl Into<ProcOptions>) -> Arc<ProcFs> {
        let options: ProcOptions = options.into();
        let dev = anonymous_dev();
        let flavor = Flavor {
            dev,
            magic: PROC_SUPER_MAGIC,
            file_size: 0,
            blksize: 1024,
            made: kernel::time::realtime(),
        };
        let net = Arc::new(Net { flavor, tables: options.net.clone() });
        let net = Builder::new(net, NET_INO, 0o555).dir(net::tables(), Some(ROOT_INO));
        let proc = Arc::new(Proc {
            kernel: Arc::downgrade(kernel),
            flavor,
            options,
            net: DirInode::make(net),
            namespaces: Namespaces::new(),
            boot_id: sys::random_uuid(),
            load: Mutex::new(LoadAverage::default()),
            shown_user: AtomicU64::new(0),
            shown_system: AtomicU64::new(0),
        });
        // Its own number is not used: the root has a smaller one, as in Linux.
        let fixed = Builder::new(proc.clone(), STATIC_INO, 0o555).dir(top::table(), None);
        let root = DirInode::make(Root::new(proc, fixed, ROOT_INO));
        Arc::new(ProcFs { dev, root })
    }
}

impl FileSystem for ProcFs {
    fn name(&self) -> &str {
        "proc"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}
