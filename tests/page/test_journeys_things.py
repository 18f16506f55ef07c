"""What people make, change and delete on the page: variables, secrets, templates, automations, limits."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from interfaces import Interface
from playwright.sync_api import Route, expect
from seed import Seeded


def test_a_variable_is_made_changed_and_deleted(interface: Interface, api: httpx.Client, name: str) -> None:
    made, renamed = name.replace("-", "_"), name.replace("-", "_") + "_renamed"
    # The first interface asks whether a name is free, and the answer to that is 404.
    interface.window.lets_pass(f"404.*/variables/name/{made}")

    def value(name: str) -> Any:
        answer = api.get(f"/variables/name/{name}")
        return answer.json()["value"] if answer.status_code == 200 else None

    interface.open("/variables")
    interface.add_variable(made, '{"fruit": "medlar"}')
    interface.window.shows(made, "medlar").becomes(lambda: value(made), {"fruit": "medlar"})
    interface.change_variable(made, renamed, '"damson"')
    interface.window.shows(renamed, "damson").becomes(lambda: (value(made), value(renamed)), (None, "damson"))
    interface.delete_variable(renamed)
    expect(interface.page.get_by_role("cell", name=renamed)).to_have_count(0)
    interface.window.becomes(lambda: value(renamed), None).is_well()


def test_a_secret_is_never_shown_again(interface: Interface, api: httpx.Client, name: str) -> None:
    secret = f"under the stone of {name}"
    answers: list[str] = []

    def note(route: Route) -> None:
        answer = route.fetch()
        answers.append(f"{route.request.method} {answer.url}: {answer.text()}")
        route.fulfill(response=answer)

    def shown() -> str:
        fields = "[...document.querySelectorAll('input, textarea')].map(one => one.value).join()"
        return interface.page.content() + str(interface.page.evaluate(fields))

    def stored(include_secrets: bool) -> dict[str, Any]:
        query = {"include_secrets": include_secrets}
        answer = api.get(f"/block_types/slug/secret/block_documents/name/{name}", params=query)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    # The second interface may ask whether the name is free, and the answer to that is 404.
    interface.window.lets_pass(f"404.*/block_documents/name/{name}")
    interface.page.route("**/api/**", note)
    interface.make_secret(name, secret)
    interface.page.wait_for_url(re.compile("/blocks/block/[0-9a-f-]{36}$"))
    interface.window.shows(name)
    assert stored(include_secrets=True)["data"] == {"value": secret}
    block = stored(include_secrets=False)
    assert secret not in json.dumps(block)
    for path in (f"/blocks/block/{block['id']}", "/blocks"):
        interface.open(path)
        interface.window.shows(name)
        assert secret not in shown()
    # What is saved with the secret hidden keeps it.
    interface.open(f"/blocks/block/{block['id']}/edit")
    interface.window.has_field("*" * 8)
    assert secret not in shown()
    interface.button("Save").click()
    interface.page.wait_for_url(re.compile(f"/blocks/block/{block['id']}$"))
    interface.window.shows(name)
    assert secret not in shown()
    interface.window.is_well()
    assert [answer for answer in answers if answer.startswith(("POST", "PATCH")) and "/block_documents/" in answer]
    assert not [answer for answer in answers if secret in answer]
    assert stored(include_secrets=True)["data"] == {"value": secret}


def test_the_template_of_a_work_pool_is_changed(interface: Interface, api: httpx.Client, name: str) -> None:
    api.post("/work_pools/", json={"name": name, "type": "process"}).raise_for_status()
    variables = {"ladder": {"type": "string", "title": "Ladder", "default": "oak"}}
    template = {
        "job_configuration": {"command": "{{ ladder }}"},
        "variables": {"type": "object", "properties": variables},
    }
    interface.change_template(name, json.dumps(template))
    interface.window.gets_to(f"/work-pools/work-pool/{name}")
    stored = api.get(f"/work_pools/{name}").json()["base_job_template"]
    assert stored["job_configuration"] == template["job_configuration"]
    assert stored["variables"]["properties"] == variables
    # The variable is now a field with its default.
    interface.open(f"/work-pools/work-pool/{name}/edit")
    interface.window.shows("Ladder").has_field("oak").is_well()


def test_an_automation_is_made(interface: Interface, api: httpx.Client, seeded: Seeded, name: str) -> None:
    interface.make_automation(name, "Failed", "orchard-pool")
    interface.window.gets_to("/automations").shows(name)
    found = api.post("/automations/filter", json={"automations": {"name": {"any_": [name]}}}).json()
    assert len(found) == 1
    trigger, pool = found[0]["trigger"], api.get("/work_pools/orchard-pool").json()["id"]
    assert (found[0]["enabled"], trigger["type"], trigger["posture"]) == (True, "event", "Reactive")
    assert trigger["expect"] == ["prefect.flow-run.Failed"]
    assert [(action["type"], action["work_pool_id"]) for action in found[0]["actions"]] == [("pause-work-pool", pool)]
    interface.open(f"/automations/automation/{found[0]['id']}")
    interface.window.shows(name, "Failed", "orchard-pool").is_well()


def test_a_limit_of_a_tag_is_made_and_deleted(interface: Interface, api: httpx.Client, name: str) -> None:
    def limit() -> int | None:
        answer = api.get(f"/concurrency_limits/tag/{name}")
        return answer.json()["concurrency_limit"] if answer.status_code == 200 else None

    interface.open_tag_limits()
    interface.add_tag_limit(name, 3)
    interface.window.shows(name).becomes(limit, 3)
    interface.delete_tag_limit(name)
    expect(interface.page.get_by_role("link", name=name)).to_have_count(0)
    interface.window.becomes(limit, None).is_well()
