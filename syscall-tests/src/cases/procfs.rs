//! proc(5): what programs read there about themselves and others.

use crate::calls::{self, getpid, open, pipe};
use crate::case::{Case, Outcome, child, in_child, reap};
use crate::sys::{PAGE, Region};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "proc";
    self_is_the_caller: "/proc/self and /proc/thread-self name the caller";
    exe_names_the_program: "/proc/self/exe is this program, also for a child";
    fd_lists_descriptors: "/proc/self/fd lists open descriptors and what they are";
    fd_links_of_anonymous_files: "pipes, sockets and eventfds have their own kind of link";
    fdinfo_has_position_and_flags: "/proc/self/fdinfo gives pos and flags";
    maps_has_the_mapping: "/proc/self/maps shows a mapping, its protection and its file";
    maps_names_the_stack: "/proc/self/maps names the stack";
    maps_names_the_vdso_there_is: "the vDSO of the auxiliary vector, if there is one, has a line";
    smaps_has_sizes: "/proc/self/smaps gives Size and Rss of a mapping";
    status_fields: "/proc/self/status has the usual fields";
    status_shows_signals: "/proc/self/status shows blocked, ignored, caught and pending signals";
    stat_fields: "/proc/self/stat has fifty-two fields, with pid, name, state and parent";
    statm_has_pages: "/proc/self/statm has seven numbers";
    cmdline_and_environ: "/proc/PID/cmdline and environ hold what execve was given";
    cwd_and_root: "/proc/self/cwd and root are links";
    comm_can_be_written: "/proc/self/comm sets the name";
    mounts_lists_root_and_proc: "/proc/self/mounts and mountinfo list the root and /proc";
    meminfo_and_cpuinfo: "/proc/meminfo, cpuinfo, uptime, loadavg and version parse";
    stat_has_cpu_lines: "/proc/stat has a line per processor and the boot time";
    pid_directories: "/proc lists processes; a missing one is ENOENT";
    zombie_state: "a zombie has state Z and no exe";
    task_of_other_process: "/proc/PID/task has the main thread";
    mem_reads_own_memory: "/proc/self/mem reads the caller's memory, EIO for holes";
    files_are_read_only: "proc files refuse creation and removal";
    sys_kernel_values: "/proc/sys/kernel has ostype, osrelease, hostname and pid_max";
    filesystems_lists_proc: "/proc/filesystems knows proc and tmpfs";
    oom_score_adj_is_kept: "/proc/self/oom_score_adj can be raised";
}

fn text(path: &str) -> Outcome<String> {
    Ok(std::fs::read_to_string(path)?)
}

fn link(path: &str) -> Outcome<String> {
    Ok(std::fs::read_link(path)?.to_string_lossy().into_owned())
}

/// The value of a `Name:\tvalue` line.
fn field(text: &str, name: &str) -> Outcome<String> {
    let prefix = format!("{name}:");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
    check!(value.is_some(), "a field {name}");
    Ok(value.unwrap_or_default().trim().to_owned())
}

fn self_is_the_caller(_: &mut Case) -> Outcome {
    check_eq!(link("/proc/self")?, getpid().to_string(), "/proc/self");
    let want = format!("{}/task/{}", getpid(), calls::gettid());
    check_eq!(link("/proc/thread-self")?, want, "/proc/thread-self");
    in_child(|| {
        check_eq!(link("/proc/self")?, getpid().to_string(), "/proc/self of the child");
        Ok(())
    })
}

fn exe_names_the_program(_: &mut Case) -> Outcome {
    let exe = link("/proc/self/exe")?;
    check!(exe.starts_with('/') && exe.contains("syscall-cases"), "the program, got {exe}");
    let fd = open("/proc/self/exe", libc::O_RDONLY, 0)?;
    let mut magic = [0u8; 4];
    calls::read(fd, &mut magic)?;
    check_eq!(&magic, b"\x7fELF", "first bytes");
    in_child(|| {
        check_eq!(link("/proc/self/exe")?, exe, "/proc/self/exe of the child");
        Ok(())
    })
}

fn fd_lists_descriptors(c: &mut Case) -> Outcome {
    let path = std::fs::canonicalize(c.file("f", b"")?)?;
    let fd = open(&path.to_string_lossy(), libc::O_RDONLY, 0)?;
    sys!(SYS_dup2, fd, 77)?;
    check_eq!(link("/proc/self/fd/77")?, path.to_string_lossy(), "link of 77");
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    check!(names.contains(&"77".to_owned()), "77 among {names:?}");
    check!(names.contains(&fd.to_string()), "{fd} among {names:?}");
    std::fs::remove_file(&path)?;
    check_eq!(link("/proc/self/fd/77")?, format!("{} (deleted)", path.display()), "deleted");
    check_errno!(calls::lstat("/proc/self/fd/78"), ENOENT);
    Ok(())
}

fn fd_links_of_anonymous_files(_: &mut Case) -> Outcome {
    let (r, _w) = pipe(0)?;
    let inode = calls::fstat(r)?.st_ino;
    check_eq!(link(&format!("/proc/self/fd/{r}"))?, format!("pipe:[{inode}]"), "a pipe");
    let socket = sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)? as i32;
    let inode = calls::fstat(socket)?.st_ino;
    let got = link(&format!("/proc/self/fd/{socket}"))?;
    check_eq!(got, format!("socket:[{inode}]"), "a socket");
    let event = sys!(SYS_eventfd2, 0, 0)?;
    check_eq!(link(&format!("/proc/self/fd/{event}"))?, "anon_inode:[eventfd]", "an eventfd");
    Ok(())
}

fn fdinfo_has_position_and_flags(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    calls::write(fd, b"12345")?;
    let info = text(&format!("/proc/self/fdinfo/{fd}"))?;
    check_eq!(field(&info, "pos")?, "5", "pos");
    let flags = i32::from_str_radix(&field(&info, "flags")?, 8).unwrap_or(-1);
    check_eq!(flags & libc::O_ACCMODE, libc::O_RDWR, "access mode in the flags");
    Ok(())
}

/// The line of /proc/self/maps that covers `address`: (permissions, offset, path).
fn mapping(address: usize) -> Outcome<(String, String, String)> {
    for line in text("/proc/self/maps")?.lines() {
        let mut words = line.split_whitespace();
        let range = words.next().unwrap_or_default();
        let (start, end) = range.split_once('-').unwrap_or_default();
        let parse = |s: &str| usize::from_str_radix(s, 16).unwrap_or(0);
        if (parse(start)..parse(end)).contains(&address) {
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (permissions, offset) = (word(), word());
            let _device_and_inode = (word(), word());
            return Ok((permissions, offset, word()));
        }
    }
    Ok(Default::default())
}

fn maps_has_the_mapping(c: &mut Case) -> Outcome {
    let region = Region::private(3 * PAGE)?;
    sys!(SYS_mprotect, region.base + PAGE, PAGE, libc::PROT_READ)?;
    check_eq!(mapping(region.base)?.0, "rw-p", "permissions");
    check_eq!(mapping(region.base + PAGE)?.0, "r--p", "permissions after mprotect");
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    check_eq!(mapping(region.base + PAGE)?.0, "", "permissions of a hole");
    let path = std::fs::canonicalize(c.file("f", &[1; 3 * PAGE])?)?;
    let fd = open(&path.to_string_lossy(), libc::O_RDONLY, 0)?;
    let (prot, offset) = (libc::PROT_READ | libc::PROT_EXEC, 2 * PAGE as i64);
    let file = match Region::map(0, PAGE, prot, libc::MAP_SHARED, fd, offset) {
        // A file system mounted noexec.
        Err(errno) if errno.0 == libc::EPERM => return crate::case::skip("noexec scratch space"),
        other => other?,
    };
    let (permissions, offset, name) = mapping(file.base)?;
    check_eq!((permissions.as_str(), offset.as_str()), ("r-xs", "00002000"), "the file's line");
    check_eq!(name, path.to_string_lossy(), "the file's name");
    Ok(())
}

fn maps_names_the_stack(_: &mut Case) -> Outcome {
    let here = 0u8;
    let stack = std::ptr::from_ref(&here) as usize;
    check_eq!(mapping(stack)?.2, "[stack]", "name of the stack");
    Ok(())
}

fn maps_names_the_vdso_there_is(_: &mut Case) -> Outcome {
    /// AT_SYSINFO_EHDR; a kernel may well have none (vdso=0).
    const VDSO: u64 = 33;
    let auxv = std::fs::read("/proc/self/auxv")?;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let vdso = auxv.chunks_exact(16).find(|entry| word(&entry[..8]) == VDSO);
    let Some(vdso) = vdso else {
        check!(!text("/proc/self/maps")?.contains("[vdso]"), "no [vdso] line without a vDSO");
        return Ok(());
    };
    check_eq!(mapping(word(&vdso[8..]) as usize)?.2, "[vdso]", "name of the vDSO");
    Ok(())
}

fn smaps_has_sizes(_: &mut Case) -> Outcome {
    let region = Region::private(8 * PAGE)?;
    sys!(SYS_mprotect, region.base, 8 * PAGE, libc::PROT_READ)?;
    let smaps = text("/proc/self/smaps")?;
    let start = smaps.find(&format!("{:x}-", region.base));
    check!(start.is_some(), "a line for the mapping");
    let entry = &smaps[start.unwrap_or(0)..];
    check_eq!(field(entry, "Size")?, "32 kB", "Size");
    check!(field(entry, "Rss")?.ends_with("kB"), "an Rss");
    Ok(())
}

fn status_fields(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, c"my name")?;
    let status = text("/proc/self/status")?;
    check_eq!(field(&status, "Name")?, "my name", "Name");
    check_eq!(field(&status, "Pid")?, getpid().to_string(), "Pid");
    check_eq!(field(&status, "Tgid")?, getpid().to_string(), "Tgid");
    check_eq!(field(&status, "PPid")?, calls::getppid().to_string(), "PPid");
    check_eq!(field(&status, "Threads")?, "1", "Threads");
    check_eq!(field(&status, "State")?, "R (running)", "State");
    check_eq!(field(&status, "Umask")?, "0022", "Umask");
    let uid = sys!(SYS_getuid)?;
    check_eq!(field(&status, "Uid")?, format!("{uid}\t{uid}\t{uid}\t{uid}"), "Uid");
    check!(field(&status, "VmRSS")?.ends_with("kB"), "a VmRSS");
    check!(field(&status, "VmSize")?.ends_with("kB"), "a VmSize");
    field(&status, "Cpus_allowed_list")?;
    Ok(())
}

fn on_signal(_: &sys::Delivery) {}

fn status_shows_signals(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGUSR1))?;
    sys::ignore(libc::SIGUSR2)?;
    sys::handle(libc::SIGHUP, 0, on_signal)?;
    calls::kill(getpid(), libc::SIGUSR1)?;
    let status = text("/proc/self/status")?;
    let hex = |signal: i32| format!("{:016x}", sys::bit(signal));
    check_eq!(field(&status, "SigBlk")?, hex(libc::SIGUSR1), "SigBlk");
    check_eq!(field(&status, "SigIgn")?, hex(libc::SIGUSR2), "SigIgn");
    check_eq!(field(&status, "SigCgt")?, hex(libc::SIGHUP), "SigCgt");
    check_eq!(field(&status, "ShdPnd")?, hex(libc::SIGUSR1), "ShdPnd");
    Ok(())
}

fn stat_fields(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, c"a ) (b")?;
    let stat = text("/proc/self/stat")?;
    let (head, tail) = stat.rsplit_once(") ").unwrap_or_default();
    check_eq!(head, format!("{} (a ) (b", getpid()), "pid and name");
    let fields: Vec<&str> = tail.split_whitespace().collect();
    check_eq!(fields.len(), 50, "fields after the name");
    check_eq!(fields[0], "R", "state");
    check_eq!(fields[1], calls::getppid().to_string(), "parent");
    check_eq!(fields[2], sys!(SYS_getpgid, 0)?.to_string(), "process group");
    check_eq!(fields[17], "1", "threads");
    check!(fields.iter().skip(1).all(|f| f.parse::<i128>().is_ok()), "numbers");
    Ok(())
}

fn statm_has_pages(_: &mut Case) -> Outcome {
    let statm = text("/proc/self/statm")?;
    let numbers: Vec<u64> = statm.split_whitespace().flat_map(str::parse).collect();
    check_eq!(numbers.len(), 7, "numbers");
    check!(numbers[0] > 0 && numbers[1] <= numbers[0], "size and resident, got {numbers:?}");
    Ok(())
}

fn cmdline_and_environ(_: &mut Case) -> Outcome {
    let me = link("/proc/self/exe")?;
    let (r, w) = pipe(0)?;
    let (hold, release) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        sys!(SYS_dup2, hold, 0)?;
        sys!(SYS_dup2, w, 1)?;
        calls::execve(&me, &["zero", "helper", "hold", ""], &["A=1", "B=2"])?;
        Ok(())
    })?;
    calls::read(r, &mut [0])?;
    check_eq!(text(&format!("/proc/{pid}/cmdline"))?, "zero\0helper\0hold\0\0", "cmdline");
    check_eq!(text(&format!("/proc/{pid}/environ"))?, "A=1\0B=2\0", "environ");
    calls::close(hold)?;
    calls::close(release)?;
    reap(pid)
}

fn cwd_and_root(c: &mut Case) -> Outcome {
    let dir = std::fs::canonicalize(c.dir()?)?.to_string_lossy().into_owned();
    calls::chdir(&dir)?;
    check_eq!(link("/proc/self/cwd")?, dir, "cwd");
    check_eq!(link("/proc/self/root")?, "/", "root");
    std::fs::write("f", b"x")?;
    check_eq!(calls::stat("/proc/self/cwd/f")?.st_size, 1, "size through the link");
    Ok(())
}

fn comm_can_be_written(_: &mut Case) -> Outcome {
    std::fs::write("/proc/self/comm", "written-name-longer")?;
    check_eq!(text("/proc/self/comm")?, "written-name-lo\n", "comm");
    Ok(())
}

fn mounts_lists_root_and_proc(_: &mut Case) -> Outcome {
    let mounts = text("/proc/self/mounts")?;
    let at = |path: &str| {
        {
            mounts.lines().filter_map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                (words.len() == 6 && words[1] == path).then(|| words[2].to_owned())
            })
        }
        .collect::<Vec<_>>()
    };
    let roots = at("/");
    check!(!roots.is_empty(), "a line for the root");
    check!(at("/proc").contains(&"proc".to_owned()), "a line for /proc");
    let info = text("/proc/self/mountinfo")?;
    check!(info.lines().all(|line| line.contains(" - ")), "a separator in every line");
    check_eq!(link("/proc/mounts")?, "self/mounts", "/proc/mounts");
    Ok(())
}

fn meminfo_and_cpuinfo(_: &mut Case) -> Outcome {
    let memory = text("/proc/meminfo")?;
    let kib = |name: &str| -> Outcome<u64> {
        let value = field(&memory, name)?;
        Ok(value.trim_end_matches(" kB").parse().unwrap_or(0))
    };
    check!(kib("MemTotal")? > 1024, "a MemTotal");
    check!(kib("MemAvailable")? <= kib("MemTotal")?, "less available than there is");
    kib("SwapTotal")?;
    let processors = text("/proc/cpuinfo")?;
    check!(processors.lines().any(|l| l.starts_with("processor\t: 0")), "processor 0");
    check!(processors.contains("\nflags\t\t: "), "a flags line");
    let uptime = text("/proc/uptime")?;
    check_eq!(uptime.split_whitespace().flat_map(str::parse::<f64>).count(), 2, "uptime");
    check_eq!(text("/proc/loadavg")?.split_whitespace().count(), 5, "words in loadavg");
    check!(text("/proc/version")?.starts_with("Linux version "), "a version");
    Ok(())
}

fn stat_has_cpu_lines(_: &mut Case) -> Outcome {
    let stat = text("/proc/stat")?;
    check!(stat.starts_with("cpu  "), "a line of sums first");
    check!(stat.contains("\ncpu0 "), "a line for processor 0");
    check!(stat.contains("\nbtime "), "the time of boot");
    Ok(())
}

fn pid_directories(_: &mut Case) -> Outcome {
    let pid = getpid().to_string();
    let mut found = false;
    for entry in std::fs::read_dir("/proc")? {
        found |= entry?.file_name().to_string_lossy() == pid;
    }
    check!(found, "the caller among the entries of /proc");
    check_errno!(calls::stat("/proc/4194303"), ENOENT);
    check_errno!(calls::stat(&format!("/proc/0{pid}")), ENOENT);
    Ok(())
}

fn zombie_state(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| 0)?;
    let mut info = [0i32; 32];
    sys!(SYS_waitid, libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT, 0)?;
    let status = text(&format!("/proc/{pid}/status"))?;
    check_eq!(field(&status, "State")?, "Z (zombie)", "State");
    check_eq!(text(&format!("/proc/{pid}/cmdline"))?, "", "cmdline");
    let fd = open(&format!("/proc/{pid}"), libc::O_PATH, 0)?;
    reap(pid)?;
    check_errno!(calls::stat(&format!("/proc/{pid}")), ENOENT);
    let gone = calls::openat(fd, "status", libc::O_RDONLY, 0);
    check!(
        matches!(gone, Err(sys::Errno(libc::ENOENT | libc::ESRCH))),
        "ENOENT or ESRCH for a process that is gone, got {gone:?}"
    );
    Ok(())
}

fn task_of_other_process(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        calls::close(w)?;
        calls::read(r, &mut [0])?;
        Ok(())
    })?;
    calls::stat(&format!("/proc/{pid}/task/{pid}/stat"))?;
    check_errno!(calls::stat(&format!("/proc/{pid}/task/{}", getpid())), ENOENT);
    calls::close(w)?;
    reap(pid)
}

fn mem_reads_own_memory(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    region.set(10, 99);
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    let fd = open("/proc/self/mem", libc::O_RDONLY, 0)?;
    let mut byte = [0u8];
    check_eq!(sys!(SYS_pread64, fd, &mut byte, 1, region.base + 10)?, 1, "pread");
    check_eq!(byte, [99], "byte");
    check_errno!(sys!(SYS_pread64, fd, &mut byte, 1, region.base + PAGE), EIO);
    Ok(())
}

fn files_are_read_only(_: &mut Case) -> Outcome {
    let created = open("/proc/self/new", libc::O_CREAT | libc::O_WRONLY, 0o600);
    check!(created.is_err(), "no new file in /proc/self");
    check!(calls::mkdir("/proc/new", 0o700).is_err(), "no new directory in /proc");
    check!(calls::unlink("/proc/self/stat").is_err(), "no removal in /proc/self");
    Ok(())
}

fn sys_kernel_values(_: &mut Case) -> Outcome {
    let mut name = sys::zeroed::<libc::utsname>();
    sys!(SYS_uname, &mut name)?;
    let string = |field: &[libc::c_char]| -> String {
        field.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect()
    };
    check_eq!(text("/proc/sys/kernel/ostype")?, "Linux\n", "ostype");
    let release = text("/proc/sys/kernel/osrelease")?;
    check_eq!(release.trim(), string(&name.release), "osrelease");
    let host = text("/proc/sys/kernel/hostname")?;
    check_eq!(host.trim(), string(&name.nodename), "hostname");
    let max: i32 = text("/proc/sys/kernel/pid_max")?.trim().parse().unwrap_or(0);
    check!(max > getpid(), "pid_max above the own pid, got {max}");
    Ok(())
}

fn filesystems_lists_proc(_: &mut Case) -> Outcome {
    let known = text("/proc/filesystems")?;
    check!(known.lines().any(|line| line == "nodev\tproc"), "proc");
    check!(known.lines().any(|line| line == "nodev\ttmpfs"), "tmpfs");
    Ok(())
}

fn oom_score_adj_is_kept(_: &mut Case) -> Outcome {
    std::fs::write("/proc/self/oom_score_adj", "500")?;
    check_eq!(text("/proc/self/oom_score_adj")?, "500\n", "oom_score_adj");
    let bad = std::fs::write("/proc/self/oom_score_adj", "5000");
    let number = bad.err().and_then(|error| error.raw_os_error());
    check_eq!(number, Some(libc::EINVAL), "errno of a value out of range");
    Ok(())
}
