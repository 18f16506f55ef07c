"""What a person does on the page, in the same words for both interfaces."""

from __future__ import annotations

import re
import time
from typing import ClassVar

from playwright.sync_api import Locator, expect
from watched import PATIENCE_SECONDS, Watched


class Interface:
    """An interface in a window. What the two have in common is here, what differs is in [`First`] and [`Second`]."""

    base: ClassVar[str]

    def __init__(self, window: Watched) -> None:
        self.window, self.page = window, window.page

    def open(self, path: str) -> None:
        self.window.open(self.base + path)

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def write(self, field: Locator, text: str) -> None:
        """Replaces the text of a field, also of one that is an editor of code."""
        if field.evaluate("one => one.isContentEditable"):
            field.press("ControlOrMeta+A")
            self.page.keyboard.insert_text(text)
        else:
            field.fill(text)

    def replace(self, fields: Locator, before: str, value: str) -> None:
        """Writes into the one of the fields that has this value."""
        self.window.has_field(before)
        next(field for field in fields.all() if field.input_value() == before).fill(value)

    # Lists of runs.

    def wait_for_runs(self, names: set[str]) -> None:
        """Waits until the list has exactly these runs."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            shown = set(self.page.locator('a[href*="/runs/flow-run/"]').all_inner_texts())
            if shown == names:
                return
            assert time.monotonic() < deadline, f"the list has {shown}, and not {names}"
            self.page.wait_for_timeout(50)

    def search_runs(self, text: str) -> None:
        self.page.get_by_placeholder("Search by flow run name").filter(visible=True).fill(text)

    def select_all_runs(self) -> None:
        self.page.get_by_role("tabpanel").get_by_role("checkbox").filter(visible=True).first.click()


class First(Interface):
    """The first interface, whose lists open by keys and whose dialogs have few names."""

    base = ""

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def choose(self, button: Locator, *options: str) -> None:
        """Opens a list by its button, and chooses of it."""
        # A click on a button within a label is one on the label as well, and closes the list again.
        button.focus()
        self.page.keyboard.press("ArrowDown")
        for option in options:
            self.page.locator(".p-select-option").filter(has_text=re.compile(f"^{re.escape(option)}")).first.click()

    def close_list(self) -> None:
        self.page.mouse.click(2, 2)

    def choose_of_row(self, name: str, action: str) -> None:
        """Opens the menu of a row of a table, and chooses of it."""
        self.page.get_by_role("row", name=re.compile(f"^{re.escape(name)} ")).get_by_role("button").last.click()
        self.page.locator(".p-pop-over-content").get_by_role("button", name=action, exact=True).click()

    # Runs.

    def start_run(self, deployment: str, default: str, value: str) -> None:
        self.open(f"/deployments/deployment/{deployment}/run")
        self.replace(self.page.get_by_role("textbox"), default, value)
        self.button("Submit").click()

    def pause_run(self) -> None:
        self.button("Suspend").click()
        self.button("Submit", self.dialog()).click()

    def resume_run(self) -> None:
        self.button("Resume").click()
        self.button("Submit", self.dialog()).click()

    def resume_run_with(self, number: str, text: str) -> None:
        self.button("Resume").click()
        self.dialog().get_by_role("spinbutton").fill(number)
        self.dialog().get_by_role("textbox").fill(text)
        self.button("Submit", self.dialog()).click()

    def cancel_run(self) -> None:
        self.button("Cancel").click()
        self.button("Confirm", self.dialog()).click()

    def delete_selected_runs(self) -> None:
        self.page.get_by_role("tabpanel").get_by_role("button").first.click()
        self.button("Delete", self.dialog()).click()

    def filter_by_state(self, state: str) -> None:
        self.choose(self.button("All run states").filter(visible=True), state)
        self.close_list()

    def filter_by_flow(self, flow: str) -> None:
        self.choose(self.button("All flows").filter(visible=True), flow)
        self.close_list()

    def filter_by_tag(self, tag: str) -> None:
        self.choose(self.button("All tags").filter(visible=True))
        self.page.get_by_placeholder("Search or enter new tag").fill(tag)
        self.page.locator(".p-select-option").filter(has_text=tag).first.click()
        self.close_list()

    def choose_range(self, now: str, range: str) -> None:
        self.button(now).filter(visible=True).click()
        self.page.get_by_role("option", name=range, exact=True).click()

    def previous_range(self) -> None:
        self.page.locator(".p-date-range-select").filter(visible=True).get_by_role("button").first.click()

    # Variables.

    def add_variable(self, name: str, value: str) -> None:
        self.page.get_by_role("banner").get_by_role("button").first.click()
        self.fill_variable(name, value)
        self.button("Create", self.dialog()).click()

    def change_variable(self, name: str, new_name: str, value: str) -> None:
        self.choose_of_row(name, "Edit")
        self.fill_variable(new_name, value)
        self.button("Save", self.dialog()).click()

    def fill_variable(self, name: str, value: str) -> None:
        self.write(self.dialog().get_by_role("textbox").nth(0), name)
        self.write(self.dialog().get_by_role("textbox").nth(1), value)

    def delete_variable(self, name: str) -> None:
        self.choose_of_row(name, "Delete")
        self.button("Delete", self.dialog()).click()

    # Blocks.

    def make_secret(self, name: str, value: str) -> None:
        self.open("/blocks/catalog/secret/create")
        self.page.get_by_role("textbox").nth(0).fill(name)
        self.page.get_by_role("textbox").nth(1).fill(value)
        self.button("Create").click()

    # Work pools.

    def change_template(self, pool: str, template: str) -> None:
        self.open(f"/work-pools/work-pool/{pool}/edit")
        self.page.get_by_role("listitem").get_by_text("Advanced", exact=True).click()
        self.write(self.page.get_by_role("tabpanel").get_by_role("textbox"), template)
        self.button("Save").click()

    # Automations.

    def make_automation(self, name: str, state: str, pool: str) -> None:
        self.open("/automations/create")
        self.choose(self.button("Trigger Template"), "Flow run state")
        self.choose(self.button("All run states"), state)
        self.close_list()
        self.button("Next").click()
        self.choose(self.button("Action Type"), "Pause a work pool")
        self.choose(self.button("Work Pool To Pause"), pool)
        self.button("Next").click()
        self.page.get_by_label("Automation Name").fill(name)
        self.button("Save").click()

    # Limits.

    def open_tag_limits(self) -> None:
        self.open("/concurrency-limits")
        self.page.get_by_role("listitem").get_by_text("Task Run", exact=True).click()

    def add_tag_limit(self, tag: str, limit: int) -> None:
        self.page.get_by_role("tabpanel").get_by_role("button").first.click()
        self.dialog().get_by_role("textbox").fill(tag)
        self.dialog().get_by_role("spinbutton").fill(str(limit))
        self.button("Add", self.dialog()).click()

    def delete_tag_limit(self, tag: str) -> None:
        self.choose_of_row(tag, "Delete")
        self.button("Delete", self.dialog()).click()


class Second(Interface):
    """The second interface, whose menus, dialogs and lists have their roles."""

    base = "/v2"

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog").or_(self.page.get_by_role("alertdialog"))

    def choose(self, button: Locator, *options: str) -> None:
        """Opens a list by its button, and chooses of it."""
        button.click()
        for option in options:
            self.page.get_by_role("option", name=option, exact=True).first.click()

    def close_list(self) -> None:
        self.page.keyboard.press("Escape")

    def choose_of_row(self, name: str, action: str) -> None:
        """Opens the menu of a row of a table, and chooses of it."""
        self.button("Open menu", self.page.get_by_role("row", name=re.compile(f"^{re.escape(name)} "))).click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()

    def choose_of_menu(self, action: str) -> None:
        self.button("Open menu").click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()

    # Runs.

    def start_run(self, deployment: str, default: str, value: str) -> None:
        self.open(f"/deployments/deployment/{deployment}/run")
        self.replace(self.page.get_by_role("textbox"), default, value)
        self.button("Submit").click()

    def pause_run(self) -> None:
        self.choose_of_menu("Pause")
        self.button("Pause Flow Run", self.dialog()).click()

    def resume_run(self) -> None:
        self.choose_of_menu("Resume")
        self.button("Resume", self.dialog()).click()

    def resume_run_with(self, number: str, text: str) -> None:
        self.choose_of_menu("Resume")
        self.dialog().get_by_role("spinbutton").fill(number)
        self.dialog().get_by_role("textbox").fill(text)
        self.button("Resume", self.dialog()).click()

    def cancel_run(self) -> None:
        self.choose_of_menu("Cancel")
        self.button("Cancel Flow Run", self.dialog()).click()

    def delete_selected_runs(self) -> None:
        self.button("Delete rows").click()
        self.button("Delete", self.dialog()).click()

    def filter_by_state(self, state: str) -> None:
        self.button("State types").click()
        self.page.get_by_role("menuitem", name=state, exact=True).click()
        self.close_list()

    def filter_by_flow(self, flow: str) -> None:
        self.choose(self.button("Filter by flow"), flow)
        self.close_list()

    def filter_by_tag(self, tag: str) -> None:
        field = self.page.get_by_placeholder("All tags")
        field.fill(tag)
        field.press("Enter")

    def choose_range(self, now: str, range: str) -> None:
        self.button(now).filter(visible=True).click()
        self.button(range, self.dialog()).click()
        expect(self.dialog()).to_have_count(0)

    def previous_range(self) -> None:
        self.button("Previous range").click()

    # Variables.

    def add_variable(self, name: str, value: str) -> None:
        self.button("Add variable").first.click()
        self.fill_variable(name, value)
        self.button("Create", self.dialog()).click()

    def change_variable(self, name: str, new_name: str, value: str) -> None:
        self.choose_of_row(name, "Edit")
        self.fill_variable(new_name, value)
        self.button("Save", self.dialog()).click()

    def fill_variable(self, name: str, value: str) -> None:
        self.write(self.dialog().get_by_role("textbox").nth(0), name)
        self.write(self.dialog().get_by_role("textbox").nth(1), value)

    def delete_variable(self, name: str) -> None:
        self.choose_of_row(name, "Delete")
        self.button("Delete", self.dialog()).click()

    # Blocks.

    def make_secret(self, name: str, value: str) -> None:
        self.open("/blocks/catalog/secret/create")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_role("tabpanel").get_by_role("textbox").fill(value)
        self.button("Save").click()

    # Work pools.

    def change_template(self, pool: str, template: str) -> None:
        self.open(f"/work-pools/work-pool/{pool}/edit")
        self.page.get_by_role("tab", name="Advanced").click()
        self.write(self.page.get_by_role("tabpanel").get_by_role("textbox"), template)
        self.button("Save").click()

    # Automations.

    def make_automation(self, name: str, state: str, pool: str) -> None:
        self.open("/automations/create")
        self.choose(self.page.get_by_label("Trigger Template"), "Flow run state")
        self.choose(self.button("Any state"), state)
        self.close_list()
        self.button("Next").click()
        self.choose(self.page.get_by_label("select action"), "Pause a work pool")
        self.choose(self.button("Select Work Pool to Pause"), pool)
        self.button("Next").click()
        self.page.get_by_label("Automation Name").fill(name)
        self.button("Save").click()

    # Limits.

    def open_tag_limits(self) -> None:
        self.open("/concurrency-limits")
        self.page.get_by_role("tab", name="Task Run").click()

    def add_tag_limit(self, tag: str, limit: int) -> None:
        self.button("add task run concurrency limit").click()
        self.dialog().get_by_role("textbox").fill(tag)
        self.dialog().get_by_role("spinbutton").fill(str(limit))
        self.button("Add", self.dialog()).click()

    def delete_tag_limit(self, tag: str) -> None:
        self.choose_of_row(tag, "Delete")
        self.button("Delete", self.dialog()).click()
