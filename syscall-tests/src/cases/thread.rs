//! Threads: ids, shared state, robust lists, and what ends them.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::calls::{self, getpid, gettid, pipe, read};
use crate::case::{Case, Outcome, in_child, until};
use crate::sys::{BAD, PAGE, Region};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "thread";
    threads_share_memory_and_descriptors: "a descriptor opened by one thread is there for all";
    threads_have_own_signal_mask: "the signal mask belongs to the thread and is inherited";
    threads_share_signal_actions: "an action set by one thread is set for all";
    sixty_four_threads_count: "64 threads add under one mutex, and nothing is lost";
    tids_are_listed_in_proc: "/proc/self/task lists the threads";
    thread_name_is_its_own: "PR_SET_NAME names the thread, not the process";
    robust_list_marks_owner_died: "a robust futex of a dead thread gets FUTEX_OWNER_DIED";
    get_robust_list_gives_it_back: "get_robust_list gives what set_robust_list took";
    set_robust_list_wrong_size_is_einval: "set_robust_list checks the size";
    set_tid_address_gives_tid: "set_tid_address gives the caller's tid";
    kill_ends_all_threads: "SIGKILL ends sleeping threads too";
    exit_of_thread_is_not_seen_by_wait: "a thread that ends leaves nothing to wait for";
    membarrier_reaches_running_threads: "membarrier returns, though threads run or sleep";
    membarrier_registers: "membarrier answers its query, and private expedited needs registration";
    thread_cputime_is_its_own: "CLOCK_THREAD_CPUTIME_ID of an idle thread stays behind";
}

fn threads_share_memory_and_descriptors(_: &mut Case) -> Outcome {
    let opened = std::thread::spawn(|| pipe(0)).join();
    let Ok(Ok((r, w))) = opened else {
        return Err(crate::case::Failure::new("the thread could not make a pipe"));
    };
    let writer = std::thread::spawn(move || calls::write(w, b"ab"));
    let mut buffer = [0u8; 2];
    check_eq!(read(r, &mut buffer)?, 2, "bytes written by the thread");
    check!(writer.join().is_ok(), "the thread to end");
    Ok(())
}

fn threads_have_own_signal_mask(_: &mut Case) -> Outcome {
    let set = sys::bit(libc::SIGUSR1);
    sys::mask(libc::SIG_BLOCK, set)?;
    let inherited = std::thread::spawn(move || {
        let inherited = sys::mask(libc::SIG_SETMASK, 0);
        inherited.map(|mask| mask & sys::bit(libc::SIGUSR1))
    });
    check!(matches!(inherited.join(), Ok(Ok(mask)) if mask == set), "the mask to be inherited");
    check_eq!(sys::mask(libc::SIG_BLOCK, 0)?, set, "mask of the first thread");
    Ok(())
}

static HANDLER_TID: AtomicU32 = AtomicU32::new(0);

fn note_tid(_: &sys::Delivery) {
    HANDLER_TID.store(gettid() as u32, SeqCst);
}

fn threads_share_signal_actions(_: &mut Case) -> Outcome {
    let set = std::thread::spawn(|| sys::handle(libc::SIGUSR1, 0, note_tid)).join();
    check!(matches!(set, Ok(Ok(()))), "the thread to set the action");
    calls::kill(getpid(), libc::SIGUSR1)?;
    check_eq!(HANDLER_TID.load(SeqCst), gettid() as u32, "thread that ran the handler");
    Ok(())
}

fn sixty_four_threads_count(_: &mut Case) -> Outcome {
    check_eq!(crate::programs::count_with_threads(64, 500)?, 64 * 500, "sum");
    Ok(())
}

fn tids_are_listed_in_proc(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let (ids, send) = pipe(0)?;
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let _ = calls::write(send, &gettid().to_ne_bytes());
                let _ = read(r, &mut [0]);
            })
        })
        .collect();
    let mut want = vec![getpid()];
    for _ in 0..3 {
        let mut bytes = [0u8; 4];
        read(ids, &mut bytes)?;
        want.push(i32::from_ne_bytes(bytes));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        found.push(entry?.file_name().to_string_lossy().parse().unwrap_or(-1));
    }
    want.sort_unstable();
    found.sort_unstable();
    check_eq!(found, want, "/proc/self/task");
    calls::write(w, b"xyz")?;
    check!(threads.into_iter().all(|t| t.join().is_ok()), "the threads to end");
    Ok(())
}

fn thread_name_is_its_own(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, c"first")?;
    let name = std::thread::spawn(|| {
        sys!(SYS_prctl, libc::PR_SET_NAME, c"second")?;
        let mut name = [0u8; 16];
        sys!(SYS_prctl, libc::PR_GET_NAME, &mut name)?;
        Ok::<_, sys::Errno>(name)
    });
    check!(matches!(name.join(), Ok(Ok(n)) if n.starts_with(b"second\0")), "the thread's name");
    let comm = std::fs::read_to_string(format!("/proc/self/task/{}/comm", gettid()))?;
    check_eq!(comm, "first\n", "name of the first thread");
    Ok(())
}

/// The list head at offset 0 (next, offset to the futex, pending) with one entry at 64, whose lock
/// word is 16 bytes behind it.
fn robust_list(region: &Region) {
    region.word64(0).store((region.base + 64) as u64, SeqCst);
    region.word64(8).store(16, SeqCst);
    region.word64(16).store(0, SeqCst);
    region.word64(64).store(region.base as u64, SeqCst);
}

extern "C" fn die_holding(address: usize) -> i32 {
    let region = Region { base: address, len: PAGE };
    let _ = sys!(SYS_set_robust_list, address, 24);
    region.word(80).store(gettid() as u32 | libc::FUTEX_WAITERS, SeqCst);
    0
}

fn robust_list_marks_owner_died(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    robust_list(&region);
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD;
    let tid = sys::clone_on_stack(flags, 0, 0, die_holding, region.base)? as u32;
    let lock = region.word(80);
    until("the owner is marked dead", || {
        let value = lock.load(SeqCst);
        if value != 0 && value & libc::FUTEX_OWNER_DIED == 0 {
            let wait = libc::FUTEX_WAIT;
            let limit = calls::timespec(8_000_000_000);
            let _ = sys!(SYS_futex, region.base + 80, wait, value, &limit, 0, 0);
        }
        Ok(lock.load(SeqCst) & libc::FUTEX_OWNER_DIED != 0)
    })?;
    let value = lock.load(SeqCst);
    check_eq!(value & libc::FUTEX_TID_MASK & tid, 0, "owner left in the word");
    check_eq!(value, libc::FUTEX_OWNER_DIED | libc::FUTEX_WAITERS, "lock word");
    Ok(())
}

fn get_robust_list_gives_it_back(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    in_child(|| {
        // An empty list: the head points to itself.
        region.word64(0).store(region.base as u64, SeqCst);
        sys!(SYS_set_robust_list, region.base, 24)?;
        let (mut head, mut len) = (0usize, 0usize);
        sys!(SYS_get_robust_list, 0, &mut head, &mut len)?;
        check_eq!((head, len), (region.base, 24), "head and length");
        check_errno!(sys!(SYS_get_robust_list, 0x3f_ffff, &mut head, &mut len), ESRCH);
        Ok(())
    })
}

fn set_robust_list_wrong_size_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_set_robust_list, 0, 23), EINVAL);
    check_errno!(sys!(SYS_set_robust_list, 0, 0), EINVAL);
    Ok(())
}

fn set_tid_address_gives_tid(_: &mut Case) -> Outcome {
    in_child(|| {
        // Stored only; a bad address is not looked at.
        check_eq!(sys!(SYS_set_tid_address, BAD)?, gettid() as usize, "set_tid_address");
        Ok(())
    })
}

fn kill_ends_all_threads(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let (ready, started) = pipe(0)?;
    let pid = sys::fork(|| {
        for _ in 0..8 {
            std::thread::spawn(move || {
                let _ = calls::write(started, b"x");
                let _ = read(r, &mut [0]);
            });
        }
        let _ = sys!(SYS_pause);
        0
    })?;
    for _ in 0..8 {
        read(ready, &mut [0])?;
    }
    calls::kill(pid, libc::SIGKILL)?;
    check_eq!(calls::term_signal(calls::wait_for(pid)?), Some(libc::SIGKILL), "signal");
    calls::write(w, b"x")?;
    check_eq!(calls::ready(r, libc::POLLIN)?, libc::POLLIN, "events: nobody else reads it");
    Ok(())
}

fn exit_of_thread_is_not_seen_by_wait(_: &mut Case) -> Outcome {
    check!(std::thread::spawn(|| ()).join().is_ok(), "the thread to end");
    check_errno!(sys!(SYS_wait4, -1, 0, libc::WNOHANG | libc::__WALL, 0), ECHILD);
    Ok(())
}

fn membarrier_registers(_: &mut Case) -> Outcome {
    const QUERY: i32 = 0;
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
    let commands = sys!(SYS_membarrier, QUERY, 0, 0)?;
    check!(commands & 8 != 0, "private expedited among the commands {commands:#x}");
    check_errno!(sys!(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), EPERM);
    sys!(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0)?;
    sys!(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0)?;
    check_errno!(sys!(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
    check_errno!(sys!(SYS_membarrier, QUERY, 1 << 5, 0), EINVAL);
    Ok(())
}

fn thread_cputime_is_its_own(_: &mut Case) -> Outcome {
    until("this thread has used 2 ms", || {
        Ok(calls::now(libc::CLOCK_THREAD_CPUTIME_ID)? >= 2_000_000)
    })?;
    let mine = calls::now(libc::CLOCK_THREAD_CPUTIME_ID)?;
    let fresh = std::thread::spawn(|| calls::now(libc::CLOCK_THREAD_CPUTIME_ID)).join();
    let Ok(Ok(fresh)) = fresh else {
        return Err(crate::case::Failure::new("the thread could not read its clock"));
    };
    check!(fresh < mine, "less time for a fresh thread ({fresh}) than for this one ({mine})");
    let process = calls::now(libc::CLOCK_PROCESS_CPUTIME_ID)?;
    check!(process >= mine, "the process to have used at least as much");
    Ok(())
}

fn membarrier_reaches_running_threads(_: &mut Case) -> Outcome {
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
    sys!(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0)?;
    static STOP: AtomicU32 = AtomicU32::new(0);
    let (r, w) = pipe(0)?;
    let sleeper = std::thread::spawn(move || read(r, &mut [0]));
    let spinner = std::thread::spawn(|| {
        while STOP.load(SeqCst) == 0 {
            std::hint::spin_loop();
        }
    });
    let mut outcome = Ok(0);
    for _ in 0..50 {
        outcome = outcome.and_then(|_| sys!(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0));
    }
    STOP.store(1, SeqCst);
    calls::close(w)?;
    check!(spinner.join().is_ok() && sleeper.join().is_ok(), "both threads to end");
    check_eq!(outcome, Ok(0), "membarrier");
    Ok(())
}
