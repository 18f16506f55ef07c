//! The Lambda function `read_flow_run_graph_v2`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::graph_v2::ROUTE)
}
