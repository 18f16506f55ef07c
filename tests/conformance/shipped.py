"""What Prefect ships as block types, in the form that ours installs: taken from the oracle's own package."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .servers import inherited_environment, oracle_executable

# Run by the oracle's interpreter: the blocks that its server registers from its own code, and those of its collections.
SCRIPT = """
import json, pathlib, sys
import prefect.server
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
from prefect.filesystems import LocalFileSystem
from prefect.utilities.dispatch import get_registry_for_type
import prefect.server.models.block_registration

protected = [Webhook, Secret, LocalFileSystem]
own = {}
for block in [*protected, *(get_registry_for_type(Block) or {}).values()]:
    entry = block._to_block_type().model_dump(mode="json", include={
        "name", "slug", "logo_url", "documentation_url", "description", "code_example"})
    schema = block._to_block_schema(block_type_id="00000000-0000-4000-8000-000000000000")
    entry["is_protected"] = block in protected
    entry["block_schema"] = schema.model_dump(mode="json", include={"checksum", "fields", "capabilities", "version"})
    own.setdefault(entry["slug"], entry)
shipped = json.loads((pathlib.Path(prefect.server.__file__).parent / "collection_blocks_data.json").read_text())
print(json.dumps({"collections": {"prefect": {"block_types": own}, **shipped["collections"]}}))
"""


def folder(into: Path) -> Path:
    """Makes the folder that `PROCTOR_ASSETS` names."""
    python = oracle_executable().with_name("python")
    environment = {**inherited_environment(), "PREFECT_HOME": str(into), "DO_NOT_TRACK": "1"}
    printed = subprocess.run([python, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True)
    (into / "block_types.json").write_text(printed.stdout)
    return into
