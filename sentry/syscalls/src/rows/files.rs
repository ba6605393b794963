//! Files, directories, descriptors, events, sockets.

use crate::args::{Flags, Mode, UserStr};
use crate::files::*;
use crate::table::rows;
use abi::UserAddr;
use vfs::Fd;

rows! {
    0 read(fd: Fd, buf: UserAddr, count: usize)
        => transfer::read, Partial, "what a stream gave before a fault at the buffer is lost";
    1 write(fd: Fd, buf: UserAddr, count: usize) => transfer::write, Full;
    2 open(path: UserStr, flags: Flags, mode: Mode)
        => open::open, Partial, "O_ASYNC has no effect; O_DIRECT goes through the cache";
    3 close(fd: Fd) => close::close, Full;
    4 stat(path: UserStr, buf: UserAddr) => stat::stat, Full;
    5 fstat(fd: Fd, buf: UserAddr) => stat::fstat, Full;
    6 lstat(path: UserStr, buf: UserAddr) => stat::lstat, Full;
    7 poll(fds: UserAddr, count: u32, timeout: i32) => poll::poll, Full;
    8 lseek(fd: Fd, offset: i64, whence: u32) => transfer::lseek, Full;
    16 ioctl(fd: Fd, cmd: Flags, arg: u64)
        => ioctl::ioctl, Partial, "FIOASYNC is ENOTTY; what a file does not know is ENOTTY";
    17 pread64(fd: Fd, buf: UserAddr, count: usize, offset: i64) => transfer::pread64, Full;
    18 pwrite64(fd: Fd, buf: UserAddr, count: usize, offset: i64) => transfer::pwrite64, Full;
    19 readv(fd: Fd, iov: UserAddr, count: usize)
        => transfer::readv, Partial, "what a stream gave before a fault at the buffer is lost";
    20 writev(fd: Fd, iov: UserAddr, count: usize) => transfer::writev, Full;
    21 access(path: UserStr, mode: Mode) => stat::access, Full;
    22 pipe(fds: UserAddr) => events::pipe, Full;
    23 select(count: i32, read: UserAddr, write: UserAddr, except: UserAddr, timeout: UserAddr)
        => select::select, Full;
    32 dup(fd: Fd) => close::dup, Full;
    33 dup2(old: Fd, new: Fd) => close::dup2, Full;
    40 sendfile(out: Fd, input: Fd, offset: UserAddr, count: usize) => copy::sendfile, Full;
    41 socket(family: i32, kind: i32, protocol: i32)
        => sockets::socket, Partial, "AF_UNIX; other families are EAFNOSUPPORT";
    42 connect(fd: Fd, addr: UserAddr, len: i32) => sockets::connect, Full;
    43 accept(fd: Fd, addr: UserAddr, len: UserAddr) => sockets::accept, Full;
    44 sendto(fd: Fd, buf: UserAddr, len: usize, flags: Flags, addr: UserAddr, addr_len: i32)
        => sockets::message::sendto, Full;
    45 recvfrom(fd: Fd, buf: UserAddr, len: usize, flags: Flags, addr: UserAddr, addr_len: UserAddr)
        => sockets::message::recvfrom, Full;
    46 sendmsg(fd: Fd, message: UserAddr, flags: Flags)
        => sockets::message::sendmsg, Partial, "SCM_RIGHTS and SCM_CREDENTIALS; others are EINVAL";
    47 recvmsg(fd: Fd, message: UserAddr, flags: Flags)
        => sockets::message::recvmsg, Partial, "SCM_RIGHTS and SCM_CREDENTIALS; no timestamps";
    48 shutdown(fd: Fd, how: i32) => sockets::shutdown, Full;
    49 bind(fd: Fd, addr: UserAddr, len: i32) => sockets::bind, Full;
    50 listen(fd: Fd, backlog: i32) => sockets::listen, Full;
    51 getsockname(fd: Fd, addr: UserAddr, len: UserAddr) => sockets::getsockname, Full;
    52 getpeername(fd: Fd, addr: UserAddr, len: UserAddr) => sockets::getpeername, Full;
    53 socketpair(family: i32, kind: i32, protocol: i32, fds: UserAddr)
        => sockets::socketpair, Partial, "AF_UNIX; other families are EAFNOSUPPORT";
    54 setsockopt(fd: Fd, level: i32, name: i32, value: UserAddr, len: i32)
        => sockets::setsockopt, Partial, "options that are not kept are ENOPROTOOPT";
    55 getsockopt(fd: Fd, level: i32, name: i32, value: UserAddr, len: UserAddr)
        => sockets::getsockopt, Partial, "options that are not kept are ENOPROTOOPT";
    72 fcntl(fd: Fd, cmd: i32, arg: u64)
        => fcntl::fcntl, Partial, "leases, F_NOTIFY and hints are EINVAL; owners are kept, SIGIO is not sent";
    73 flock(fd: Fd, operation: i32) => locks::flock, Full;
    74 fsync(fd: Fd) => extent::fsync, Full;
    75 fdatasync(fd: Fd) => extent::fdatasync, Full;
    76 truncate(path: UserStr, len: i64) => extent::truncate, Full;
    77 ftruncate(fd: Fd, len: i64) => extent::ftruncate, Full;
    78 getdents(fd: Fd, buf: UserAddr, count: u32) => directory::getdents, Full;
    79 getcwd(buf: UserAddr, size: usize) => directory::getcwd, Full;
    80 chdir(path: UserStr) => directory::chdir, Full;
    81 fchdir(fd: Fd) => directory::fchdir, Full;
    82 rename(old: UserStr, new: UserStr) => names::rename, Full;
    83 mkdir(path: UserStr, mode: Mode) => names::mkdir, Full;
    84 rmdir(path: UserStr) => names::rmdir, Full;
    85 creat(path: UserStr, mode: Mode) => open::creat, Full;
    86 link(old: UserStr, new: UserStr) => names::link, Full;
    87 unlink(path: UserStr) => names::unlink, Full;
    88 symlink(target: UserStr, path: UserStr) => names::symlink, Full;
    89 readlink(path: UserStr, buf: UserAddr, size: i32) => names::readlink, Full;
    90 chmod(path: UserStr, mode: Mode) => attributes::chmod, Full;
    91 fchmod(fd: Fd, mode: Mode) => attributes::fchmod, Full;
    92 chown(path: UserStr, uid: u32, gid: u32) => attributes::chown, Full;
    93 fchown(fd: Fd, uid: u32, gid: u32) => attributes::fchown, Full;
    94 lchown(path: UserStr, uid: u32, gid: u32) => attributes::lchown, Full;
    95 umask(mask: Mode) => attributes::umask, Full;
    132 utime(path: UserStr, times: UserAddr) => attributes::utime, Full;
    133 mknod(path: UserStr, mode: Mode, dev: u32) => names::mknod, Full;
    137 statfs(path: UserStr, buf: UserAddr) => stat::statfs, Full;
    138 fstatfs(fd: Fd, buf: UserAddr) => stat::fstatfs, Full;
    161 chroot(path: UserStr) => directory::chroot, Full;
    162 sync() => extent::sync, Stub, "what was written is with the host at once";
    165 mount(source: UserStr, target: UserStr, kind: UserStr, flags: Flags, data: UserAddr)
        => mount::mount, Partial, "tmpfs, bind (without submounts), remount of flags, further showings of proc, sysfs and devpts; propagation has no effect, MS_MOVE is EINVAL, other types are ENODEV";
    166 umount2(target: UserStr, flags: Flags)
        => mount::umount2, Partial, "files in use do not keep a mount; MNT_EXPIRE is EBUSY";
    187 readahead(fd: Fd, offset: i64, count: usize) => extent::readahead, Stub, "no effect";
    188 setxattr(path: UserStr, name: UserStr, value: UserAddr, size: usize, flags: Flags)
        => xattr::setxattr, Full;
    189 lsetxattr(path: UserStr, name: UserStr, value: UserAddr, size: usize, flags: Flags)
        => xattr::lsetxattr, Full;
    190 fsetxattr(fd: Fd, name: UserStr, value: UserAddr, size: usize, flags: Flags)
        => xattr::fsetxattr, Full;
    191 getxattr(path: UserStr, name: UserStr, value: UserAddr, size: usize)
        => xattr::getxattr, Full;
    192 lgetxattr(path: UserStr, name: UserStr, value: UserAddr, size: usize)
        => xattr::lgetxattr, Full;
    193 fgetxattr(fd: Fd, name: UserStr, value: UserAddr, size: usize) => xattr::fgetxattr, Full;
    194 listxattr(path: UserStr, list: UserAddr, size: usize) => xattr::listxattr, Full;
    195 llistxattr(path: UserStr, list: UserAddr, size: usize) => xattr::llistxattr, Full;
    196 flistxattr(fd: Fd, list: UserAddr, size: usize) => xattr::flistxattr, Full;
    197 removexattr(path: UserStr, name: UserStr) => xattr::removexattr, Full;
    198 lremovexattr(path: UserStr, name: UserStr) => xattr::lremovexattr, Full;
    199 fremovexattr(fd: Fd, name: UserStr) => xattr::fremovexattr, Full;
    213 epoll_create(size: i32) => epoll::epoll_create, Full;
    217 getdents64(fd: Fd, buf: UserAddr, count: u32) => directory::getdents64, Full;
    221 fadvise64(fd: Fd, offset: i64, len: i64, advice: i32)
        => extent::fadvise64, Stub, "checked, without effect";
    232 epoll_wait(epfd: Fd, events: UserAddr, max: i32, timeout: i32) => epoll::epoll_wait, Full;
    233 epoll_ctl(epfd: Fd, op: i32, fd: Fd, event: UserAddr)
        => epoll::epoll_ctl, Partial, "EPOLLEXCLUSIVE wakes all; EPOLLWAKEUP has no effect";
    235 utimes(path: UserStr, times: UserAddr) => attributes::utimes, Full;
    257 openat(dir: Fd, path: UserStr, flags: Flags, mode: Mode)
        => open::openat, Partial, "O_ASYNC has no effect; O_DIRECT goes through the cache";
    258 mkdirat(dir: Fd, path: UserStr, mode: Mode) => names::mkdirat, Full;
    259 mknodat(dir: Fd, path: UserStr, mode: Mode, dev: u32) => names::mknodat, Full;
    260 fchownat(dir: Fd, path: UserStr, uid: u32, gid: u32, flags: Flags)
        => attributes::fchownat, Full;
    261 futimesat(dir: Fd, path: UserStr, times: UserAddr) => attributes::futimesat, Full;
    262 newfstatat(dir: Fd, path: UserStr, buf: UserAddr, flags: Flags) => stat::newfstatat, Full;
    263 unlinkat(dir: Fd, path: UserStr, flags: Flags) => names::unlinkat, Full;
    264 renameat(old_dir: Fd, old: UserStr, new_dir: Fd, new: UserStr) => names::renameat, Full;
    265 linkat(old_dir: Fd, old: UserStr, new_dir: Fd, new: UserStr, flags: Flags)
        => names::linkat, Full;
    266 symlinkat(target: UserStr, dir: Fd, path: UserStr) => names::symlinkat, Full;
    267 readlinkat(dir: Fd, path: UserStr, buf: UserAddr, size: i32) => names::readlinkat, Full;
    268 fchmodat(dir: Fd, path: UserStr, mode: Mode) => attributes::fchmodat, Full;
    269 faccessat(dir: Fd, path: UserStr, mode: Mode) => stat::faccessat, Full;
    270 pselect6(
        count: i32, read: UserAddr, write: UserAddr, except: UserAddr, timeout: UserAddr,
        mask: UserAddr
    ) => select::pselect6, Full;
    271 ppoll(fds: UserAddr, count: u32, timeout: UserAddr, mask: UserAddr, mask_size: usize)
        => poll::ppoll, Full;
    275 splice(
        input: Fd, input_offset: UserAddr, output: Fd, output_offset: UserAddr, count: usize,
        flags: Flags
    ) => splice::splice, Partial, "by copying, a page or so at a time";
    276 tee(input: Fd, output: Fd, count: usize, flags: Flags)
        => splice::tee, Partial, "by copying, up to a page at a time";
    277 sync_file_range(fd: Fd, offset: i64, len: i64, flags: Flags)
        => extent::sync_file_range, Stub, "checked, without effect";
    278 vmsplice(fd: Fd, iov: UserAddr, count: usize, flags: Flags)
        => splice::vmsplice, Partial, "by copying";
    280 utimensat(dir: Fd, path: UserStr, times: UserAddr, flags: Flags)
        => attributes::utimensat, Full;
    281 epoll_pwait(
        epfd: Fd, events: UserAddr, max: i32, timeout: i32, mask: UserAddr, mask_size: usize
    ) => epoll::epoll_pwait, Full;
    282 signalfd(fd: i32, mask: UserAddr, size: usize) => signalfd::signalfd, Full;
    283 timerfd_create(clock: i32, flags: Flags)
        => events::timerfd_create, Partial, "the alarm clocks do not wake the host";
    284 eventfd(initial: u32) => events::eventfd, Full;
    285 fallocate(fd: Fd, mode: Flags, offset: i64, len: i64)
        => extent::fallocate, Partial, "what a file system cannot do is EOPNOTSUPP";
    286 timerfd_settime(fd: Fd, flags: Flags, new: UserAddr, old: UserAddr)
        => events::timerfd_settime, Full;
    287 timerfd_gettime(fd: Fd, now: UserAddr) => events::timerfd_gettime, Full;
    288 accept4(fd: Fd, addr: UserAddr, len: UserAddr, flags: Flags) => sockets::accept4, Full;
    289 signalfd4(fd: i32, mask: UserAddr, size: usize, flags: Flags) => signalfd::signalfd4, Full;
    290 eventfd2(initial: u32, flags: Flags) => events::eventfd2, Full;
    291 epoll_create1(flags: Flags) => epoll::epoll_create1, Full;
    292 dup3(old: Fd, new: Fd, flags: Flags) => close::dup3, Full;
    293 pipe2(fds: UserAddr, flags: Flags)
        => events::pipe2, Partial, "O_NOTIFICATION_PIPE is EINVAL";
    295 preadv(fd: Fd, iov: UserAddr, count: usize, offset: i64) => transfer::preadv, Full;
    296 pwritev(fd: Fd, iov: UserAddr, count: usize, offset: i64) => transfer::pwritev, Full;
    299 recvmmsg(fd: Fd, messages: UserAddr, count: u32, flags: Flags, timeout: UserAddr)
        => sockets::message::recvmmsg, Full;
    306 syncfs(fd: Fd) => extent::syncfs, Stub, "what was written is with the host at once";
    307 sendmmsg(fd: Fd, messages: UserAddr, count: u32, flags: Flags)
        => sockets::message::sendmmsg, Full;
    316 renameat2(old_dir: Fd, old: UserStr, new_dir: Fd, new: UserStr, flags: Flags)
        => names::renameat2, Partial, "RENAME_WHITEOUT is EINVAL";
    319 memfd_create(name: UserStr, flags: Flags)
        => memfd::memfd_create, Partial, "MFD_HUGETLB is EINVAL";
    326 copy_file_range(
        input: Fd, input_offset: UserAddr, output: Fd, output_offset: UserAddr, count: usize,
        flags: Flags
    ) => copy::copy_file_range, Full;
    327 preadv2(fd: Fd, iov: UserAddr, count: usize, offset: i64, high: i64, flags: Flags)
        => transfer::preadv2, Partial, "RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP";
    328 pwritev2(fd: Fd, iov: UserAddr, count: usize, offset: i64, high: i64, flags: Flags)
        => transfer::pwritev2, Partial, "RWF_ATOMIC and RWF_DONTCACHE are EOPNOTSUPP";
    332 statx(dir: Fd, path: UserStr, flags: Flags, mask: u32, buf: UserAddr)
        => stat::statx, Partial, "attributes: only STATX_ATTR_MOUNT_ROOT";
    436 close_range(first: u32, last: u32, flags: Flags) => close::close_range, Full;
    437 openat2(dir: Fd, path: UserStr, how: UserAddr, size: usize)
        => open::openat2, Partial, "RESOLVE_CACHED has no effect";
    439 faccessat2(dir: Fd, path: UserStr, mode: Mode, flags: Flags) => stat::faccessat2, Full;
    441 epoll_pwait2(
        epfd: Fd, events: UserAddr, max: i32, timeout: UserAddr, mask: UserAddr, mask_size: usize
    ) => epoll::epoll_pwait2, Full;
    452 fchmodat2(dir: Fd, path: UserStr, mode: Mode, flags: Flags) => attributes::fchmodat2, Full;
}
