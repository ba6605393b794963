//! execve(2): what survives it, what it passes on, and its error numbers.

use crate::calls::{self, close, exit_code, fcntl, open, pipe, read, wait_for};
use crate::case::{Case, Outcome, child, in_child, reap, skip};
use crate::sys::{BAD, CStrings, vfork_then};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "exec";
    passes_arguments_and_environment: "argv and envp arrive as given, empty strings included";
    long_argument_arrives_whole: "one argument of 100 KiB arrives whole";
    empty_argv_gets_one_empty_string: "a NULL argv becomes one empty argument";
    missing_file_is_enoent: "a path that does not exist is ENOENT";
    empty_path_is_enoent: "an empty path is ENOENT";
    no_execute_bit_is_eacces: "a file without any execute bit is EACCES, even for root";
    directory_is_eacces: "a directory is EACCES";
    file_as_directory_is_enotdir: "a path through a regular file is ENOTDIR";
    symlink_loop_is_eloop: "a symbolic link to itself is ELOOP";
    garbage_is_enoexec: "an executable file of no known format is ENOEXEC";
    empty_file_is_enoexec: "an empty executable file is ENOEXEC";
    too_long_argument_is_e2big: "one argument above 128 KiB is E2BIG";
    bad_pointers_are_efault: "bad path and argv pointers are EFAULT";
    long_name_is_enametoolong: "a component above 255 bytes is ENAMETOOLONG";
    open_for_writing_is_etxtbsy: "a file open for writing is ETXTBSY";
    script_runs_interpreter: "#! runs the interpreter with its one argument and the script's path";
    script_with_missing_interpreter_is_enoent: "#! naming a missing interpreter is ENOENT";
    script_nesting_is_bounded: "a script interpreted by itself is ELOOP";
    cloexec_descriptors_are_closed: "FD_CLOEXEC descriptors close, others stay";
    handlers_are_reset_ignored_stay: "handlers become default, ignored signals and the mask stay";
    pending_signals_stay: "a pending signal is still pending after execve";
    pid_and_directory_stay: "pid, current directory and umask survive";
    execveat_empty_path_runs_descriptor: "execveat with AT_EMPTY_PATH runs an open file";
    execveat_relative_to_directory: "execveat resolves a name from a directory descriptor";
    execveat_nofollow_refuses_symlink: "AT_SYMLINK_NOFOLLOW on a symbolic link is ELOOP";
    other_threads_are_gone: "execve from a thread leaves one thread, with the leader's pid";
    vfork_child_can_exec: "a vfork child replaces itself, its parent goes on";
    failed_exec_leaves_process_intact: "memory and descriptors are untouched after an error";
}

/// The path of this program, which has helper subcommands for the other side of `execve`.
fn me() -> Outcome<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}

/// Execs the helper in a child with stdout on a pipe; what it printed, and its exit code.
fn helper(prepare: impl FnOnce() -> Outcome, path: &str, argv: &[&str]) -> Outcome<String> {
    helper_env(prepare, path, argv, &[])
}

fn helper_env(
    prepare: impl FnOnce() -> Outcome,
    path: &str,
    argv: &[&str],
    envp: &[&str],
) -> Outcome<String> {
    let (r, w) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        sys!(SYS_dup2, w, 1)?;
        prepare()?;
        calls::execve(path, argv, envp)?;
        Ok(())
    })?;
    close(w)?;
    let output = read_all(r)?;
    reap(pid)?;
    Ok(output)
}

fn read_all(fd: i32) -> Outcome<String> {
    let mut all = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        match read(fd, &mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&all).into_owned()),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

fn passes_arguments_and_environment(_: &mut Case) -> Outcome {
    let argv = ["zero", "helper", "echo", "", "two words", "\u{e9}"];
    let output = helper_env(|| Ok(()), &me()?, &argv, &["A=1", "EMPTY=", "B=x=y"])?;
    let want = "zero|helper|echo||two words|\u{e9}|\nA=1|EMPTY=|B=x=y|\n";
    check_eq!(output, want, "what the program was given");
    Ok(())
}

fn long_argument_arrives_whole(_: &mut Case) -> Outcome {
    let long = "x".repeat(100 << 10);
    let output = helper(|| Ok(()), &me()?, &["a", "helper", "echo", &long])?;
    check_eq!(output.len(), "a|helper|echo||\n\n".len() + long.len(), "bytes echoed");
    Ok(())
}

fn empty_argv_gets_one_empty_string(_: &mut Case) -> Outcome {
    // With no arguments the program can be told what to do by the environment only.
    let path = me()?;
    let output = {
        let (r, w) = pipe(libc::O_CLOEXEC)?;
        let pid = child(|| {
            sys!(SYS_dup2, w, 1)?;
            let envp = CStrings::new(&["SYSCALL_CASES_HELPER=echo"]);
            sys!(SYS_execve, &calls::cstr(&path), 0, envp.pointers())?;
            Ok(())
        })?;
        close(w)?;
        let output = read_all(r)?;
        reap(pid)?;
        output
    };
    check_eq!(output, "|\nSYSCALL_CASES_HELPER=echo|\n", "what the program was given");
    Ok(())
}

fn exec(path: &str) -> sys::SysResult {
    calls::execve(path, &["x"], &[])
}

fn missing_file_is_enoent(c: &mut Case) -> Outcome {
    check_errno!(exec(&c.path("none")?), ENOENT);
    Ok(())
}

fn empty_path_is_enoent(_: &mut Case) -> Outcome {
    check_errno!(exec(""), ENOENT);
    Ok(())
}

fn executable(c: &mut Case, leaf: &str, contents: &[u8]) -> Outcome<String> {
    let path = c.file(leaf, contents)?;
    calls::chmod(&path, 0o755)?;
    Ok(path)
}

fn no_execute_bit_is_eacces(c: &mut Case) -> Outcome {
    let path = c.file("f", b"#!/bin/sh\n")?;
    check_errno!(exec(&path), EACCES);
    Ok(())
}

fn directory_is_eacces(c: &mut Case) -> Outcome {
    check_errno!(exec(&c.dir()?), EACCES);
    Ok(())
}

fn file_as_directory_is_enotdir(c: &mut Case) -> Outcome {
    let path = executable(c, "f", b"x")?;
    check_errno!(exec(&format!("{path}/g")), ENOTDIR);
    check_errno!(exec(&format!("{path}/")), ENOTDIR);
    Ok(())
}

fn symlink_loop_is_eloop(c: &mut Case) -> Outcome {
    let path = c.path("loop")?;
    calls::symlink("loop", &path)?;
    check_errno!(exec(&path), ELOOP);
    Ok(())
}

fn garbage_is_enoexec(c: &mut Case) -> Outcome {
    let path = executable(c, "f", b"this is no program, but long enough to be looked at\n")?;
    check_errno!(exec(&path), ENOEXEC);
    Ok(())
}

fn empty_file_is_enoexec(c: &mut Case) -> Outcome {
    let path = executable(c, "f", b"")?;
    check_errno!(exec(&path), ENOEXEC);
    Ok(())
}

fn too_long_argument_is_e2big(_: &mut Case) -> Outcome {
    let path = me()?;
    let long = "x".repeat((128 << 10) + 1);
    check_errno!(calls::execve(&path, &["a", &long], &[]), E2BIG);
    check_errno!(calls::execve(&path, &["a"], &[&long]), E2BIG);
    Ok(())
}

fn bad_pointers_are_efault(_: &mut Case) -> Outcome {
    let path = me()?;
    check_errno!(sys!(SYS_execve, BAD, 0, 0), EFAULT);
    check_errno!(sys!(SYS_execve, &calls::cstr(&path), BAD, 0), EFAULT);
    let argv = [BAD, 0];
    check_errno!(sys!(SYS_execve, &calls::cstr(&path), &argv, 0), EFAULT);
    Ok(())
}

fn long_name_is_enametoolong(c: &mut Case) -> Outcome {
    let path = c.path(&"n".repeat(256))?;
    check_errno!(exec(&path), ENAMETOOLONG);
    Ok(())
}

fn open_for_writing_is_etxtbsy(c: &mut Case) -> Outcome {
    let path = executable(c, "f", b"#!/bin/true\n")?;
    let fd = open(&path, libc::O_WRONLY, 0)?;
    check_errno!(exec(&path), ETXTBSY);
    close(fd)?;
    Ok(())
}

fn script_runs_interpreter(c: &mut Case) -> Outcome {
    let me = me()?;
    if me.len() > 200 {
        return skip("the path of this program is too long for a #! line");
    }
    // Everything after the interpreter is one argument.
    let script = executable(c, "s", format!("#! {me} script-helper and more \n").as_bytes())?;
    let output = helper(|| Ok(()), &script, &["ignored", "one", "two"])?;
    let want = format!("{me}|script-helper and more|{script}|one|two|\n\n");
    check_eq!(output, want, "arguments of the interpreter");
    Ok(())
}

fn script_with_missing_interpreter_is_enoent(c: &mut Case) -> Outcome {
    let path = executable(c, "s", b"#!/no/such/interpreter\n")?;
    check_errno!(exec(&path), ENOENT);
    Ok(())
}

fn script_nesting_is_bounded(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let path = executable(c, "s", format!("#!{path}\n").as_bytes())?;
    check_errno!(exec(&path), ELOOP);
    Ok(())
}

fn cloexec_descriptors_are_closed(_: &mut Case) -> Outcome {
    let me = me()?;
    let prepare = || {
        let fd = open("/dev/null", libc::O_RDONLY, 0)?;
        sys!(SYS_dup2, fd, 100)?;
        sys!(SYS_dup3, fd, 101, libc::O_CLOEXEC)?;
        sys!(SYS_dup2, fd, 102)?;
        fcntl(102, libc::F_SETFD, i64::from(libc::FD_CLOEXEC))?;
        Ok(())
    };
    let output = helper(prepare, &me, &["x", "helper", "fds", "100", "101", "102"])?;
    check_eq!(output, "100 open\n101 closed\n102 closed\n", "descriptors after execve");
    Ok(())
}

fn on_signal(_: &sys::Delivery) {}

fn handlers_are_reset_ignored_stay(_: &mut Case) -> Outcome {
    let me = me()?;
    let prepare = || {
        sys::handle(libc::SIGUSR1, 0, on_signal)?;
        sys::ignore(libc::SIGUSR2)?;
        sys::mask(libc::SIG_SETMASK, sys::bit(libc::SIGHUP))?;
        Ok(())
    };
    let output = helper(prepare, &me, &["x", "helper", "signals", "10", "12", "1"])?;
    check_eq!(output, "10 default\n12 ignored\n1 default blocked\n", "actions after execve");
    Ok(())
}

fn pending_signals_stay(_: &mut Case) -> Outcome {
    let me = me()?;
    let prepare = || {
        sys::mask(libc::SIG_SETMASK, sys::bit(libc::SIGUSR1))?;
        calls::kill(calls::getpid(), libc::SIGUSR1)?;
        Ok(())
    };
    let output = helper(prepare, &me, &["x", "helper", "signals", "10"])?;
    check_eq!(output, "10 default blocked pending\n", "state after execve");
    Ok(())
}

fn pid_and_directory_stay(c: &mut Case) -> Outcome {
    let me = me()?;
    let dir = std::fs::canonicalize(c.dir()?)?.to_string_lossy().into_owned();
    let (r, w) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        sys!(SYS_dup2, w, 1)?;
        calls::chdir(&dir)?;
        sys!(SYS_umask, 0o123)?;
        calls::execve(&me, &["x", "helper", "whoami"], &[])?;
        Ok(())
    })?;
    close(w)?;
    check_eq!(read_all(r)?, format!("{pid} {dir} 123\n"), "pid, directory and umask");
    reap(pid)
}

fn execveat_empty_path_runs_descriptor(_: &mut Case) -> Outcome {
    let fd = open(&me()?, libc::O_PATH | libc::O_CLOEXEC, 0)?;
    let argv = CStrings::new(&["x", "helper", "exit", "33"]);
    let pid = child(|| {
        sys!(SYS_execveat, fd, c"", argv.pointers(), 0, libc::AT_EMPTY_PATH)?;
        Ok(())
    })?;
    check_eq!(exit_code(wait_for(pid)?), Some(33), "exit code");
    check_errno!(sys!(SYS_execveat, fd, c"", argv.pointers(), 0, 0), ENOENT);
    Ok(())
}

fn execveat_relative_to_directory(_: &mut Case) -> Outcome {
    let me = me()?;
    let (dir, leaf) = me.rsplit_once('/').unwrap_or((".", &me));
    let fd = open(dir, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let argv = CStrings::new(&["x", "helper", "exit", "34"]);
    let leaf = calls::cstr(leaf);
    let pid = child(|| {
        sys!(SYS_execveat, fd, &leaf, argv.pointers(), 0, 0)?;
        Ok(())
    })?;
    check_eq!(exit_code(wait_for(pid)?), Some(34), "exit code");
    check_errno!(sys!(SYS_execveat, 999, &leaf, argv.pointers(), 0, 0), EBADF);
    check_errno!(sys!(SYS_execveat, fd, &leaf, argv.pointers(), 0, 1), EINVAL);
    Ok(())
}

fn execveat_nofollow_refuses_symlink(c: &mut Case) -> Outcome {
    let path = c.path("link")?;
    calls::symlink(&me()?, &path)?;
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    check_errno!(sys!(SYS_execveat, -100, &calls::cstr(&path), 0, 0, flags), ELOOP);
    Ok(())
}

fn other_threads_are_gone(_: &mut Case) -> Outcome {
    let me = me()?;
    let (r, w) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        sys!(SYS_dup2, w, 1)?;
        std::thread::spawn(move || calls::execve(&me, &["x", "helper", "threads"], &[]));
        loop {
            sys!(SYS_pause)?;
        }
    })?;
    close(w)?;
    check_eq!(read_all(r)?, format!("{pid} {pid} 1\n"), "pid, tid and number of threads");
    reap(pid)
}

fn vfork_child_can_exec(_: &mut Case) -> Outcome {
    let path = calls::cstr(&me()?);
    let argv = CStrings::new(&["x", "helper", "exit", "21"]);
    let envp = CStrings::new::<&str>(&[]);
    let pid = vfork_then(
        libc::SYS_execve,
        path.as_ptr() as usize,
        argv.pointers().as_ptr() as usize,
        envp.pointers().as_ptr() as usize,
    )?;
    check_eq!(exit_code(wait_for(pid)?), Some(21), "exit code");
    Ok(())
}

fn failed_exec_leaves_process_intact(c: &mut Case) -> Outcome {
    let path = executable(c, "f", b"garbage")?;
    let fd = open("/dev/null", libc::O_RDONLY | libc::O_CLOEXEC, 0)?;
    in_child(|| {
        sys::handle(libc::SIGUSR1, 0, on_signal)?;
        check_errno!(exec(&path), ENOEXEC);
        check!(fcntl(fd, libc::F_GETFD, 0).is_ok(), "the descriptor to be open still");
        // Would kill us if the handler were gone.
        calls::kill(calls::getpid(), libc::SIGUSR1)?;
        Ok(())
    })
}
