//! Real programs do what they do natively: same output, same exit status.
//!
//! The native run is the yardstick (see `common::native`), so a line of a table is a command and
//! nothing else. `RUNSC_LONG=1` takes all of /usr where the default is a part of it.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::native::{Both, have, native, syscall_cases};
use common::{Caller, callers, finish, is_root, make_writable, skip};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// All scripts of a table, by this shell, for everybody.
fn all_same(shell: &str, table: &[&str]) {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        for script in table {
            let said = both.same_script(shell, script);
            assert!(!said.is_empty(), "a script that says nothing shows nothing: {script}");
        }
    }
}

fn is_long() -> bool {
    std::env::var_os("RUNSC_LONG").is_some()
}

#[test]
fn echo_and_a_pipeline() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        assert_eq!(both.same(&["/bin/echo", "hello"]), "hello\n");
        let pipeline = r#"for i in 1 2 3; do echo $i; done | sort -r | tr "\n" " ""#;
        assert_eq!(both.same_script("sh", pipeline), "3 2 1 ");
    }
}

#[test]
fn ls_of_the_root_directory() {
    // Not compared: /dev, /proc and /sys are the sandbox's own, and so is their part in the total;
    // in /run and /tmp others make and remove files meanwhile.
    let differ = ["dev", "proc", "sys", "run", "tmp"];
    let lines = |text: &str| -> Vec<String> {
        let is_compared = |line: &&str| {
            let name = line.split_whitespace().last().unwrap_or_default();
            !line.starts_with("total ") && !differ.contains(&name)
        };
        // Columns are as wide as the widest line needs, also of those that are not compared.
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().filter(is_compared).map(squeeze).collect()
    };
    for caller in callers() {
        let both = Both::new(caller, &["--root", "/"]);
        let command = ["ls", "-l", "/"];
        let (native, inside) = (both.native(&command), both.inside(&command));
        assert_eq!((inside.0, &*inside.2), (native.0, &*native.2));
        assert_eq!(lines(&inside.1), lines(&native.1));
        assert!(lines(&inside.1).len() > 4, "{}", inside.1);
        let count = |text: &str| text.lines().count();
        assert_eq!(count(&inside.1), count(&native.1), "{}", inside.1);
    }
}

/// Permissions, offset, length and path of each file mapping, in order. Neighbours that continue
/// each other count as one: when a kernel joins them is its own affair.
fn file_mappings(maps: &str) -> Vec<(String, u64, u64, String)> {
    let mut found: Vec<(String, u64, u64, String)> = Vec::new();
    let mut last_end = 0;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = words[0].split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (number(start), number(end));
        assert!(last_end <= start && start < end && (start | end) % 4096 == 0, "{line}");
        let adjoins = std::mem::replace(&mut last_end, end) == start;
        assert!(words[1].len() == 4 && matches!(&words[1][3..], "p" | "s"), "{line}");
        let offset = number(words[2]);
        assert!(words[3].contains(':') && words[4].parse::<u64>().is_ok(), "{line}");
        let Some(path) = words.get(5).filter(|path| path.starts_with('/')) else { continue };
        match found.last_mut() {
            Some((rights, first, length, of))
                if adjoins && rights == words[1] && *first + *length == offset && of == path =>
            {
                *length += end - start;
            }
            _ => found.push((words[1].to_owned(), offset, end - start, (*path).to_owned())),
        }
    }
    found
}

#[test]
fn maps_of_a_process() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let command = ["cat", "/proc/self/maps"];
        let (native, inside) = (both.native(&command), both.inside(&command));
        assert_eq!((inside.0, &*inside.2), (0, ""));
        for name in ["[heap]", "[stack]"] {
            assert!(inside.1.lines().any(|line| line.ends_with(name)), "{}", inside.1);
        }
        let mappings = file_mappings(&inside.1);
        assert!(mappings.iter().any(|mapping| mapping.3.ends_with("/cat")), "{}", inside.1);
        assert_eq!(mappings, file_mappings(&native.1));
    }
}

#[test]
fn status_of_a_process() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let names = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split_once(':').unwrap().0.to_owned()).collect()
        };
        let command = ["cat", "/proc/self/status"];
        let (native, inside) = (both.native(&command), both.inside(&command));
        assert_eq!((inside.0, &*inside.2), (0, ""));
        // Kernels add fields as they go: what both have stands in the same order, and it is nearly
        // all there is.
        let (native, inside) = (names(&native.1), names(&inside.1));
        let common = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter().filter(|name| other.contains(name)).cloned().collect()
        };
        assert_eq!(common(&inside, &native), common(&native, &inside));
        let missing: Vec<_> = native.iter().filter(|name| !inside.contains(name)).collect();
        assert!(missing.len() <= 5, "{missing:?}");
        let extra: Vec<_> = inside.iter().filter(|name| !native.contains(name)).collect();
        assert!(extra.len() <= 5, "{extra:?}");
        let mine = "grep -E '^(Name|Umask|State|Uid|Gid|Threads|NoNewPrivs):' /proc/self/status";
        both.same_script("sh", mine);
    }
}

#[test]
fn mount_tells_what_is_mounted() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let (status, output, errors) = both.inside(&["mount"]);
        assert_eq!((status, &*errors), (0, ""));
        let mut places = Vec::new();
        for line in output.lines() {
            // tmpfs on /tmp type tmpfs (rw,...)
            let words: Vec<&str> = line.split(' ').collect();
            assert!(words.len() == 6 && words[1] == "on" && words[3] == "type", "{line}");
            assert!(words[5].starts_with("(r") && words[5].ends_with(')'), "{line}");
            places.push(words[2].to_owned());
        }
        for place in ["/", "/proc", "/dev", "/tmp", "/usr"] {
            assert!(places.iter().any(|other| other == place), "no {place}: {output}");
        }
        let table = both.inside(&["cut", "-d", " ", "-f2", "/proc/self/mounts"]).1;
        assert_eq!(table.lines().collect::<Vec<_>>(), places);
    }
}

#[test]
fn ps_shows_itself_and_nobody_else() {
    if !have(&["ps"]) {
        return;
    }
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let (status, output, errors) = both.inside(&["ps"]);
        assert_eq!((status, &*errors), (0, ""));
        let lines: Vec<Vec<&str>> =
            output.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["PID", "TTY", "TIME", "CMD"]);
        assert!(lines.len() == 2 && lines[1][3] == "ps", "{output}");
        both.same_script("sh", "ps -o comm=,args=,user=,nlwp= -p $$; :");
        let all = both.inside(&["ps", "-e", "-o", "comm="]).1;
        assert_eq!(all.lines().last(), Some("ps"), "{all}");
        assert!(all.lines().count() <= 2, "{all}");
    }
}

#[test]
fn bash_scripts() {
    all_same("bash", BASH);
}

const BASH: &[&str] = &[
    // Functions, recursion, arrays.
    "fib() { local n=$1; ((n < 2)) && echo $n || echo $(($(fib $((n-1))) + $(fib $((n-2))))); }; fib 8",
    "f() { local a=(\"$@\"); echo ${#a[@]} \"${a[1]}\"; return 3; }; f 1 'two words' 3; echo $?",
    "declare -A m=([x]=1 [y]=2); for k in x y; do echo $k=${m[$k]}; done; echo ${!m[@]} | wc -w",
    // Subshells.
    "x=1; (x=2; echo $x; exit 5); echo $? $x; y=$(x=3; echo $x); echo $y $x; (cd /; pwd); pwd",
    "echo $BASH_SUBSHELL $( (echo $BASH_SUBSHELL) ); false | true | (exit 4); echo ${PIPESTATUS[*]}",
    "set -o pipefail; seq 100000 | head -1; echo $?",
    // Here-documents.
    "name=world; cat <<A; cat <<'B'; cat <<-C; cat <<<\"here $name\"\nhello $name $((1+1))\nA\nno $name\nB\n\ttabs\n\tC",
    "while read -r a b; do echo \"$b $a\"; done <<E\n1 one\n2 two\nE",
    // Jobs.
    "(exit 3) & a=$!; (exit 4) & b=$!; wait $a; echo $?; wait $b; echo $?; wait; echo $?",
    "for i in 1 2 3 4; do (echo $i >$i) & done; wait; cat 1 2 3 4; jobs; echo done",
    "sleep 1000 & kill $!; wait $! 2>/dev/null; echo $?; kill -0 $! 2>/dev/null; echo $?",
    "(exit 7) & wait -n; echo $?; set -m; sleep 1000 & kill -KILL %1; wait %1 2>/dev/null; echo $?",
    "coproc cat; echo through >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x; kill $COPROC_PID; wait 2>/dev/null; :",
    // Traps and signals.
    "trap 'echo bye $?' EXIT; echo hi; exit 6",
    "trap 'echo usr1' USR1; kill -USR1 $$; trap - USR1; (kill -USR1 $BASHPID); echo $?",
    "trap '' TERM; kill $$; echo alive; (trap - TERM; sh -c 'kill $$'; echo $?); trap -p",
    "trap 'echo child' CHLD; set -m; (exit 1); wait; echo end; trap 'echo err' ERR; false; :",
    "f() { trap 'echo ret' RETURN; echo in; }; f; trap 'echo term; exit 9' TERM; (kill -TERM $$); wait; sleep 1000 & wait",
    // Files and descriptors.
    "exec 3<>f; echo one >&3; echo two >>f; cat f; exec 3>&-; [ -s f ] && [ ! -e g ] && stat -c '%a %s' f",
    "mkdir -p a/b; ln -s a/b l; mkfifo p; echo x >a/b/c; echo */ l/* $(readlink l); (cat p & echo piped >p; wait)",
    "diff <(seq 3) <(seq 2); echo $?; paste <(seq 3) <(seq 4 6); tee >(wc -l >n) <<<line; until [ -s n ]; do :; done; cat n",
    "umask 027; touch u; mkdir v; stat -c %A u v; ulimit -n; ulimit -s; cd /proc/self && basename $PWD",
    "printf '%q %05d %x %s\\n' 'a b' 42 255 end; [[ foo123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[2]}",
    "cat /no/such; echo $?; no-such-command; echo $?; ./; echo $?; exec /no/such/program",
    "set -C; echo 1 >f; echo 2 >f; echo $?; mv f g && cp -p g h && cmp g h && rm g h && ls -A | wc -l",
    "printf 'b 2\\na 10\\n' | sort -k2n | awk '{s+=$2} END {print NR, s}'; seq 20 | xargs -n 7 -P 2 echo | wc -l",
    "echo first; kill -SEGV $$; echo not reached",
];

#[test]
fn every_exit_status_and_fatal_signal_of_a_child() {
    all_same(
        "bash",
        &[
            "for i in {0..255}; do (exit $i); echo -n \"$? \"; done",
            "for s in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM; do \
             sh -c \"kill -$s \\$\\$\" 2>/dev/null; echo -n \"$s $? \"; done",
        ],
    );
}

#[test]
fn find_counts_the_files() {
    let top = if is_long() { "/usr" } else { "/usr/share" };
    let said = |caller| {
        Both::new(caller, &[]).same_script("sh", &format!("find {top} -type f 2>/dev/null | wc -l"))
    };
    for caller in callers() {
        assert!(said(caller).trim().parse::<u32>().unwrap() > 100);
    }
}

#[test]
fn tar_of_a_tree() {
    all_same("sh", &["tar c /usr/share/doc 2>/dev/null | sha256sum"]);
}

#[test]
fn python_programs() {
    if !have(&["python3"]) {
        return;
    }
    for caller in callers() {
        let both = Both::new(caller, &[]);
        for program in PYTHON {
            let said = both.same(&["python3", "-c", program]);
            assert!(!said.is_empty(), "a program that says nothing shows nothing: {program}");
        }
    }
}

const PYTHON: &[&str] = &[
    "import subprocess as s
print(s.check_output(['echo', 'x']), s.run('exit 3', shell=True).returncode)
p = s.Popen(['tr', 'a-z', 'A-Z'], stdin=s.PIPE, stdout=s.PIPE, text=True)
print(p.communicate('hello'), p.returncode)
p = s.Popen(['sleep', '1000']); p.terminate(); print(p.wait())
try: s.run(['sleep', '1000'], timeout=0.01)
except s.TimeoutExpired as e: print('timeout', e.cmd)
try: s.run(['/no/such'])
except OSError as e: print(e.errno, e.filename)",
    "import threading, queue
total, lock, q = 0, threading.Lock(), queue.Queue()
def work():
    global total
    for _ in range(500):
        with lock: total += 1
    q.put(1)
ts = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]; print(total, q.qsize())
e, b = threading.Event(), threading.Barrier(3)
def meet(): b.wait(); e.wait()
ts = [threading.Thread(target=meet) for _ in range(2)]
[t.start() for t in ts]; b.wait(); e.set(); [t.join() for t in ts]; print(e.wait(0.01), lock.acquire(timeout=1))",
    "import tempfile, os
with tempfile.TemporaryDirectory() as d:
    p = os.path.join(d, 'x')
    open(p, 'w').write('data'); print(os.listdir(d), oct(os.stat(d).st_mode), open(p).read())
print(os.path.exists(d))
with tempfile.NamedTemporaryFile() as f: f.write(b'12345'); f.flush(); print(os.stat(f.name).st_size)
with tempfile.TemporaryFile() as f: f.write(b'abc'); f.seek(1); print(f.read(), os.fstat(f.fileno()).st_nlink)
fd, p = tempfile.mkstemp(dir='.'); print(oct(os.fstat(fd).st_mode)); os.unlink(p)",
    "import multiprocessing as m, os
def work(q, v, c):
    with v.get_lock(): v.value += 1
    q.put(os.getpid() != os.getppid()); c.send('hi')
if __name__ == '__main__':
    q, v = m.Queue(), m.Value('i', 0); a, b = m.Pipe(duplex=False)
    ps = [m.Process(target=work, args=(q, v, b)) for _ in range(4)]
    [p.start() for p in ps]; print([q.get() for _ in ps], [a.recv() for _ in ps]); [p.join() for p in ps]
    print(v.value, [p.exitcode for p in ps])
    with m.Pool(3) as pool: print(pool.map(abs, range(-5, 0)), pool.apply(pow, (2, 10)))
    s = m.Semaphore(2); s.acquire(); print(s.acquire(False), s.acquire(False))",
    "import signal, os, time, select
got = []
signal.signal(signal.SIGALRM, lambda *a: got.append('alrm'))
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause(); print(got)
r, w = os.pipe(); print(select.select([r], [w], [], 0)[:2] == ([], [w])); os.write(w, b'x')
e = select.epoll(); e.register(r, select.EPOLLIN); print(len(e.poll(1)), os.read(r, 9))
pid = os.fork()
if pid == 0: os._exit(17)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(signal.sigtimedwait([signal.SIGUSR1], 0.01), time.monotonic() > 0)",
    // A signal to a process group that is forking just then spares none of it: all have the pipe.
    "import os, select, signal
left = 0
for i in range(60):
    r, w = os.pipe()
    group = os.fork()
    if group == 0:
        os.setpgid(0, 0)
        while True:
            child = os.fork()
            if child == 0: signal.pause()
            os.write(w, b'x'); os.kill(child, 9); os.waitpid(child, 0)
    os.close(w)
    for _ in range(1 + i % 3): os.read(r, 1)
    os.killpg(group, signal.SIGTERM); os.waitpid(group, 0)
    while select.select([r], [], [], 5)[0]:
        if not os.read(r, 100): break
    else: left += 1; os.killpg(group, 9)
    os.close(r)
print('left', left)",
    "import os, mmap, fcntl, errno
fd = os.open('f', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8192)
m = mmap.mmap(fd, 8192); m[4096:4100] = b'page'; m.flush(); print(os.pread(fd, 4, 4096))
fcntl.flock(fd, fcntl.LOCK_EX); g = os.open('f', os.O_RDWR)
try: fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as e: print(errno.errorcode[e.errno])
os.symlink('f', 'l'); os.link('f', 'h'); print(os.stat('l').st_nlink, os.readlink('l'), sorted(os.listdir('.')))
os.rename('h', 'k'); os.utime('k', (1, 2)); print(os.stat('f').st_mtime, os.path.exists('h'))
for bad in ('f/x', 'nope/x', 'x' * 300):
    try: os.stat(bad)
    except OSError as e: print(errno.errorcode[e.errno])",
    "import sqlite3
c = sqlite3.connect('db'); c.execute('create table t (x)')
c.executemany('insert into t values (?)', [(i,) for i in range(1000)]); c.commit()
print(c.execute('select sum(x), count(*) from t').fetchone()); c.close()
print(sqlite3.connect('db').execute('pragma integrity_check').fetchone())",
];

#[test]
fn perl_programs() {
    if !have(&["perl"]) {
        return;
    }
    let table: [&str; 4] = [
        "print join(',', map { $_ * 2 } grep { $_ % 2 } 1..9), qq(\\n); exit 3",
        "$| = 1; my $p = fork; if (!$p) { print qq(child\\n); exit 5 } waitpid($p, 0); print $? >> 8, qq(\\n)",
        "open(F, '>', 'f'); print F qq(b\\na\\n); close F; print `sort f`; print -s 'f', ' ', $? , qq(\\n); die qq(dead\\n)",
        "$| = 1; $SIG{USR1} = sub { print qq(got\\n) }; kill USR1 => $$; printf(qq(%s %s\\n), scalar(gmtime(0)), $^O); kill TERM => $$",
    ];
    for caller in callers() {
        let both = Both::new(caller, &[]);
        for program in table {
            assert!(!both.same(&["perl", "-e", program]).is_empty());
        }
    }
}

const SUM_C: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static long sum;
static void *add(void *n) {
    for (long i = 0; i < (long)n; i++) { pthread_mutex_lock(&m); sum += i; pthread_mutex_unlock(&m); }
    return 0;
}
int main(int argc, char **argv) {
    pthread_t t[4];
    for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, add, (void *)1000L);
    for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
    char *p = malloc(1 << 24); p[1 << 20] = 1;
    printf("%d %ld %s\n", argc, sum, getenv("TZ"));
    return 42;
}
"#;

#[test]
fn gcc_compiles_and_what_it_made_runs_dynamic_and_static() {
    if !have(&["gcc"]) {
        return;
    }
    let fill = |dir: &Path| fs::write(dir.join("sum.c"), SUM_C).unwrap();
    for caller in callers() {
        let both = Both::new(caller, &[]).filled(&fill);
        for options in ["", "-O2 -static", "-no-pie -g", "-static-pie"] {
            let script = format!(
                "gcc {options} -pthread -o sum sum.c && ./sum a b; echo $?; sha256sum <sum; ls"
            );
            assert!(both.same_script("sh", &script).starts_with("3 1998000 UTC\n42\n"));
        }
    }
}

#[test]
fn git_commits_have_the_same_hashes() {
    if !have(&["git"]) {
        return;
    }
    all_same(
        "sh",
        &["export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=c \
             GIT_COMMITTER_EMAIL=c@d GIT_AUTHOR_DATE='1700000000 +0000' \
             GIT_COMMITTER_DATE='1700000000 +0000' GIT_CONFIG_NOSYSTEM=1
         mkdir repo && cd repo && git init -q -b main . && echo one >f && git add f &&
         git commit -qm first && git switch -qc side && echo two >>f && mkdir d && echo x >d/x &&
         git add . && git commit -qm second && git switch -q main && echo three >g &&
         git add g && git commit -qm third && git merge -q -m merge side &&
         git log --stat --format='%H %an %ad %s' && git status --short && git gc -q &&
         git fsck --strict && git diff HEAD~1 --stat && git rev-parse HEAD^{tree} && ls -A"],
    );
}

#[test]
fn threads_forks_and_a_sparse_gigabyte() {
    let dir = common::shared_dir("cases");
    let Some(cases) = syscall_cases(&dir) else { return };
    let cases = cases.to_str().unwrap();
    for caller in callers() {
        let both = Both::new(caller, &[]);
        for arguments in [&["threads64"][..], &["forks", "1000"], &["sparse-gib"]] {
            let said = both.same(&[&[cases], arguments].concat());
            assert!(said.starts_with(arguments[0]), "{said}");
        }
    }
}

#[test]
fn programs_outside_the_system_directories() {
    let fill = |dir: &Path| {
        for (name, text) in [
            ("script", "#!/bin/sh\necho \"$0 $#\" \"$@\"; exit 4\n"),
            ("option", "#!/bin/echo -n  two words \n"),
            ("by-env", "#!/usr/bin/env bash\necho $BASH_SUBSHELL $1\n"),
            ("nested", "#!./script\n"),
        ] {
            fs::write(dir.join(name), text).unwrap();
            common::make_executable(&dir.join(name));
        }
        fs::copy("/bin/echo", dir.join("my-echo")).unwrap();
        std::os::unix::fs::symlink("my-echo", dir.join("link")).unwrap();
        fs::create_dir(dir.join("sub")).unwrap();
    };
    for caller in callers() {
        let both = Both::new(caller, &[]).filled(&fill);
        for name in ["script", "option", "by-env", "nested", "my-echo", "link", "sub/../script"] {
            let relative = format!("./{name}");
            let absolute = both.dir().join(name);
            for path in [&*relative, absolute.to_str().unwrap()] {
                let said = both.same(&[path, "a b", "", "c"]);
                assert!(!said.is_empty(), "{path}");
            }
        }
    }
}

/// All files below a directory: permissions, owner, times if asked for, contents.
fn snapshot(dir: &Path, with_times: bool) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        let metadata = fs::symlink_metadata(&next).unwrap();
        let kind = metadata.file_type();
        let content = match () {
            () if kind.is_symlink() => fs::read_link(&next).unwrap().display().to_string(),
            () if kind.is_file() => fs::read_to_string(&next).unwrap(),
            () => String::new(),
        };
        let times = with_times.then(|| (metadata.mtime(), metadata.mtime_nsec(), metadata.ino()));
        let line = format!("{:o} {} {times:?} {content}", metadata.mode(), metadata.uid());
        found.insert(next.strip_prefix(dir).unwrap().display().to_string(), line);
        if kind.is_dir() {
            open.extend(fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn changes_stay_in_memory_unless_they_are_let_through() {
    let script = "echo changed >old; echo more >>long; : >empty; mkdir -p d/e; echo x >d/e/f; \
        rm gone; mv name renamed; ln -s old sym; ln long hard; chmod 600 new 2>/dev/null; \
        echo new >new; chmod 640 new; rmdir dir; mkfifo pipe; rm pipe; truncate -s 3 cut; \
        touch -d @1000 cut; cp long copy; ls -A; cat old long cut; exit 5";
    let names = ["old", "long", "empty", "gone", "name", "cut"];
    let fill = |dir: &Path| {
        for name in names {
            fs::write(dir.join(name), format!("the old content of {name}\n")).unwrap();
            make_writable(&dir.join(name));
        }
        fs::create_dir(dir.join("dir")).unwrap();
        fs::set_permissions(dir.join("dir"), fs::Permissions::from_mode(0o777)).unwrap();
        // Hard links are for the owner or who may write: an ordinary user's own.
        if is_root() {
            let nobody = Some(common::NOBODY);
            std::os::unix::fs::chown(dir.join("long"), nobody, nobody).unwrap();
        }
    };
    for caller in callers() {
        let both = Both::new(caller, &[]).filled(&fill);
        // The same as natively, and nothing of it on the host.
        let native = both.native(&["sh", "-c", script]);
        let changed = snapshot(both.dir(), false);
        let mut command = {
            let inside = both.inside(&["sh", "-c", script]);
            assert_eq!((inside.0, &inside.1), (native.0, &native.1), "{}", inside.2);
            both.inside_command(&["sh", "-c", script])
        };
        let before = snapshot(both.dir(), true);
        assert!(names.iter().all(|name| before.contains_key(*name)));
        assert_eq!(finish(&mut command).1, native.1);
        assert_eq!(snapshot(both.dir(), true), before);
        // Let through, it is what it is natively.
        let through = Both::new(caller, &["--rw", "."]).filled(&fill);
        let (status, output, errors) = through.inside(&["sh", "-c", script]);
        assert_eq!((status, &output), (native.0, &native.1), "{errors}");
        assert_eq!(snapshot(through.dir(), false), changed);
    }
}

#[test]
fn changes_to_etc_stay_in_memory() {
    if !is_root() {
        return skip("writing to /etc", "the tests were not started by root");
    }
    let name = format!("runsc-rs-test-{}", std::process::id());
    let script = format!(
        "cd /etc && echo x >{name} && echo guest >>passwd && tail -1 passwd && rm group && \
         mkdir {name}.d && mv {name} {name}.d/a && cat {name}.d/a && ! test -e group && echo ok"
    );
    let listing = || finish(&mut native(Caller::Myself, &["ls", "-lAin", "/etc"]));
    let before = (listing(), fs::read("/etc/passwd").unwrap());
    let both = Both::new(Caller::Myself, &[]);
    let (status, output, errors) = both.inside(&["sh", "-c", &script]);
    assert_eq!((status, &*output, &*errors), (0, "guest\nx\nok\n", ""));
    assert!(before == (listing(), fs::read("/etc/passwd").unwrap()), "/etc has changed");
}
