//! All cases on the Linux below: whatever this kernel fails is a mistake in the case.

use std::process::Command;

#[test]
fn linux_passes_every_case() {
    let output = Command::new(env!("CARGO_BIN_EXE_syscall-tests"))
        .args(["run", "--native-only", "--jobs", "2", "--guest"])
        .arg(env!("CARGO_BIN_EXE_syscall-cases"))
        .output()
        .expect("the runner starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn programs_print_their_lines() {
    for (arguments, line) in [
        (&["threads64"][..], "threads64: 64 threads added up to 64000\n"),
        (&["forks", "20"], "forks: 20 children forked and waited for\n"),
        (&["sparse-gib"], "sparse-gib: 1024 pages touched, sum 131072\n"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_syscall-cases"))
            .args(arguments)
            .output()
            .expect("the guest starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), line);
    }
}
