"""Records what the oracle renders templates of automations to.

Run it with the oracle's own Python: `.venv/bin/python tests/templates/record.py`. `common/tests/template_vectors.rs` compares
with `vectors.json`. Where Python's words for a failure matter to nobody, only that there is one is compared.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="template-vectors-")
os.environ["PREFECT_UI_URL"] = "http://ui.example"
os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"

import cases  # noqa: E402
from prefect.server.events.actions import JinjaTemplateAction  # noqa: E402
from prefect.server.events.schemas.automations import Automation, Firing  # noqa: E402
from prefect.server.events.schemas.events import ReceivedEvent  # noqa: E402
from prefect.server.events.schemas.labelling import LabelDiver  # noqa: E402
from prefect.server.schemas.core import Flow  # noqa: E402
from prefect.server.schemas.responses import FlowRunResponse  # noqa: E402
from prefect.server.utilities.user_templates import TemplateRenderError, render_user_template_sync  # noqa: E402

logging.disable(logging.CRITICAL)
VECTORS = Path(__file__).with_name("vectors.json")
MODELS: dict[str, Any] = {model.__name__: model for model in (Automation, Firing, ReceivedEvent, Flow, FlowRunResponse)}


def value(part: tuple[str, Any] | None) -> tuple[Any, Any]:
    """What the oracle's templates get, and what it is recorded as."""
    if part is None:
        return None, None
    kind, content = part
    if kind == "plain":
        return content, content
    if kind == "labels":
        return LabelDiver(content), content
    made = [MODELS[kind].model_validate(item) for item in (content if isinstance(content, list) else [content])]
    recorded = [json.loads(item.model_dump_json()) for item in made]
    return (made, recorded) if isinstance(content, list) else (made[0], recorded[0])


def main() -> None:
    JinjaTemplateAction._register_filters_if_needed()
    context, recorded = {}, {}
    for name, part in cases.CONTEXT.items():
        context[name], content = value(part)
        recorded[name] = {"kind": part[0] if part else "none", "value": content}
    rendered: list[dict[str, Any]] = []
    for template in cases.TEMPLATES:
        try:
            rendered.append({"template": template, "rendered": render_user_template_sync(template, context)})
        except TemplateRenderError as error:
            rendered.append({"template": template, "error": str(error)})
    VECTORS.write_text(json.dumps({"ui_url": os.environ["PREFECT_UI_URL"], "context": recorded, "templates": rendered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
