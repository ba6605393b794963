//! `runsc-rs`: the OCI runtime.

fn main() -> std::process::ExitCode {
    runsc_rs::runsc_main()
}
