//! Probes of what belongs to no other: limits, variables, searches, automations, keys, tokens and connections.

use common::{
    Error,
    domain::{
        access::Role,
        automations::{ChildFirings, Firing, Seen},
    },
    filter::{AutomationSort, VariableFilter, VariableSort, observed_state::ObservedStateSort},
    model::{
        ApiKey, ApiKeyId, AutomationId, BlockDocumentId, BulkAction, BulkOperation, BulkOperationId, ConcurrencyLimit,
        ConcurrencyLimitId, Connection, DeadLetter, EventId, FiringId, FlowRunId, LogSubscription, QueuedTaskRun,
        SavedSearch, SavedSearchId, Socket, State, StateId, StateType, StoredAutomation, Subscription, TaskRun,
        TaskRunId, TriggerId, Variable, VariableId, dead_letter::DeadLetterKind,
    },
    store::{
        Write, concurrency_limits,
        observed_states::Sighting,
        saved_searches, table,
        triggers::{Evaluated, TakenEvent, TriggerState, WaitingFirings},
    },
};
use serde_json::json;

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let mut probes = Box::pin(limits_and_variables()).await;
    probes.extend(Box::pin(searches()).await);
    probes.extend(Box::pin(automations()).await);
    probes.extend(Box::pin(triggers()).await);
    probes.push(Box::pin(dead_letters()).await);
    probes.extend(Box::pin(background_work()).await);
    probes.extend(Box::pin(observed_states()).await);
    probes.extend(Box::pin(clients()).await);
    probes
}

async fn limits_and_variables() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "limit", 1, now);
    let of_tag = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "tag:probe", 1, now);
    store.add(&limit).await.unwrap();
    store.add(&of_tag).await.unwrap();
    let (id, name) = (VariableId::new(), "variable".to_owned());
    let variable = Variable { id, created: now, updated: now, name: name.clone(), value: json!(1), tags: Vec::new() };
    store.add(&variable).await.unwrap();
    let by_id: VariableFilter = read(json!({"id": any(id)}));
    let names = [name];
    let variables = |sort| store.variables(None, sort, PAGE);
    vec![
        world
            .probe(
                "a concurrency limit by its name",
                store.find::<ConcurrencyLimit>(concurrency_limits::called(&limit.name)),
            )
            .await,
        world.probe("all concurrency limits by name", store.all_concurrency_limits(PAGE)).await,
        world.probe("all concurrency limits of tags by name", store.concurrency_limits_of_tags(PAGE)).await,
        world.probe("a variable by its id", store.variables(Some(&by_id), VariableSort::NameAsc, PAGE)).await,
        world.probe("variables by their names", store.variable_values(&names)).await,
        world.probe("all variables by name", variables(VariableSort::NameAsc)).await,
        world.probe("all variables by creation", variables(VariableSort::CreatedDesc)).await,
    ]
}

async fn dead_letters() -> Probe {
    let world = World::new().await;
    let letter = DeadLetter::new(DeadLetterKind::Message, json!({}), "a reason", world.now);
    world.store.put_aside(letter).await.unwrap();
    world.probe("all dead letters by when they were put aside", world.store.dead_letters(PAGE)).await
}

async fn background_work() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let operation = BulkOperation {
        id: BulkOperationId::new(),
        created: now,
        filter: None,
        work: BulkAction::DeleteFlowRuns,
        parts: 0,
        stopped: None,
    };
    store.begin_bulk_operation(&operation, &[]).await.unwrap();
    store.probe_stream(now).await.unwrap();
    let probed = async { Ok::<_, Error>(Some(store.probe_stream(now).await?)) };
    vec![
        world.probe("all operations on many flow runs by when they began", store.bulk_operations(PAGE)).await,
        world.probe("how far the consumer of the table's stream is behind", probed).await,
    ]
}

async fn searches() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let (id, name) = (SavedSearchId::new(), "search".to_owned());
    let search = SavedSearch { id, created: now, updated: now, name, filters: Vec::new() };
    store.add(&search).await.unwrap();
    store.see_task_worker("worker", &["key".to_owned()], world.now).await.unwrap();
    let task_run: TaskRun = read(json!({
        "id": TaskRunId::new(), "created": now, "updated": now, "name": "run", "task_key": "key", "dynamic_key": "1",
        "state": State::new(StateId::new(), StateType::Scheduled, now),
    }));
    let queued = QueuedTaskRun {
        task_run_id: task_run.id,
        task_key: "key".into(),
        state_id: task_run.state.as_ref().unwrap().id,
        queued: now,
        is_retry: false,
        handed: None,
    };
    store.commit(vec![store.insert(&task_run).unwrap(), store.queue_task_run(&queued).unwrap()]).await.unwrap();
    let first = store.first_queued_task_run("key", now, |_| false);
    let called = saved_searches::called(&search.name);
    vec![
        world.probe("a saved search by its id", store.find::<SavedSearch>(id)).await,
        world.probe("a saved search by its name", store.find::<SavedSearch>(called)).await,
        world.probe("all saved searches by name", store.saved_searches(PAGE)).await,
        world.probe("the background task runs that wait for a worker, of a task", first).await,
        world.probe("all task workers by when they were seen first", store.task_workers(&[], world.now)).await,
    ]
}

async fn automations() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let automation: StoredAutomation = read(json!({
        "id": AutomationId::new(), "created": world.now, "updated": world.now, "name": "tell",
        "trigger": {"type": "event", "posture": "Reactive"}, "actions": [{"type": "do-nothing"}], "owner_resource": "owner",
    }));
    store.add_automation(&automation).await.unwrap();
    let by_creation = AutomationSort::CreatedDesc;
    vec![
        world.probe("an automation by its id", store.find::<StoredAutomation>(automation.automation.id)).await,
        world.probe("the automations that have to do with a resource", store.automations_related_to("owner")).await,
        world.probe("all automations by name", store.automations(None, AutomationSort::default(), PAGE)).await,
        world.probe("all automations by creation", store.automations(None, by_creation, PAGE)).await,
        world.probe("whether other automations are evaluated", store.evaluated_automations_token()).await,
        world.probe("the automations that are evaluated, when that has changed", store.evaluated_automations()).await,
    ]
}

async fn triggers() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let (automation, trigger, other) = (AutomationId::new(), TriggerId::new(), TriggerId::new());
    let place = (trigger, TriggerState::group(trigger, &[]));
    let seen = Seen { id: EventId::new(), event: "kettle.boiled".to_owned(), occurred: now };
    let firing: Firing = read(json!({
        "firing": {"id": FiringId::new(), "trigger": trigger, "triggered": now, "at": now, "triggering_event": seen.id},
        "automation": {
            "id": automation, "created": now, "updated": now, "name": "tell", "actions": [],
            "trigger": {"type": "event", "posture": "Reactive"},
        },
    }));
    let evaluated = Evaluated {
        states: vec![(TriggerState::new((automation, trigger), Vec::new(), None, false, now), None)],
        waiting: vec![(WaitingFirings { trigger: other, firings: ChildFirings::default() }, None)],
        taken: vec![TakenEvent::new(place, seen, true, 10.0, now)],
        firings: vec![firing.clone()],
    };
    store.write_evaluated(&evaluated).await.unwrap();
    let run = FlowRunId::new();
    store.note_heartbeat(run, now, None).await.unwrap();
    let held = store.held_events(place, (now, now.plus_seconds(1.0)), 9);
    vec![
        world.probe("what is known of triggers of events", store.trigger_states(&[place])).await,
        world.probe("what waits in triggers of triggers", store.waiting_firings(&[other])).await,
        world.probe("the events that a trigger holds, by time", held).await,
        world.probe("a firing by its id", store.firing(firing.firing.id)).await,
        world.probe("what is known of a flow run's heartbeats", store.pulse(run)).await,
    ]
}

async fn observed_states() -> Vec<Probe> {
    let world = World::new().await;
    let (store, run) = (&world.store, table::flow_run(FlowRunId::new()));
    let states = [0.0, 9.0].map(|seconds| {
        State::new(StateId::new(), StateType::Completed, world.now.plus_seconds(seconds)).named("Polished")
    });
    let mut seen = Vec::new();
    for state in &states {
        store.commit(vec![store.put_state(run.clone(), state, None).unwrap()]).await.unwrap();
        let key = table::state(&run, state.timestamp, state.id);
        seen.extend(Sighting::of(&store.get_item(&key).await.unwrap().unwrap()));
    }
    store.observe(&seen).await.unwrap();
    store.commit(vec![Write::Delete(seen[1].state.clone())]).await.unwrap();
    let by_name = store.observed_states(None, ObservedStateSort::NameAsc, 9);
    let last_seen = store.observed_states(None, ObservedStateSort::LastSeenDesc, 9);
    let look = store.look_for_observed_state(StateType::Completed, &states[0].name);
    vec![
        world.probe("observed states by type and name", by_name).await,
        world.probe("observed states by when they were last seen", last_seen).await,
        world.probe("the first and the last state of a type and name, when one that was is deleted", look).await,
    ]
}

async fn clients() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now) = (&world.store, world.now);
    let key = ApiKey {
        id: ApiKeyId::new(),
        created: now,
        name: "key".to_owned(),
        role: Role::Worker,
        digest: "digest".to_owned(),
        expiration: None,
        revoked: None,
    };
    store.add_api_key(&key).await.unwrap();
    store.renew_csrf_token("client", now, 60.0).await.unwrap();
    let connection = Connection::new("connection", now, Socket::LogsOut);
    store.add_connection(&connection).await.unwrap();
    let found = store.connection(&connection.id).await.unwrap().unwrap();
    let wanted = Subscription::Logs(LogSubscription { filter: Box::default(), asked: now, live_from: now });
    let interest = &wanted.interests()[0];
    store.subscribe(&found, wanted.clone()).await.unwrap();
    store.set_result_storage(BlockDocumentId::new()).await.unwrap();
    let result_storage = async {
        let storage = store.result_storage().await?;
        Ok::<_, Error>(storage.default_result_storage_block_id)
    };
    vec![
        world.probe("an API key by its id", store.api_key(key.id)).await,
        world.probe("all API keys by creation, for who lists them", store.page_of_api_keys(PAGE)).await,
        world.probe("the CSRF token of a client", store.csrf_token("client", now)).await,
        world.probe("which block stores the results of runs by default", result_storage).await,
        world.probe("a websocket connection by its id", store.connection(&connection.id)).await,
        world.probe("the places in which connections may be noted", store.listened_places()).await,
        world.probe("the connections that have asked for something", store.listeners(interest)).await,
    ]
}
