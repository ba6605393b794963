//! Processes, threads, signals, memory, time, credentials, the system.

use crate::args::{Flags, UserStr};
use crate::table::rows;
use crate::tasks::*;
use abi::UserAddr;
use vfs::Fd;

rows! {
    9 mmap(addr: UserAddr, len: u64, prot: Flags, flags: Flags, fd: Fd, offset: u64)
        => memory::mmap, Partial, "MAP_HUGETLB is ENOMEM; MAP_POPULATE and MAP_LOCKED prefault anonymous memory, 256 MiB at most";
    10 mprotect(addr: UserAddr, len: u64, prot: u64) => memory::mprotect, Full;
    11 munmap(addr: UserAddr, len: u64) => memory::munmap, Full;
    12 brk(addr: UserAddr) => memory::brk, Full;
    13 rt_sigaction(signal: i32, new: UserAddr, old: UserAddr, size: usize)
        => signal::rt_sigaction, Full;
    14 rt_sigprocmask(how: i32, set: UserAddr, old: UserAddr, size: usize)
        => signal::rt_sigprocmask, Full;
    15 rt_sigreturn() => signal::rt_sigreturn, Full;
    24 sched_yield() => schedule::sched_yield, Full;
    25 mremap(old: UserAddr, old_len: u64, new_len: u64, flags: Flags, new: UserAddr)
        => memory::mremap, Partial, "one mapping at a time";
    26 msync(addr: UserAddr, len: u64, flags: i32) => memory::msync, Full;
    27 mincore(addr: UserAddr, len: u64, vec: UserAddr) => memory::mincore, Full;
    28 madvise(addr: UserAddr, len: u64, advice: i32)
        => memory::madvise, Partial, "MADV_GUARD_INSTALL and _REMOVE are EINVAL; MADV_FREE frees at once";
    34 pause() => signal::pause, Full;
    35 nanosleep(time: UserAddr, rest: UserAddr) => time::nanosleep, Full;
    36 getitimer(which: i32, value: UserAddr) => timers::getitimer, Full;
    37 alarm(seconds: u32) => timers::alarm, Full;
    38 setitimer(which: i32, new: UserAddr, old: UserAddr) => timers::setitimer, Full;
    39 getpid() => process::getpid, Full;
    56 clone(flags: u64, stack: UserAddr, parent_tid: UserAddr, child_tid: UserAddr, tls: u64)
        => process::clone, Partial, "namespaces, CLONE_INTO_CGROUP, and CLONE_PIDFD for a thread are EINVAL";
    57 fork() => process::fork, Full;
    58 vfork() => process::vfork, Full;
    59 execve(path: UserStr, argv: UserAddr, envp: UserAddr) => exec::execve, Partial, "no file capabilities";
    60 exit(code: i32) => process::exit, Full;
    61 wait4(pid: i32, status: UserAddr, options: Flags, usage: UserAddr) => process::wait4, Full;
    62 kill(pid: i32, signal: i32) => send::kill, Full;
    63 uname(buf: UserAddr) => system::uname, Full;
    96 gettimeofday(time: UserAddr, zone: UserAddr) => time::gettimeofday, Full;
    97 getrlimit(resource: u32, limit: UserAddr) => limits::getrlimit, Full;
    98 getrusage(who: i32, usage: UserAddr)
        => limits::getrusage, Partial, "times, ru_maxrss (the largest seen at exit, exec and getrusage), ru_minflt (faults that the host did not deal with itself), ru_nvcsw; others are 0";
    99 sysinfo(info: UserAddr) => system::sysinfo, Partial, "loads are 0";
    100 times(buf: UserAddr) => limits::times, Full;
    102 getuid() => credentials::getuid, Full;
    103 syslog(action: i32, buf: UserAddr, len: i32) => system::syslog, Partial, "the log is empty";
    104 getgid() => credentials::getgid, Full;
    105 setuid(uid: u32) => credentials::setuid, Full;
    106 setgid(gid: u32) => credentials::setgid, Full;
    107 geteuid() => credentials::geteuid, Full;
    108 getegid() => credentials::getegid, Full;
    109 setpgid(pid: i32, pgid: i32) => process::setpgid, Full;
    110 getppid() => process::getppid, Full;
    111 getpgrp() => process::getpgrp, Full;
    112 setsid() => process::setsid, Full;
    113 setreuid(real: u32, effective: u32) => credentials::setreuid, Full;
    114 setregid(real: u32, effective: u32) => credentials::setregid, Full;
    115 getgroups(size: i32, list: UserAddr) => credentials::getgroups, Full;
    116 setgroups(size: i32, list: UserAddr) => credentials::setgroups, Full;
    117 setresuid(real: u32, effective: u32, saved: u32) => credentials::setresuid, Full;
    118 getresuid(real: UserAddr, effective: UserAddr, saved: UserAddr)
        => credentials::getresuid, Full;
    119 setresgid(real: u32, effective: u32, saved: u32) => credentials::setresgid, Full;
    120 getresgid(real: UserAddr, effective: UserAddr, saved: UserAddr)
        => credentials::getresgid, Full;
    121 getpgid(pid: i32) => process::getpgid, Full;
    122 setfsuid(uid: u32) => credentials::setfsuid, Full;
    123 setfsgid(gid: u32) => credentials::setfsgid, Full;
    124 getsid(pid: i32) => process::getsid, Full;
    125 capget(header: UserAddr, data: UserAddr) => credentials::capget, Full;
    126 capset(header: UserAddr, data: UserAddr) => credentials::capset, Full;
    127 rt_sigpending(set: UserAddr, size: usize) => signal::rt_sigpending, Full;
    128 rt_sigtimedwait(set: UserAddr, info: UserAddr, timeout: UserAddr, size: usize)
        => signal::rt_sigtimedwait, Full;
    129 rt_sigqueueinfo(pid: i32, signal: i32, info: UserAddr) => send::rt_sigqueueinfo, Full;
    130 rt_sigsuspend(set: UserAddr, size: usize) => signal::rt_sigsuspend, Full;
    131 sigaltstack(new: UserAddr, old: UserAddr) => signal::sigaltstack, Full;
    135 personality(persona: u32)
        => system::personality, Partial, "only ADDR_NO_RANDOMIZE has an effect";
    140 getpriority(which: u32, who: i32) => schedule::getpriority, Full;
    141 setpriority(which: u32, who: i32, nice: i32)
        => schedule::setpriority, Partial, "kept and inherited; the host schedules without regard to it";
    142 sched_setparam(tid: i32, param: UserAddr)
        => schedule::sched_setparam, Partial, "real-time priorities are EPERM";
    143 sched_getparam(tid: i32, param: UserAddr) => schedule::sched_getparam, Full;
    144 sched_setscheduler(tid: i32, policy: i32, param: UserAddr)
        => schedule::sched_setscheduler, Partial, "real-time policies are EPERM; others are kept, and the host schedules without regard to them";
    145 sched_getscheduler(tid: i32) => schedule::sched_getscheduler, Full;
    146 sched_get_priority_max(policy: i32) => schedule::sched_get_priority_max, Full;
    147 sched_get_priority_min(policy: i32) => schedule::sched_get_priority_min, Full;
    148 sched_rr_get_interval(tid: i32, time: UserAddr) => schedule::sched_rr_get_interval, Full;
    149 mlock(addr: UserAddr, len: u64) => memory::mlock, Partial, "state and limit only";
    150 munlock(addr: UserAddr, len: u64) => memory::munlock, Partial, "state and limit only";
    151 mlockall(flags: i32) => memory::mlockall, Partial, "state and limit only";
    152 munlockall() => memory::munlockall, Partial, "state and limit only";
    153 vhangup() => privileged::refused, Partial, "always EPERM";
    155 pivot_root(new_root: UserStr, put_old: UserStr)
        => privileged::pivot_root, Partial, "EPERM, or EINVAL as where the root cannot be exchanged";
    157 prctl(option: i32, arg2: u64, arg3: u64, arg4: u64, arg5: u64)
        => prctl::prctl, Partial, "names, death signal, capabilities, securebits, no_new_privs, subreaper, PR_SET_VMA; others are EINVAL";
    158 arch_prctl(code: i32, addr: u64) => system::arch_prctl, Partial, "FS and GS only";
    160 setrlimit(resource: u32, limit: UserAddr)
        => limits::setrlimit, Partial, "RLIMIT_RSS and RLIMIT_RTTIME are not enforced";
    163 acct() => privileged::refused, Partial, "always EPERM";
    164 settimeofday(time: UserAddr, zone: UserAddr)
        => time::settimeofday, Partial, "EPERM: the clock is the host's";
    167 swapon(path: UserAddr, flags: Flags) => privileged::swapon, Partial, "always EPERM";
    168 swapoff() => privileged::refused, Partial, "always EPERM";
    169 reboot(magic: u32, magic2: u32, command: u32)
        => privileged::reboot, Partial, "ends the sandbox; what is not a halt or a restart is EINVAL";
    170 sethostname(name: UserAddr, len: i32) => system::sethostname, Full;
    171 setdomainname(name: UserAddr, len: i32) => system::setdomainname, Full;
    172 iopl(level: u32) => privileged::iopl, Partial, "levels above 0 are EPERM";
    173 ioperm(from: u64, count: u64, on: i32)
        => privileged::ioperm, Partial, "EPERM, but to give up a port";
    175 init_module() => privileged::refused, Partial, "always EPERM";
    176 delete_module() => privileged::refused, Partial, "always EPERM";
    186 gettid() => process::gettid, Full;
    200 tkill(tid: i32, signal: i32) => send::tkill, Full;
    201 time(at: UserAddr) => time::time, Full;
    202 futex(addr: UserAddr, op: Flags, value: u32, timeout: u64, addr2: UserAddr, value3: u32)
        => futex::futex, Partial, "PI locks go to the longest waiting, as there are no priorities; FUTEX_FD is ENOSYS";
    203 sched_setaffinity(tid: i32, size: u32, mask: UserAddr)
        => schedule::sched_setaffinity, Partial, "kept and inherited; the host places threads without regard to it";
    204 sched_getaffinity(tid: i32, size: u32, mask: UserAddr)
        => schedule::sched_getaffinity, Full;
    218 set_tid_address(addr: UserAddr) => process::set_tid_address, Full;
    219 restart_syscall() => time::restart_syscall, Full;
    222 timer_create(clock: i32, event: UserAddr, id: UserAddr)
        => timers::timer_create, Partial, "CPU clocks of other processes are EINVAL";
    223 timer_settime(id: i32, flags: Flags, new: UserAddr, old: UserAddr)
        => timers::timer_settime, Full;
    224 timer_gettime(id: i32, setting: UserAddr) => timers::timer_gettime, Full;
    225 timer_getoverrun(id: i32) => timers::timer_getoverrun, Full;
    226 timer_delete(id: i32) => timers::timer_delete, Full;
    227 clock_settime(clock: i32, time: UserAddr)
        => time::clock_settime, Partial, "EPERM: the clock is the host's";
    228 clock_gettime(clock: i32, time: UserAddr) => time::clock_gettime, Full;
    229 clock_getres(clock: i32, time: UserAddr) => time::clock_getres, Full;
    230 clock_nanosleep(clock: i32, flags: Flags, time: UserAddr, rest: UserAddr)
        => time::clock_nanosleep, Partial, "CPU-time clocks are EOPNOTSUPP";
    231 exit_group(code: i32) => process::exit_group, Full;
    234 tgkill(tgid: i32, tid: i32, signal: i32) => send::tgkill, Full;
    246 kexec_load() => privileged::refused, Partial, "always EPERM";
    247 waitid(kind: i32, id: i32, info: UserAddr, options: Flags, usage: UserAddr)
        => process::waitid, Full;
    251 ioprio_set(which: i32, who: i32, priority: Flags)
        => schedule::ioprio_set, Partial, "kept and inherited, without effect";
    252 ioprio_get(which: i32, who: i32) => schedule::ioprio_get, Full;
    272 unshare(flags: Flags) => process::unshare, Partial, "namespaces are EPERM";
    273 set_robust_list(head: UserAddr, size: usize) => futex::set_robust_list, Full;
    274 get_robust_list(tid: i32, head: UserAddr, size: UserAddr) => futex::get_robust_list, Full;
    297 rt_tgsigqueueinfo(tgid: i32, tid: i32, signal: i32, info: UserAddr)
        => send::rt_tgsigqueueinfo, Full;
    302 prlimit64(pid: i32, resource: u32, new: UserAddr, old: UserAddr)
        => limits::prlimit64, Partial, "as setrlimit";
    309 getcpu(cpu: UserAddr, node: UserAddr) => schedule::getcpu, Full;
    310 process_vm_readv(pid: i32, local: UserAddr, local_count: u64, remote: UserAddr, remote_count: u64, flags: u64)
        => memory::process_vm_readv, Full;
    311 process_vm_writev(pid: i32, local: UserAddr, local_count: u64, remote: UserAddr, remote_count: u64, flags: u64)
        => memory::process_vm_writev, Full;
    312 kcmp(pid1: i32, pid2: i32, kind: i32, index1: u64, index2: u64)
        => kcmp::kcmp, Partial, "KCMP_EPOLL_TFD is EINVAL";
    313 finit_module() => privileged::refused, Partial, "always EPERM";
    317 seccomp(op: u32, flags: Flags, args: UserAddr)
        => credentials::seccomp, Partial, "EINVAL: guests cannot install filters yet";
    318 getrandom(buf: UserAddr, len: usize, flags: Flags) => system::getrandom, Full;
    320 kexec_file_load() => privileged::refused, Partial, "always EPERM";
    322 execveat(dir: Fd, path: UserStr, argv: UserAddr, envp: UserAddr, flags: Flags)
        => exec::execveat, Partial, "no file capabilities";
    324 membarrier(cmd: u32, flags: Flags, cpu: i32)
        => memory::membarrier, Partial, "the commands for rseq are EINVAL; SYNC_CORE is the host's way back to guest code";
    325 mlock2(addr: UserAddr, len: u64, flags: Flags)
        => memory::mlock2, Partial, "state and limit only";
    329 pkey_mprotect(addr: UserAddr, len: u64, prot: u64, key: i32)
        => memory::pkey_mprotect, Partial, "no protection keys: key -1 only";
    424 pidfd_send_signal(fd: Fd, signal: i32, info: UserAddr, flags: Flags)
        => pidfd::pidfd_send_signal, Partial, "PIDFD_SIGNAL_THREAD and _PROCESS_GROUP are EINVAL; a directory of /proc is EBADF";
    434 pidfd_open(pid: i32, flags: Flags)
        => pidfd::pidfd_open, Partial, "PIDFD_THREAD is EINVAL";
    435 clone3(args: UserAddr, size: usize)
        => process::clone3, Partial, "as clone; set_tid is EINVAL";
    438 pidfd_getfd(pidfd: Fd, target: Fd, flags: Flags) => pidfd::pidfd_getfd, Full;
    449 futex_waitv(entries: UserAddr, count: u32, flags: Flags, timeout: UserAddr, clock: i32)
        => futex2::futex_waitv, Partial, "words of a NUMA node are EINVAL";
    454 futex_wake(addr: UserAddr, mask: u64, count: i32, flags: Flags)
        => futex2::futex_wake, Partial, "words of a NUMA node are EINVAL";
    455 futex_wait(
        addr: UserAddr, value: u64, mask: u64, flags: Flags, timeout: UserAddr, clock: i32
    ) => futex2::futex_wait, Partial, "words of a NUMA node are EINVAL";
    456 futex_requeue(entries: UserAddr, flags: Flags, wake: i32, limit: i32)
        => futex2::futex_requeue, Partial, "words of a NUMA node are EINVAL";
}
