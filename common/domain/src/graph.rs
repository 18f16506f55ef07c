//! The graph of a flow run: its task runs and subflow runs, and what depends on what (contract schema `Graph`).

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use error::{Error, Result};

use crate::model::{ArtifactId, FlowRun, RunInput, State, StateId, StateType, TaskRun, TaskRunId, Timestamp};

/// The input of a task run that names the task runs around it, rather than those that it depends on.
const ENCAPSULATING: &str = "__parents__";

/// The most edges that are answered; Prefect has no such limit, and repeats edges in proportion to inputs.
const MOST_EDGES: usize = 1_000_000;

/// A flow run's graph (contract schema `Graph`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    root_node_ids: Vec<Uuid>,
    nodes: Vec<(Uuid, Node)>,
    artifacts: Vec<GraphArtifact>,
    states: Vec<GraphState>,
}

/// Whether a node stands for a flow run or a task run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    FlowRun,
    TaskRun,
}

/// A run in a graph (contract schema `Node`).
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Node {
    kind: Kind,
    id: Uuid,
    label: String,
    state_type: StateType,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    parents: Vec<Edge>,
    children: Vec<Edge>,
    encapsulating: Vec<Edge>,
    artifacts: Vec<GraphArtifact>,
}

/// The other end of an edge (contract schema `Edge`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Edge {
    id: Uuid,
}

/// An artifact in a graph (contract schema `GraphArtifact`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GraphArtifact {
    /// The artifact's id.
    pub id: ArtifactId,
    /// When the artifact was created.
    pub created: Timestamp,
    /// The key under which artifacts are collected.
    pub key: Option<String>,
    /// The artifact's type.
    pub r#type: Option<String>,
    /// Whether it is the latest of its key, or has none.
    pub is_latest: bool,
    /// The data, of progress artifacts only.
    pub data: Option<Value>,
}

/// A state in a graph (contract schema `GraphState`).
#[derive(Clone, Debug, PartialEq, Serialize)]
struct GraphState {
    id: StateId,
    timestamp: Timestamp,
    r#type: StateType,
    name: String,
}

/// A subflow run, which takes its task run's place in the graph.
#[derive(Clone, Debug)]
pub struct Subflow {
    /// The run.
    pub run: FlowRun,
    /// The name of its flow.
    pub flow: String,
}

/// A reference from an input of a run to the run that it comes from.
#[derive(Clone, Copy, Debug)]
struct Reference {
    to: Uuid,
    encapsulates: bool,
}

/// A node before it is known what refers to it.
#[derive(Debug)]
struct Part {
    kind: Kind,
    id: Uuid,
    label: String,
    state_type: StateType,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    /// How many rows the node is in Prefect's query: each edge to or from it comes so many times.
    rows: usize,
    references: Vec<Reference>,
}

/// Takes task runs one by one, and makes a graph of them.
#[derive(Debug)]
pub struct Assembly {
    run: FlowRun,
    since: Timestamp,
    most_nodes: usize,
    subflows: HashMap<TaskRunId, Vec<Subflow>>,
    parts: Vec<Part>,
    answered: usize,
}

impl Assembly {
    /// Starts the graph of `run`, whose subflow runs are `subflows`.
    ///
    /// Only nodes are answered that have not ended before `since`, and up to `most_nodes` of them.
    pub fn new(run: FlowRun, subflows: Vec<Subflow>, since: Timestamp, most_nodes: usize) -> Self {
        let mut by_parent: HashMap<TaskRunId, Vec<Subflow>> = HashMap::new();
        for subflow in subflows {
            if let Some(parent) = subflow.run.parent_task_run_id {
                by_parent.entry(parent).or_default().push(subflow);
            }
        }
        Self { run, since, most_nodes, subflows: by_parent, parts: Vec::new(), answered: 0 }
    }

    /// Adds a task run of the flow run, or the subflow runs that it stands for.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for the first node too many, as Prefect words it.
    pub fn add(&mut self, task_run: &TaskRun) -> Result<()> {
        let subflows = self.subflows.remove(&task_run.id).unwrap_or_default();
        if subflows.is_empty() {
            return self.add_part(Part::of(task_run, None));
        }
        subflows.iter().try_for_each(|subflow| self.add_part(Part::of(task_run, Some(subflow))))
    }

    fn add_part(&mut self, part: Option<Part>) -> Result<()> {
        let Some(part) = part else { return Ok(()) };
        self.answered += usize::from(part.is_answered(self.since));
        self.parts.push(part);
        if self.answered > self.most_nodes {
            let (run, most) = (self.run.id, self.most_nodes);
            return Err(Error::BadRequest(format!("The graph of flow run {run} has more than {most} nodes.")));
        }
        Ok(())
    }

    /// Makes the graph, with the flow run's states and the artifacts of its task runs and of itself.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the inputs repeat each other to more edges than an answer can hold.
    pub fn finish(
        self,
        states: Vec<State>,
        artifacts: impl IntoIterator<Item = (Option<Uuid>, GraphArtifact)>,
    ) -> Result<Graph> {
        let mut artifacts_of: HashMap<Option<Uuid>, Vec<GraphArtifact>> = HashMap::new();
        for (task_run, artifact) in artifacts {
            artifacts_of.entry(task_run).or_default().push(artifact);
        }
        let mut edges = edges(&self.parts)?;
        let mut nodes = Vec::new();
        let mut root_node_ids = Vec::new();
        let mut answered: Vec<_> = self.parts.into_iter().filter(|part| part.is_answered(self.since)).collect();
        answered.sort_by_key(|part| (part.start_time, part.end_time));
        for part in answered {
            let Edges { parents, children, encapsulating } = edges.remove(&part.id).unwrap_or_default();
            if parents.is_empty() {
                root_node_ids.push(part.id);
            }
            let artifacts = artifacts_of.remove(&Some(part.id)).unwrap_or_default();
            let Part { kind, id, label, state_type, start_time, end_time, .. } = part;
            let node =
                Node { kind, id, label, state_type, start_time, end_time, parents, children, encapsulating, artifacts };
            nodes.push((id, node));
        }
        let states = states.into_iter().map(|state| GraphState {
            id: state.id,
            timestamp: state.timestamp,
            r#type: state.r#type,
            name: state.name,
        });
        Ok(Graph {
            start_time: self.run.start_time.or(self.run.expected_start_time),
            end_time: self.run.end_time,
            root_node_ids,
            nodes,
            artifacts: artifacts_of.remove(&None).unwrap_or_default(),
            states: states.collect(),
        })
    }
}

impl Part {
    /// Makes the node of a task run or of its subflow run; a run that is not even expected to start has none.
    fn of(task_run: &TaskRun, subflow: Option<&Subflow>) -> Option<Self> {
        let subflow_run = subflow.map(|subflow| &subflow.run);
        let start_time = subflow_run
            .and_then(|run| run.start_time.or(run.expected_start_time))
            .or(task_run.start_time)
            .or(task_run.expected_start_time)?;
        // A run that was completed without having been run, such as one whose result was cached, takes no time.
        let at_once = || task_run.expected_start_time.filter(|_| task_run.state_type == Some(StateType::Completed));
        let references = task_run.task_inputs.iter().flat_map(|(name, inputs)| {
            let encapsulates = name == ENCAPSULATING;
            inputs.iter().filter_map(move |input| {
                let to = match input {
                    RunInput::TaskRun { id } => id.0,
                    RunInput::FlowRun { id } => id.0,
                    RunInput::Parameter { .. } | RunInput::Constant { .. } => return None,
                };
                Some(Reference { to, encapsulates })
            })
        });
        Some(Self {
            kind: if subflow.is_some() { Kind::FlowRun } else { Kind::TaskRun },
            id: subflow_run.map_or(task_run.id.0, |run| run.id.0),
            label: subflow
                .map_or_else(|| task_run.name.clone(), |subflow| format!("{} / {}", subflow.flow, subflow.run.name)),
            state_type: subflow_run.and_then(|run| run.state_type).or(task_run.state_type)?,
            start_time,
            end_time: subflow_run.and_then(|run| run.end_time).or(task_run.end_time).or_else(at_once),
            rows: task_run.task_inputs.values().map(|inputs| inputs.len().max(1)).sum::<usize>().max(1),
            references: references.collect(),
        })
    }

    fn is_answered(&self, since: Timestamp) -> bool {
        self.end_time.is_none_or(|end| end >= since)
    }
}

/// The edges of a node.
#[derive(Debug, Default)]
struct Edges {
    parents: Vec<Edge>,
    children: Vec<Edge>,
    encapsulating: Vec<Edge>,
}

/// How often one run refers to another.
#[derive(Clone, Copy, Debug, Default)]
struct Tie {
    depends: usize,
    encapsulated: bool,
}

/// Finds the edges of each node, as often as Prefect's query finds them, which leaves their order to the database.
///
/// Parents come as their runs were expected to start, children by their ids, as they mostly do there.
fn edges(parts: &[Part]) -> Result<HashMap<Uuid, Edges>> {
    let places: HashMap<Uuid, usize> = parts.iter().enumerate().map(|(place, part)| (part.id, place)).collect();
    let mut children: Vec<&Part> = parts.iter().collect();
    children.sort_by_key(|part| part.id);
    let mut ties: Vec<Vec<(Uuid, Tie)>> = vec![Vec::new(); parts.len()];
    let mut count = 0_usize;
    for child in children {
        let mut own: HashMap<usize, Tie> = HashMap::new();
        for reference in &child.references {
            let Some(place) = places.get(&reference.to) else { continue };
            let tie = own.entry(*place).or_default();
            if reference.encapsulates {
                tie.encapsulated = true;
            } else {
                tie.depends += 1;
            }
        }
        for (place, tie) in own {
            if let (Some(parent), Some(list)) = (parts.get(place), ties.get_mut(place)) {
                count = count.saturating_add(tie.depends.saturating_mul(parent.rows));
                list.push((child.id, tie));
            }
        }
    }
    if count > MOST_EDGES {
        return Err(Error::BadRequest(format!("The graph has more than {MOST_EDGES} edges.")));
    }
    let mut edges: HashMap<Uuid, Edges> = HashMap::new();
    for (parent, ties) in parts.iter().zip(ties) {
        for (child, tie) in &ties {
            let of_child = edges.entry(*child).or_default();
            of_child.parents.extend(std::iter::repeat_n(Edge { id: parent.id }, tie.depends * parent.rows));
            of_child.encapsulating.extend(tie.encapsulated.then_some(Edge { id: parent.id }));
        }
        let of_parent = &mut edges.entry(parent.id).or_default().children;
        for _ in 0..parent.rows {
            of_parent
                .extend(ties.iter().flat_map(|(child, tie)| std::iter::repeat_n(Edge { id: *child }, tie.depends)));
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{FlowId, FlowRunId};

    fn time(second: u8) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn task(number: u128, inputs: &[(&str, &[u128])]) -> TaskRun {
        let mut run = TaskRun::new(TaskRunId(id(number)), "task", "0", format!("task-{number}"), time(0));
        (run.state_type, run.expected_start_time) = (Some(StateType::Running), Some(time(10)));
        run.start_time = Some(time(11));
        run.task_inputs = inputs
            .iter()
            .map(|(name, ids)| {
                let inputs = ids.iter().map(|number| RunInput::TaskRun { id: TaskRunId(id(*number)) });
                ((*name).to_owned(), inputs.collect())
            })
            .collect::<IndexMap<_, _>>();
        run
    }

    fn assembly(subflows: Vec<Subflow>, since: Timestamp, most_nodes: usize) -> Assembly {
        Assembly::new(FlowRun::new(FlowRunId(id(99)), FlowId::new(), "run", time(0)), subflows, since, most_nodes)
    }

    fn graph(tasks: &[TaskRun]) -> Value {
        let mut assembly = assembly(Vec::new(), time(0), 100);
        tasks.iter().try_for_each(|task| assembly.add(task)).unwrap();
        serde_json::to_value(assembly.finish(Vec::new(), []).unwrap()).unwrap()
    }

    fn ends(graph: &Value, node: usize, edges: &str) -> Vec<Uuid> {
        graph["nodes"][node][1][edges]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| edge["id"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn repeats_edges_as_the_real_server_does() {
        // Recorded: `a` has two empty inputs, and so two rows; the ids decide the order of children alone.
        let (a, c, d) = (5, 1, 8);
        let tasks = [
            task(a, &[("x", &[]), ("y", &[])]),
            task(c, &[("x", &[a]), ("y", &[3, a]), ("z", &[3])]),
            task(d, &[("z", &[c]), ("a", &[a]), ("__parents__", &[3, a, 3])]),
        ];
        let graph = graph(&tasks);
        assert_eq!(ends(&graph, 0, "children"), [c, c, d, c, c, d].map(id));
        assert_eq!(ends(&graph, 1, "parents"), [a; 4].map(id));
        assert_eq!(ends(&graph, 1, "children"), [d; 4].map(id));
        assert_eq!(ends(&graph, 2, "parents"), [a, a, c, c, c, c].map(id));
        assert_eq!(ends(&graph, 2, "encapsulating"), [id(a)]);
        assert_eq!(graph["root_node_ids"], json!([id(a)]));
    }

    #[test]
    fn a_subflow_run_takes_the_place_of_its_task_run() {
        let mut run = FlowRun::new(FlowRunId(id(7)), FlowId::new(), "sub", time(0));
        run.parent_task_run_id = Some(TaskRunId(id(1)));
        (run.state_type, run.expected_start_time) = (Some(StateType::Failed), Some(time(20)));
        let mut assembly = assembly(vec![Subflow { run, flow: "inner".into() }], time(0), 100);
        assembly.add(&task(1, &[])).unwrap();
        assembly.add(&task(2, &[("x", &[1])])).unwrap();
        let graph = serde_json::to_value(assembly.finish(Vec::new(), []).unwrap()).unwrap();
        let node = &graph["nodes"][1][1];
        assert_eq!(
            (&node["kind"], &node["id"], &node["label"]),
            (&json!("flow-run"), &json!(id(7)), &json!("inner / sub"))
        );
        assert_eq!((&node["state_type"], &node["start_time"]), (&json!("FAILED"), &json!(time(20))));
        assert!(ends(&graph, 0, "parents").is_empty(), "a reference to the task run finds no node");
    }

    #[test]
    fn leaves_out_what_ended_before_and_counts_the_rest() {
        let mut ended = task(1, &[]);
        ended.end_time = Some(time(30));
        let mut cached = task(2, &[("x", &[1])]);
        (cached.state_type, cached.start_time) = (Some(StateType::Completed), None);
        let nodes = |since, most| {
            let mut assembly = assembly(Vec::new(), since, most);
            [&ended, &cached, &task(3, &[])].into_iter().try_for_each(|task| assembly.add(task))?;
            Ok::<_, Error>(assembly.finish(Vec::new(), [])?.nodes)
        };
        let ids = |since| nodes(since, 3).unwrap().iter().map(|(id, _)| id.as_u128()).collect::<Vec<_>>();
        assert_eq!(ids(time(0)), [2, 3, 1]);
        assert_eq!(ids(time(10)), [2, 3, 1], "the limit is inclusive");
        assert_eq!(ids(time(30)), [3, 1]);
        assert_eq!(ids(time(31)), [3]);
        assert!(nodes(time(30), 2).is_ok());
        let error = nodes(time(0), 2).unwrap_err().to_string();
        assert_eq!(error, format!("The graph of flow run {} has more than 2 nodes.", id(99)));
    }

    #[test]
    fn joins_artifacts_to_their_task_runs_and_to_the_flow_run() {
        let artifact = |key: &str| GraphArtifact {
            id: ArtifactId::new(),
            created: time(0),
            key: Some(key.into()),
            r#type: Some("markdown".into()),
            is_latest: true,
            data: None,
        };
        let mut assembly = assembly(Vec::new(), time(0), 100);
        assembly.add(&task(1, &[])).unwrap();
        let graph =
            assembly.finish(Vec::new(), [(Some(id(1)), artifact("of-task")), (None, artifact("of-run"))]).unwrap();
        assert_eq!(graph.artifacts[0].key.as_deref(), Some("of-run"));
        assert_eq!(graph.nodes[0].1.artifacts[0].key.as_deref(), Some("of-task"));
    }

    #[test]
    fn refuses_more_edges_than_an_answer_holds() {
        let many = vec![1_u128; 1_100];
        let mut assembly = assembly(Vec::new(), time(0), 100);
        assembly.add(&task(1, &[("x", &many)])).unwrap();
        assembly.add(&task(2, &[("x", &many)])).unwrap();
        assert!(matches!(assembly.finish(Vec::new(), []), Err(Error::BadRequest(_))));
    }
}
