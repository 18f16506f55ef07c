//! The filter objects of the contract as pure predicates, with what a planner may conclude from them, and the sorts.
//!
//! Every `matches` answers as Prefect's SQL does on SQLite. Where SQL's answer is unknown (a null compared with
//! anything) the record drops out; nothing above a comparison negates it, so unknown and false need no telling apart.
//!
//! A predicate never reads anything. Where it depends on another record, a method whose name starts with `needs_`
//! says so, and the caller passes the fact in. The hints (`ids`, `start_time_bounds`, …) are conditions that every
//! match satisfies; `None` means that nothing is known, and an empty list that nothing can match.

mod like;
pub mod python_json;
mod text_search;

pub mod artifact;
pub mod automation;
pub mod block_document;
pub mod block_schema;
pub mod block_type;
pub mod deployment;
pub mod event;
pub mod flow;
pub mod flow_run;
pub mod flow_run_input;
pub mod log;
pub mod membership;
pub mod name;
pub mod observed_state;
pub mod operator;
mod run_filters;
pub mod sort;
pub mod state;
pub mod tags;
mod tallied;
pub mod task_run;
pub mod time;
pub mod variable;
pub mod work_pool;
pub mod work_queue;
pub mod worker;

pub use artifact::ArtifactFilter;
pub use automation::{AutomationFilter, AutomationSort};
pub use block_document::{BlockDocumentFilter, BlockDocumentSort};
pub use block_schema::BlockSchemaFilter;
pub use block_type::BlockTypeFilter;
pub use deployment::{DeploymentFacts, DeploymentFilter, DeploymentSort};
pub use event::EventFilter;
pub use flow::{FlowFacts, FlowFilter, FlowSort};
pub use flow_run::{FlowRunFacts, FlowRunFilter};
pub use flow_run_input::FlowRunInputFilter;
pub use like::Term;
pub use log::LogFilter;
pub use operator::Operator;
pub use run_filters::RunFilters;
pub use sort::{ArtifactSort, Direction, EventOrder, FlowRunSort, LogSort, NamedSort, TaskRunSort};
pub use task_run::{TaskRunFacts, TaskRunFilter};
pub use time::TimeBounds;
pub use variable::{VariableFilter, VariableSort};
pub use work_pool::WorkPoolFilter;
pub use work_queue::WorkQueueFilter;
pub use worker::WorkerFilter;
