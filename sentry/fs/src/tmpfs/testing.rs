//! What the tests of file systems share: paths, through `vfs`, as a guest would use them.

use abi::SysResult;
use abi::file::{FileType, OpenFlags};
use mm::MemoryFile;
use std::sync::Arc;
use vfs::filesystem::FileSystemRef;
use vfs::walk::PathContext;
use vfs::{
    Attr, Credentials, InodeRef, Mount, MountFlags, MountTable, NodeKind, OpenFile, Path, SetAttr,
    WalkFlags,
};

/// Memory for a test's tmpfs.
pub(crate) fn memory() -> Arc<MemoryFile> {
    MemoryFile::new_memfd().unwrap()
}

/// An open file of an inode that has no path here.
pub(crate) fn open_inode(fs: FileSystemRef, inode: &InodeRef, flags: OpenFlags) -> Arc<OpenFile> {
    let dentry = vfs::Dentry::new_anonymous(b"test", inode.clone());
    let path = Path { mount: Mount::new(fs, MountFlags::empty()), dentry };
    OpenFile::new(inode.open(flags).unwrap(), path, flags)
}

/// A file system mounted as root, used by the superuser.
pub(crate) struct Tree {
    table: Arc<MountTable>,
    root: Path,
    cred: Credentials,
}

impl Tree {
    pub fn new(fs: FileSystemRef) -> Tree {
        let table = MountTable::new(Mount::new(fs, MountFlags::empty()));
        let root = table.root();
        Tree { table, root, cred: Credentials::new(0, 0, &[]) }
    }

    pub fn context(&self) -> PathContext<'_> {
        PathContext { table: &self.table, root: &self.root, start: &self.root, cred: &self.cred }
    }

    pub fn place(&self, path: &str) -> SysResult<Path> {
        self.context().walk(path.as_bytes(), WalkFlags::empty())
    }

    pub fn inode(&self, path: &str) -> SysResult<InodeRef> {
        Ok(self.place(path)?.inode().clone())
    }

    pub fn open(&self, path: &str, flags: OpenFlags) -> SysResult<Arc<OpenFile>> {
        self.context().open(path.as_bytes(), flags, 0o644)
    }

    pub fn write(&self, path: &str, data: &[u8]) -> SysResult<()> {
        let file = self.open(path, OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC)?;
        let mut done = 0;
        while done < data.len() {
            done += file.write(&data[done..])?;
        }
        Ok(())
    }

    pub fn append(&self, path: &str, data: &[u8]) -> SysResult<usize> {
        self.open(path, OpenFlags::WRONLY | OpenFlags::APPEND)?.write(data)
    }

    pub fn read(&self, path: &str) -> SysResult<Vec<u8>> {
        read_all(&*self.open(path, OpenFlags::empty())?)
    }

    pub fn make(&self, path: &str, kind: NodeKind<'_>, mode: u32) -> SysResult<()> {
        self.context().make_node(path.as_bytes(), kind, mode).map(|_| ())
    }

    pub fn mkdir(&self, path: &str) -> SysResult<()> {
        self.make(path, NodeKind::Directory, 0o755)
    }

    pub fn unlink(&self, path: &str) -> SysResult<()> {
        self.context().unlink(path.as_bytes())
    }

    pub fn rmdir(&self, path: &str) -> SysResult<()> {
        self.context().rmdir(path.as_bytes())
    }

    pub fn rename(&self, from: &str, to: &str, flags: u32) -> SysResult<()> {
        let context = self.context();
        context.rename(from.as_bytes(), &context, to.as_bytes(), flags)
    }

    pub fn link(&self, from: &str, to: &str) -> SysResult<()> {
        self.context().link(&self.place(from)?, to.as_bytes())
    }

    pub fn readlink(&self, path: &str) -> SysResult<Vec<u8>> {
        self.context().readlink(path.as_bytes())
    }

    pub fn attr(&self, path: &str) -> SysResult<Attr> {
        self.inode(path)?.attr()
    }

    pub fn set(&self, path: &str, change: &SetAttr) -> SysResult<()> {
        self.inode(path)?.set_attr(change)
    }

    /// Names, types and inode numbers, sorted, without "." and "..".
    pub fn list(&self, path: &str) -> SysResult<Vec<(String, FileType, u64)>> {
        let file = self.open(path, OpenFlags::DIRECTORY)?;
        let mut all = list_some(&file, usize::MAX)?;
        all.retain(|(name, ..)| name != "." && name != "..");
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    pub fn names(&self, path: &str) -> SysResult<Vec<String>> {
        Ok(self.list(path)?.into_iter().map(|(name, ..)| name).collect())
    }
}

/// Reads to the end.
pub(crate) fn read_all(file: &OpenFile) -> SysResult<Vec<u8>> {
    let mut data = Vec::new();
    let mut buf = [0; 8192];
    loop {
        let count = file.read(&mut buf)?;
        if count == 0 {
            return Ok(data);
        }
        data.extend_from_slice(&buf[..count]);
    }
}

/// Up to `count` more entries, in the order they come.
pub(crate) fn list_some(file: &OpenFile, count: usize) -> SysResult<Vec<(String, FileType, u64)>> {
    let mut found = Vec::new();
    file.read_dir(&mut |entry| {
        if found.len() == count {
            return false;
        }
        found.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.kind, entry.ino));
        true
    })?;
    Ok(found)
}

/// A small random generator, the same on every run.
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
