"""What templates of automations can name, and templates that do."""

from __future__ import annotations

from typing import Any

FLOW_RUN = "11111111-0000-4000-8000-000000000001"
DEPLOYMENT = "11111111-0000-4000-8000-000000000002"
FLOW = "11111111-0000-4000-8000-000000000003"
TRIGGER = "11111111-0000-4000-8000-000000000004"
TIMES = {"created": "2026-01-31T09:30:00Z", "updated": "2026-01-31T09:30:00.000001Z"}

EVENT: dict[str, Any] = {
    "occurred": "2026-01-31T09:30:00.500000Z",
    "event": "prefect.flow-run.Failed",
    "resource": {
        "prefect.resource.id": f"prefect.flow-run.{FLOW_RUN}",
        "prefect.resource.name": "brave-newt",
        "prefect.state-name": "Failed",
        "prefect.state": "deep",
        "hello": "world",
        "hello.again": "you",
    },
    "related": [
        {"prefect.resource.id": f"prefect.deployment.{DEPLOYMENT}", "prefect.resource.role": "deployment", "prefect.resource.name": "d"},
        {"prefect.resource.id": "prefect.tag.a", "prefect.resource.role": "tag"},
        {"prefect.resource.id": "prefect.tag.b", "prefect.resource.role": "tag"},
    ],
    "payload": {"text": "it's <b>", "list": [1, None, True, "é"], "nested": {"float": 1.5, "empty": {}}, "number": 1234567},
    "id": "11111111-0000-4000-8000-00000000000a",
    "follows": None,
    "received": "2026-01-31T09:30:01Z",
}
AUTOMATION: dict[str, Any] = {
    "name": "mine",
    "description": "",
    "enabled": True,
    "tags": ["x"],
    "trigger": {
        "type": "event",
        "id": TRIGGER,
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {},
        "after": [],
        "expect": ["prefect.flow-run.Failed"],
        "for_each": [],
        "posture": "Reactive",
        "threshold": 1,
        "within": 10.0,
    },
    "actions": [{"type": "do-nothing"}],
    "actions_on_trigger": [],
    "actions_on_resolve": [],
    "id": "11111111-0000-4000-8000-00000000000b",
    **TIMES,
}
FIRING: dict[str, Any] = {
    "id": "11111111-0000-4000-8000-00000000000c",
    "trigger": AUTOMATION["trigger"],
    "trigger_states": ["Triggered"],
    "triggered": "2026-01-31T09:30:02Z",
    "triggering_labels": {"prefect.resource.id": f"prefect.flow-run.{FLOW_RUN}"},
    "triggering_firings": [],
    "triggering_event": EVENT,
    "triggering_value": None,
}
RUN: dict[str, Any] = {
    "id": FLOW_RUN,
    **TIMES,
    "name": "brave-newt",
    "flow_id": FLOW,
    "deployment_id": DEPLOYMENT,
    "state": {"id": "11111111-0000-4000-8000-00000000000d", "type": "FAILED", "name": "Failed", "timestamp": "2026-01-31T09:30:00Z", "message": "Flow run encountered an exception: it's bad"},
    "state_type": "FAILED",
    "state_name": "Failed",
    "parameters": {"x": 1, "y": "two"},
    "tags": ["a", "b"],
    "start_time": "2026-01-31T09:29:00.25Z",
    "end_time": None,
    "total_run_time": 3725.5,
    "estimated_run_time": 0.0,
    "run_count": 1,
}
CONTEXT: dict[str, Any] = {
    "event": ("ReceivedEvent", EVENT),
    "automation": ("Automation", AUTOMATION),
    "firing": ("Firing", FIRING),
    "firings": ("Firing", [FIRING]),
    "events": ("ReceivedEvent", [EVENT]),
    "labels": ("labels", FIRING["triggering_labels"]),
    "flow_run": ("FlowRunResponse", RUN),
    "flow": ("Flow", {"id": FLOW, **TIMES, "name": "f", "tags": [], "labels": {}}),
    "work_pool": None,
    "variables": ("plain", {"one": 1, "text": "t", "object": {"a": [1]}}),
}

TEMPLATES = [
    # texts and numbers
    "plain", "{{ 'a' }} {{ 1 }} {{ 1.0 }} {{ 1e30 }} {{ true }} {{ none }} {{ [1, 'a', none] }} {{ {'a': none} }}",
    "{# comment #}x", "{{ nobody }}|{{ nobody.at.all }}|{{ event.nobody }}|{{ event.nobody.at.all }}",
    # events
    "{{ event.event }} {{ event.id }} {{ event.occurred }} {{ event.received }} {{ event.follows }}",
    "{{ event.resource.id }} {{ event.resource.name }} {{ event.resource['prefect.resource.id'] }} {{ event.resource.nobody }}",
    "{{ event.resource }}", "{{ event.related }}", "{{ event.payload }}", "{{ event.payload.list[3] }} {{ event.payload['text'] }}",
    "{{ event.payload.nested.float }} {{ event.payload.nested.empty }} {{ event.payload.nobody }}",
    "{{ event.resource.labels.prefect.resource.name }} {{ event.resource.labels['prefect.resource.name'] }}",
    "{{ event.resource.labels.hello }} {{ event.resource.labels.hello.again }} {{ event.resource.labels.nobody }}|{{ event.resource.labels.prefect }}|",
    "{% for label, value in event.resource.labels %}{{ label }}={{ value }};{% endfor %}", "{{ event.resource.labels | length }}",
    "{{ event.resource.labels['hello'] == 'world' }} {{ event.resource.labels.hello == 'world' }}",
    "{{ event.resource.get('hello') }} {{ event.resource.get('nobody') }} {{ event.resource.get('nobody', 'd') }}",
    "{% for label, value in event.resource.items() %}{{ label }}={{ value }};{% endfor %}",
    "{% for r in event.related %}{{ r.role }}:{{ r.id }}:{{ r.name }} {% endfor %}",
    "{{ event.resource_in_role.deployment.id }} {{ event.resource_in_role['tag'].id }} {{ event.resource_in_role.nobody }}",
    "{{ event.resources_in_role.tag | length }} {% for tag in event.resources_in_role['tag'] %}{{ tag.id }} {% endfor %}",
    "{{ event.involved_resources | length }} {{ event.involved_resources[0].id }}",
    "{{ event.find_resource_label('hello') }} {{ event.find_resource_label('related:deployment:prefect.resource.name') }} {{ event.find_resource_label('x') }}",
    "{{ event.occurred.year }} {{ event.occurred.strftime('%Y-%m-%d %H:%M:%S.%f %%') }} {{ event.occurred.isoformat() }} {{ event.occurred.to_iso8601_string() }}",
    "{{ event.received > event.occurred }} {{ event.received == event.occurred }} {{ event.occurred.timestamp() }} {{ event.occurred.date() }}",
    "{{ [event.occurred, event.id] }}", "{{ event.id == event.id }} {{ event.id == event.id | string }} {{ event.id | upper }} {{ 'e' ~ event.id }}",
    "{{ event }}", "{{ events[0].event }} {{ events | length }}",
    # JSON
    "{{ event | tojson }}", "{{ event.payload | tojson }}", "{{ event.payload | tojson(indent=2) }}", "{{ event.resource | tojson }}",
    "{{ event.occurred | tojson }}", "{{ event.id | tojson }}", "{{ nobody | tojson }}", "{{ [event] | tojson }}", "{{ labels | tojson }}",
    "{{ 'é\"\\n' | tojson }} {{ none | tojson }} {{ true | tojson }} {{ 1.50 | tojson }} {{ [] | tojson }} {{ {} | tojson }} {{ \"<&'>\" | tojson }}",
    "{{ flow_run.parameters | tojson }} {{ flow_run.tags | tojson }} {{ flow_run.name | tojson }} {{ flow_run.run_count | tojson }}",
    "{{ flow_run.id | string | tojson }}", "{{ flow_run.state_type | tojson }}",
    # automations and firings
    "{{ automation.name }} {{ automation.id }} {{ automation.enabled }} {{ automation.tags }} {{ automation.created }}",
    "{{ automation.trigger.type }} {{ automation.trigger.posture }} {{ automation.trigger.within }} {{ automation.trigger.threshold }}",
    "{{ automation.actions | length }} {{ automation.actions[0].type }} {{ automation.actions }}",
    "{{ firing.id }} {{ firing.triggered }} {{ firing.triggering_event.event }} {{ firing.triggering_labels }} {{ firing.trigger.posture }}",
    "{{ firings | length }} {{ firings[0].triggering_event.id }}", "{{ firing.triggering_event.resource.id }}",
    "{{ labels.prefect.resource.id }} {{ labels['prefect.resource.id'] }} {{ labels.nobody }}",
    # records
    "{{ flow_run.name }} {{ flow_run.id }} {{ flow_run.flow_id }} {{ flow_run.tags }} {{ flow_run.parameters }} {{ flow_run.parameters.y }}",
    "{{ flow_run.state.name }} {{ flow_run.state.type }} {{ flow_run.state_type }} {{ flow_run.state.message }} {{ flow_run.state.timestamp }}",
    "{{ flow_run.state_type == 'FAILED' }} {% if flow_run.state_type in ['FAILED', 'CRASHED'] %}bad{% endif %} {{ flow_run.state_type | lower }}",
    "{{ flow_run.state }}", "{{ [flow_run.state] }}", "{{ [flow_run.state_type] }}",
    "{{ flow_run.total_run_time }} {{ flow_run.estimated_run_time }} {{ flow_run.total_run_time.total_seconds() }}",
    "{{ flow_run.start_time }} {{ flow_run.end_time }} {{ [flow_run.total_run_time] }}", "{{ flow.name }} {{ work_pool }} {{ work_pool.name }}",
    "Flow run {{ flow.name }}/{{ flow_run.name }} entered state `{{ flow_run.state.name }}` at {{ flow_run.state.timestamp }}.",
    "{{ variables.one }} {{ variables.text }} {{ variables.object }} {{ variables['one'] + 1 }} {{ variables.nobody }}",
    # links
    "{{ flow_run | ui_url }}", "{{ event | ui_url }}", "{{ flow | ui_url }}", "{{ automation | ui_url }}", "{{ event.resource | ui_url }}",
    "{{ event.related[1] | ui_url }}", "{{ work_pool | ui_url }}", "{{ event.related[0] | ui_url }}",
    "{{ event.resource | ui_resource_events_url }}", "{{ automation | ui_resource_events_url }}", "{{ flow_run | ui_resource_events_url }}",
    "{{ flow | ui_resource_events_url }}", "{{ 'x' | ui_resource_events_url }}",
    f"{{{{ 'see http://x/flow-run/{FLOW_RUN}!' | flow_run_id }}}} {{{{ 'flow-run/1' | flow_run_id }}}}",
    # methods of Python
    "{{ event.event.upper() }} {{ event.event.split('.') }} {{ event.event.split('.')[-1] }} {{ event.event.replace('.', '/') }}",
    "{{ event.event.startswith('prefect') }} {{ event.event.endswith('x') }} {{ ' a '.strip() }}| {{ 'aXbX'.rsplit('X', 1) }} {{ ', '.join(['a', 'b']) }}",
    "{{ event.payload.get('text') }} {{ event.payload.get('nobody', 1) }} {% for k, v in event.payload.items() %}{{ k }} {% endfor %}",
    "{{ event.payload.keys() | list }} {{ event.payload.nested.values() | list }}",
    # filters and control
    "{{ event.related | map(attribute='id') | join(', ') }}", "{{ event.related | selectattr('role', 'equalto', 'tag') | list | length }}",
    "{{ event.payload.list | length }} {{ event.payload.list | first }} {{ event.payload.text | upper }} {{ nobody | default('d') }}",
    "{% if flow_run.end_time %}ended{% else %}not ended{% endif %} {{ 'yes' if flow_run.end_time is none else 'no' }} {{ flow_run.nobody is defined }}",
    "{% set name = flow_run.name %}{{ name | title }} {{ name | length }} {{ 'x' * 3 }}",
    "{{ 1 / 0 }}", "{{ 1 + 'a' }}", "{{ nobody() }}", "{{ range(200) | list }}",
    # for people
    "{{ 1234567 | humanize_intcomma }} {{ 1234.5 | humanize_intcomma }} {{ event.payload.number | humanize_intcomma }}",
    "{{ 1 | humanize_ordinal }} {{ 2 | humanize_ordinal }} {{ 13 | humanize_ordinal }} {{ 103 | humanize_ordinal }}",
    "{{ 5 | humanize_apnumber }} {{ 11 | humanize_apnumber }}", "{{ 3000000 | humanize_naturalsize }} {{ 300 | humanize_naturalsize }} {{ 1 | humanize_naturalsize }}",
    "{{ 30 | humanize_naturaldelta }} {{ 90 | humanize_naturaldelta }} {{ 3600 | humanize_naturaldelta }} {{ 86400 | humanize_naturaldelta }} {{ 100000000 | humanize_naturaldelta }}",
    "{{ flow_run.total_run_time | humanize_naturaldelta }} {{ 3000000 | humanize_naturaldelta }} {{ 0 | humanize_naturaldelta }} {{ 1 | humanize_naturaldelta }}",
]
