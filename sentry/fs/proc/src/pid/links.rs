//! cwd, root, exe, and the way to what all processes share.

use super::Subject;
use abi::{Errno, SysResult};
use vfs::{InodeRef, LinkTarget};

pub(super) fn cwd(subject: &Subject) -> SysResult<LinkTarget> {
    Ok(LinkTarget::Magic(subject.task_to_inspect()?.fs().root_and_cwd().1))
}

pub(super) fn root(subject: &Subject) -> SysResult<LinkTarget> {
    Ok(LinkTarget::Magic(subject.task_to_inspect()?.fs().root_and_cwd().0))
}

pub(super) fn exe(subject: &Subject) -> SysResult<LinkTarget> {
    let task = subject.task_to_inspect()?;
    task.group().exe().map(LinkTarget::Magic).ok_or(Errno::ENOENT)
}

/// The one network namespace.
pub(super) fn net(subject: Subject, _parent: u64, _ino: u64) -> InodeRef {
    subject.proc.net.clone()
}
