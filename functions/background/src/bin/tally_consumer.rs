//! The Lambda function `tally_consumer`.

fn main() -> std::process::ExitCode {
    common::runtime::tally_consumer::run()
}
