//! `sandbox`: runs programs on a Linux of their own, in user space.

fn main() -> std::process::ExitCode {
    runsc_rs::sandbox_main()
}
