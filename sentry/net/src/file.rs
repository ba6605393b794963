//! A socket as an open file.

use crate::inode::SocketInode;
use crate::message::{MsgFlags, SendMessage};
use crate::socket::{Caller, Socket};
use abi::file::{OpenFlags, PollEvents};
use abi::{SysResult, UserAddr};
use mm::MemoryManager;
use std::any::Any;
use std::sync::Arc;
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// An open file that is a socket; `file.ops_as::<SocketFile>()` finds it (ENOTSOCK otherwise).
pub struct SocketFile {
    socket: Arc<dyn Socket>,
}

impl SocketFile {
    /// An open file description for a socket. `flags`: O_NONBLOCK. The owner of the socket is the
    /// owner of the inode.
    pub fn open(socket: Arc<dyn Socket>, flags: OpenFlags) -> Arc<OpenFile> {
        let owner = socket.owner();
        let path = SocketInode::new(owner.uid, owner.gid).path();
        let status = flags & OpenFlags::NONBLOCK;
        OpenFile::new(Arc::new(SocketFile { socket }), path, status | OpenFlags::RDWR)
    }

    /// The socket.
    pub fn socket(&self) -> &Arc<dyn Socket> {
        &self.socket
    }
}

impl FileOps for SocketFile {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        // Files that come along are closed, as nobody has asked for them.
        Ok(self.socket.receive(buf, MsgFlags::empty())?.len)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        let caller = Caller::nameless(self.socket.owner());
        self.socket.send(&caller, SendMessage::bytes(buf))
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.socket.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.socket.wait_queue())
    }

    fn ioctl(&self, _file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        mm.write(UserAddr(arg), &self.socket.query(cmd)?)?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
