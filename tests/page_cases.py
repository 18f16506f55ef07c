"""What is asked of the page, and what is answered: by Prefect's server, by ours, and by CloudFront before a bucket.

The table is in `page/cases.json`, for servers whose interfaces are at the root. `cloud` has what is different in the
cloud, and `ours` says that Prefect's server answers otherwise on purpose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).resolve().parent / "page" / "cases.json"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@dataclass(frozen=True)
class Answer:
    """A status, and where a redirect leads or which file is shown, by its path in the bucket."""

    status: int
    location: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Case:
    """A request, the answer of a server, and that of the cloud; `ours` says that Prefect's server answers otherwise."""

    method: str
    path: str
    headers: dict[str, str]
    answer: Answer
    in_the_cloud: Answer
    ours: bool = False

    def __str__(self) -> str:
        shown = " ".join(f"{name}={text}" for name, text in self.headers.items() if text != "*/*")
        return f"{self.method} {self.path} {shown.replace(HTML, 'html')}".strip()


def cases() -> list[Case]:
    """Reads the table; `GET` stands for `HEAD` as well."""
    made = []
    for row in json.loads(TABLE.read_text()):
        accept = {"html": HTML, "any": "*/*"}.get(row["accept"], row["accept"])
        headers = {"accept": accept, **row.get("headers", {})}
        answer = Answer(row["status"], row.get("location"), row.get("file"))
        cloud = row.get("cloud")
        in_the_cloud = Answer(cloud["status"], cloud.get("location"), cloud.get("file")) if cloud else answer
        methods = row["methods"] if "methods" in row else ["GET", "HEAD"]
        ours = row.get("ours", False)
        made += [Case(method, row["path"], headers, answer, in_the_cloud, ours) for method in methods]
    return made
