//! File attributes, file types and open flags.

use super::wire::{Decoder, Encoder, Malformed};

/// The type of a file, from the `S_IFMT` bits of its mode. See `inode(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// `S_IFCHR`
    CharDevice,
    /// `S_IFBLK`
    BlockDevice,
    /// Anything else, as file systems say when they do not know a directory entry's type.
    Unknown,
}

impl FileType {
    /// From a mode.
    pub fn from_mode(mode: u32) -> FileType {
        match mode & libc::S_IFMT {
            libc::S_IFREG => FileType::Regular,
            libc::S_IFDIR => FileType::Directory,
            libc::S_IFLNK => FileType::Symlink,
            libc::S_IFIFO => FileType::Fifo,
            libc::S_IFSOCK => FileType::Socket,
            libc::S_IFCHR => FileType::CharDevice,
            libc::S_IFBLK => FileType::BlockDevice,
            _ => FileType::Unknown,
        }
    }

    /// From the `d_type` of a directory entry. See `readdir(3)`.
    pub fn from_dirent(d_type: u8) -> FileType {
        FileType::from_mode(u32::from(d_type) << 12)
    }

    /// As the `d_type` of a directory entry.
    pub fn to_dirent(self) -> u8 {
        match self {
            FileType::Regular => libc::DT_REG,
            FileType::Directory => libc::DT_DIR,
            FileType::Symlink => libc::DT_LNK,
            FileType::Fifo => libc::DT_FIFO,
            FileType::Socket => libc::DT_SOCK,
            FileType::CharDevice => libc::DT_CHR,
            FileType::BlockDevice => libc::DT_BLK,
            FileType::Unknown => libc::DT_UNKNOWN,
        }
    }
}

/// A device number, in its two halves. See `makedev(3)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Device {
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

impl Device {
    fn encode(self, to: &mut Encoder) {
        to.u32(self.major);
        to.u32(self.minor);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Device, Malformed> {
        Ok(Device { major: from.u32()?, minor: from.u32()? })
    }
}

/// A point in time since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds, possibly negative.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    pub(crate) fn encode(self, to: &mut Encoder) {
        to.i64(self.seconds);
        to.u32(self.nanoseconds);
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Timestamp, Malformed> {
        let time = Timestamp { seconds: from.i64()?, nanoseconds: from.u32()? };
        if time.nanoseconds >= 1_000_000_000 {
            return Err(Malformed("nanoseconds beyond a second"));
        }
        Ok(time)
    }
}

/// All attributes of a file, as `statx(2)` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr {
    /// File type and permissions.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u32,
    /// Owner, in the gofer's user namespace.
    pub uid: u32,
    /// Group, in the gofer's user namespace.
    pub gid: u32,
    /// Inode number; unique within `dev`.
    pub ino: u64,
    /// The host device that holds the file. Differs from its directory's where the host has a mount.
    pub dev: Device,
    /// What a device node stands for.
    pub rdev: Device,
    /// Size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Preferred size of an I/O request.
    pub blksize: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of the data.
    pub mtime: Timestamp,
    /// Last change of the attributes.
    pub ctime: Timestamp,
    /// Creation, where the file system records it.
    pub btime: Option<Timestamp>,
}

impl Attr {
    /// The type of the file.
    pub fn file_type(&self) -> FileType {
        FileType::from_mode(self.mode)
    }

    /// Whether both describe the same file.
    pub fn same_file(&self, other: &Attr) -> bool {
        self.ino == other.ino && self.dev == other.dev && self.file_type() == other.file_type()
    }

    pub(crate) fn encode(&self, to: &mut Encoder) {
        to.u32(self.mode);
        to.u32(self.nlink);
        to.u32(self.uid);
        to.u32(self.gid);
        to.u64(self.ino);
        self.dev.encode(to);
        self.rdev.encode(to);
        to.u64(self.size);
        to.u64(self.blocks);
        to.u32(self.blksize);
        self.atime.encode(to);
        self.mtime.encode(to);
        self.ctime.encode(to);
        to.option(self.btime, |to, time| time.encode(to));
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Attr, Malformed> {
        Ok(Attr {
            mode: from.u32()?,
            nlink: from.u32()?,
            uid: from.u32()?,
            gid: from.u32()?,
            ino: from.u64()?,
            dev: Device::decode(from)?,
            rdev: Device::decode(from)?,
            size: from.u64()?,
            blocks: from.u64()?,
            blksize: from.u32()?,
            atime: Timestamp::decode(from)?,
            mtime: Timestamp::decode(from)?,
            ctime: Timestamp::decode(from)?,
            btime: from.option(Timestamp::decode)?,
        })
    }
}

/// A file system's numbers, as `statfs(2)` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are statfs(2)'s own")]
pub struct StatFs {
    pub fs_type: u64,
    pub block_size: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub name_max: u64,
    pub fragment_size: u64,
    pub flags: u64,
}

impl StatFs {
    pub(crate) fn encode(&self, to: &mut Encoder) {
        for field in [
            self.fs_type,
            self.block_size,
            self.blocks,
            self.blocks_free,
            self.blocks_available,
            self.files,
            self.files_free,
            self.name_max,
            self.fragment_size,
            self.flags,
        ] {
            to.u64(field);
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<StatFs, Malformed> {
        Ok(StatFs {
            fs_type: from.u64()?,
            block_size: from.u64()?,
            blocks: from.u64()?,
            blocks_free: from.u64()?,
            blocks_available: from.u64()?,
            files: from.u64()?,
            files_free: from.u64()?,
            name_max: from.u64()?,
            fragment_size: from.u64()?,
            flags: from.u64()?,
        })
    }
}

bitflags::bitflags! {
    /// How to open a regular file. The gofer adds `O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// For reading.
        const READ = 1;
        /// For writing.
        const WRITE = 2;
        /// Cut to length 0 (after it is certain which file was opened). Needs `WRITE`.
        const TRUNCATE = 4;
        /// `O_APPEND`
        const APPEND = 8;
        /// `O_DSYNC`
        const DSYNC = 16;
        /// `O_SYNC`
        const SYNC = 32;
        /// `O_DIRECT`
        const DIRECT = 64;
        /// `O_NOATIME`
        const NOATIME = 128;
    }
}

impl OpenFlags {
    /// Whether a file opened so, or the opening itself, can change the file.
    pub fn is_change(self) -> bool {
        self.intersects(OpenFlags::WRITE | OpenFlags::TRUNCATE | OpenFlags::APPEND)
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<OpenFlags, Malformed> {
        let flags = OpenFlags::from_bits(from.u32()?).ok_or(Malformed("unknown open flags"))?;
        let sense = flags.intersects(OpenFlags::READ | OpenFlags::WRITE)
            && (flags.contains(OpenFlags::WRITE) || !flags.contains(OpenFlags::TRUNCATE));
        if sense { Ok(flags) } else { Err(Malformed("open flags that make no sense")) }
    }
}
