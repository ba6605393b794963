//! sysfs(5): the devices there are, which are the processors.

mod cpu;

use crate::node::Flavor;
use crate::node::dir::DirInode;
use crate::node::tree::{Builder, Context, Entries, Entry, entries, settings};
use std::sync::Arc;
use vfs::filesystem::anonymous_dev;
use vfs::{FileSystem, InodeRef};

/// SYSFS_MAGIC.
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// sysfs(5).
pub struct SysFs {
    dev: u64,
    root: InodeRef,
}

/// What its files share.
struct Sys {
    flavor: Flavor,
}

impl Context for Sys {
    fn flavor(&self) -> Flavor {
        self.flavor
    }
}

impl SysFs {
    /// For a guest with so many processors.
    pub fn new(cpus: u32) -> Arc<SysFs> {
        let flavor = Flavor {
            dev: anonymous_dev(),
            magic: SYSFS_MAGIC,
            file_size: 4096,
            blksize: 4096,
            made: kernel::time::realtime(),
        };
        let root = Builder::new(Arc::new(Sys { flavor }), 1, 0o755).dir(table(cpus.max(1)), None);
        Arc::new(SysFs { dev: flavor.dev, root: DirInode::make(root) })
    }
}

impl FileSystem for SysFs {
    fn name(&self) -> &str {
        "sysfs"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}

fn empty() -> Entry<Sys> {
    Entry::Dir(Vec::new())
}

fn fixed(text: &'static str) -> Entry<Sys> {
    Entry::Fixed(text.into())
}

fn table(cpus: u32) -> Entries<Sys> {
    let bus = || Entry::Dir(entries([("devices", empty()), ("drivers", empty())]));
    entries([
        ("block", empty()),
        ("bus", Entry::Dir(entries([("cpu", bus()), ("pci", bus()), ("usb", bus())]))),
        (
            "class",
            Entry::Dir(entries([
                ("block", empty()),
                ("net", empty()),
                ("power_supply", empty()),
                ("thermal", empty()),
                ("tty", empty()),
            ])),
        ),
        ("dev", Entry::Dir(entries([("block", empty()), ("char", empty())]))),
        (
            "devices",
            Entry::Dir(entries([
                ("platform", empty()),
                (
                    "system",
                    Entry::Dir(entries([
                        ("cpu", Entry::Dir(cpu::cpus(cpus))),
                        ("node", Entry::Dir(cpu::nodes(cpus))),
                    ])),
                ),
                ("virtual", Entry::Dir(entries([("net", empty()), ("tty", empty())]))),
            ])),
        ),
        ("firmware", empty()),
        ("fs", Entry::Dir(entries([("bpf", empty()), ("cgroup", empty()), ("fuse", empty())]))),
        ("hypervisor", empty()),
        ("kernel", Entry::Dir(kernel())),
        ("module", empty()),
        ("power", empty()),
    ])
}

fn kernel() -> Entries<Sys> {
    let huge_pages = settings(&[
        ("enabled", "always [madvise] never"),
        ("defrag", "always defer defer+madvise [madvise] never"),
        ("shmem_enabled", "always within_size advise [never] deny force"),
        ("use_zero_page", "1"),
    ]);
    let mut huge_pages = huge_pages;
    huge_pages.push(("hpage_pmd_size".into(), fixed("2097152\n")));
    entries([
        ("address_bits", fixed("64\n")),
        ("cpu_byteorder", fixed("little\n")),
        ("debug", empty()),
        ("fscaps", fixed("1\n")),
        (
            "mm",
            Entry::Dir(entries([
                ("hugepages", empty()),
                ("transparent_hugepage", Entry::Dir(huge_pages)),
            ])),
        ),
        ("security", empty()),
        ("tracing", empty()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Errno;
    use abi::file::{FileType, OpenFlags};
    use std::collections::HashSet;
    use vfs::{LinkTarget, Mount, MountFlags, OpenFile, Path};

    fn walk(fs: &Arc<dyn FileSystem>, path: &str) -> InodeRef {
        path.split('/').fold(fs.root(), |at, name| at.lookup(name.as_bytes()).unwrap())
    }

    fn read(fs: &Arc<dyn FileSystem>, path: &str) -> String {
        let inode = walk(fs, path);
        let place = Path::root_of(&Mount::new(fs.clone(), MountFlags::default()));
        let file =
            OpenFile::new(inode.open(OpenFlags::empty()).unwrap(), place, OpenFlags::empty());
        let mut buf = vec![0; 65536];
        let count = file.read(&mut buf).unwrap();
        assert_eq!(file.read(&mut [0; 1]).unwrap(), 0, "the whole of {path} was read");
        buf.truncate(count);
        String::from_utf8(buf).unwrap()
    }

    #[test]
    fn shows_the_processors() {
        let fs: Arc<dyn FileSystem> = SysFs::new(4);
        let cpu = "devices/system/cpu";
        for name in ["online", "possible", "present"] {
            assert_eq!(read(&fs, &format!("{cpu}/{name}")), "0-3\n");
        }
        assert_eq!(read(&fs, &format!("{cpu}/cpu2/topology/core_id")), "2\n");
        assert_eq!(read(&fs, &format!("{cpu}/cpu2/topology/thread_siblings")), "4\n");
        assert_eq!(read(&fs, &format!("{cpu}/cpu2/topology/package_cpus_list")), "0-3\n");
        let root = fs.root().lookup(b"devices").unwrap();
        assert_eq!(root.lookup(b"none").err(), Some(Errno::ENOENT));
    }

    /// Every file that is here is on the host too, where the host has the directory.
    #[test]
    fn files_of_a_processor_are_linuxs_own() {
        let host = std::fs::read_dir("/sys/devices/system/cpu/cpu0/topology");
        let Ok(host) = host else { return };
        let host: HashSet<Vec<u8>> =
            host.map(|e| e.unwrap().file_name().into_encoded_bytes()).collect();
        let fs: Arc<dyn FileSystem> = SysFs::new(1);
        let dir = "devices/system/cpu/cpu0/topology";
        for name in list(&fs, dir) {
            assert!(host.contains(name.as_bytes()), "{name}");
            let host = std::fs::read_to_string(format!("/sys/{dir}/{name}")).unwrap();
            assert_eq!(read(&fs, &format!("{dir}/{name}")).lines().count(), host.lines().count());
        }
    }

    fn list(fs: &Arc<dyn FileSystem>, path: &str) -> Vec<String> {
        let mut names = Vec::new();
        each(&walk(fs, path), |name, _, _| names.push(String::from_utf8(name.to_vec()).unwrap()));
        names
    }

    /// Lists a directory two entries at a time, without "." and "..".
    fn each(inode: &InodeRef, mut f: impl FnMut(&[u8], u64, FileType)) {
        let fs = SysFs::new(1);
        let place = Path::root_of(&Mount::new(fs, MountFlags::default()));
        let file =
            OpenFile::new(inode.open(OpenFlags::empty()).unwrap(), place, OpenFlags::empty());
        loop {
            let mut taken = 0;
            let sink = &mut |entry: vfs::DirEntry<'_>| {
                if taken == 2 {
                    return false;
                }
                taken += 1;
                if entry.name != b"." && entry.name != b".." {
                    f(entry.name, entry.ino, entry.kind);
                }
                true
            };
            file.read_dir(sink).unwrap();
            if taken == 0 {
                return;
            }
        }
    }

    #[test]
    fn the_tree_is_sound() {
        let fs = SysFs::new(2);
        let mut inos = HashSet::from([fs.root().attr().unwrap().ino]);
        let mut pending = vec![fs.root()];
        while let Some(dir) = pending.pop() {
            let mut subdirs = 0;
            each(&dir, |name, ino, kind| {
                let child = dir.lookup(name).unwrap();
                let attr = child.attr().unwrap();
                assert_eq!((attr.ino, child.file_type()), (ino, kind));
                assert!(inos.insert(ino), "two files have the number {ino}");
                if kind == FileType::Directory {
                    subdirs += 1;
                    pending.push(child);
                }
            });
            assert_eq!(dir.attr().unwrap().nlink, 2 + subdirs);
        }
    }

    #[test]
    fn links_and_settings() {
        let fs: Arc<dyn FileSystem> = SysFs::new(1);
        let link = walk(&fs, "devices/system/cpu/cpu0/node0");
        assert!(matches!(link.readlink(), Ok(LinkTarget::Path(p)) if p == b"../../node/node0"));
        let root = vfs::Credentials::new(0, 0, &[]);
        let setting = walk(&fs, "kernel/mm/transparent_hugepage/enabled");
        assert_eq!(setting.permission(&root, vfs::cred::MAY_WRITE), Some(Err(Errno::EROFS)));
        assert_eq!(setting.permission(&root, vfs::cred::MAY_READ), None);
    }
}
