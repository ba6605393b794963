//! Allow-lists with a second table beside them: calls that libc or the standard library try and
//! can do without, which get an error number rather than the process its death.

use super::check;
use super::seccomp::{self, Action, Rule};
use std::io;

/// A call that is refused with an error.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The system call.
    pub nr: i64,
    /// What it is told.
    pub errno: i32,
    /// Who tries, and what happens then.
    pub reason: &'static str,
}

/// Installs both tables for all threads of the process, for ever; a call on neither kills the
/// process. Sets no_new_privs.
pub fn install(allowed: &[Rule], refused: &[Refusal]) -> io::Result<()> {
    let statements = compile(allowed, refused)?;
    super::rights::no_new_privs()?;
    let program = libc::sock_fprog {
        len: u16::try_from(statements.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: statements.as_ptr().cast_mut(),
    };
    // SAFETY: the program describes the live statements, which the kernel copies.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    })?;
    match result {
        0 => Ok(()),
        thread => Err(io::Error::other(format!("thread {thread} has another seccomp filter"))),
    }
}

/// The refusals come first; whatever is none of them falls through to the allow-list, which is
/// complete in itself.
fn compile(allowed: &[Rule], refused: &[Refusal]) -> io::Result<Vec<libc::sock_filter>> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// Offsets in struct seccomp_data.
    const NR: u32 = 0;
    const ARCH: u32 = 4;
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    let statement = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![
        statement(LOAD, 0, 0, ARCH),
        statement(EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        statement(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, 0, 0, NR),
    ];
    for refusal in refused {
        let nr = u32::try_from(refusal.nr).map_err(|_| io::ErrorKind::InvalidInput)?;
        let errno = refusal.errno as u32 & libc::SECCOMP_RET_DATA;
        program.push(statement(EQUAL, 0, 1, nr));
        program.push(statement(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno));
    }
    program.extend(seccomp::compile(allowed, Action::KillProcess)?.into_statements());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `what` in a copy of this process under the tables; gives its wait status.
    fn confined(allowed: &[Rule], refused: &[Refusal], what: fn() -> i32) -> i32 {
        let statements = compile(allowed, refused).unwrap();
        let program = libc::sock_fprog {
            len: statements.len() as u16,
            filter: statements.as_ptr().cast_mut(),
        };
        // SAFETY: the child only makes system calls on what was made before.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                let mode = libc::SECCOMP_SET_MODE_FILTER;
                libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program);
                libc::_exit(what());
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
            status
        }
    }

    const ALLOWED: &[Rule] = &[Rule::any(libc::SYS_exit_group, "the end")];

    #[test]
    fn a_refused_call_learns_its_error() {
        let refused = [
            Refusal { nr: libc::SYS_getuid, errno: libc::EPERM, reason: "" },
            Refusal { nr: libc::SYS_getpid, errno: libc::ENOSYS, reason: "" },
        ];
        let status = confined(ALLOWED, &refused, || {
            // SAFETY: no arguments.
            let result = unsafe { libc::syscall(libc::SYS_getpid) };
            // SAFETY: this thread's own errno.
            if result == -1 { unsafe { *libc::__errno_location() } } else { 0 }
        });
        assert!(libc::WIFEXITED(status));
        assert_eq!(libc::WEXITSTATUS(status), libc::ENOSYS);
    }

    #[test]
    fn any_other_call_kills() {
        let status = confined(ALLOWED, &[], || {
            // SAFETY: no arguments.
            unsafe { libc::syscall(libc::SYS_getpid) as i32 }
        });
        assert!(libc::WIFSIGNALED(status));
        assert_eq!(libc::WTERMSIG(status), libc::SIGSYS);
    }
}
