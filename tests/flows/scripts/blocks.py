"""A block of one's own with others and secrets within it, saved and loaded; prints what a process loads.

`save` saves the blocks, `load` loads them in a process that never saw them saved, `change` changes one that is within.
"""

from __future__ import annotations

import json
import sys

from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.filesystems import LocalFileSystem
from prefect.types import SecretDict
from pydantic import SecretStr


class Account(Block):
    """Who connects."""

    user: str
    password: SecretStr
    tokens: SecretDict


class Warehouse(Block):
    """Where data lies."""

    account: Account
    files: LocalFileSystem
    options: dict[str, int] = {}


def shown(warehouse: Warehouse) -> dict[str, object]:
    account = warehouse.account
    tokens = account.tokens.get_secret_value()
    return {
        "user": account.user,
        "password": account.password.get_secret_value(),
        "tokens": tokens,
        "basepath": warehouse.files.basepath,
        "options": warehouse.options,
    }


action, secret, *rest = sys.argv[1:]
if action == "save":
    account = Account(user="me", password=secret, tokens={"a": f"token of {secret}"})
    account.save("account")
    files = LocalFileSystem(basepath=rest[0])
    files.save("files")
    # One is within by name, and the other one is saved with what it is within.
    Warehouse(account=Account.load("account"), files=files, options={"rows": 1}).save("warehouse")
    Secret(value=secret).save("plain")
    Secret(value={"nested": [secret]}).save("object")
elif action == "change":
    account = Account.load("account")
    account.password = SecretStr(f"{secret} again")
    account.save("account", overwrite=True)
    warehouse = Warehouse.load("warehouse")
    warehouse.options = {"rows": 2}
    warehouse.save("warehouse", overwrite=True)
print(json.dumps({**shown(Warehouse.load("warehouse")), "plain": Secret.load("plain").get(), "object": Secret.load("object").get()}))
