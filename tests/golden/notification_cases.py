"""The cases of notifications and webhooks: which block, with which data, sends what.

The data is ours and reaches nobody: the recorder answers in the place of the services.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SLACK_URL = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7F"
TEAMS_URL = (
    "https://prod-07.westeurope.logic.azure.com:443/workflows/0f1e2d3c4b5a/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc_DEF-123"
)
POWER_AUTOMATE_URL = (
    "https://abcd.12.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/0f1e2d"
    "/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc_DEF-123"
)

#: A block of each kind with nothing but what it asks for, and the answer that its service gives when all is well.
MINIMAL: dict[str, dict[str, Any]] = {
    "slack-webhook": {"url": SLACK_URL},
    "ms-teams-webhook": {"url": TEAMS_URL},
    "pager-duty-webhook": {"integration_key": "R0UT1NGK3Y", "api_key": "u+s3cr3t"},
    "twilio-sms": {
        "account_sid": "AC0123456789abcdef",
        "auth_token": "0a1b2c3d",
        "from_phone_number": "18001234567",
        "to_phone_numbers": ["18004242424"],
    },
    "opsgenie-webhook": {"apikey": "11112222-3333-4444-5555-666677778888"},
    "mattermost-webhook": {"hostname": "mattermost.example.com", "token": "t0k3nt0k3n"},
    "discord-webhook": {"webhook_id": "1234567890", "webhook_token": "t0k3n-T0K3N_t"},
    "custom-webhook": {"name": "ours", "url": "https://hooks.example.com/{{name}}"},
    "sendgrid-email": {"api_key": "SG.abc-DEF_1", "sender_email": "from@example.com", "to_emails": ["to@example.com"]},
}

ANSWERS: dict[str, tuple[int, str]] = {
    "slack-webhook": (200, "ok"),
    "ms-teams-webhook": (202, ""),
    "pager-duty-webhook": (202, '{"status": "success", "message": "Event processed", "dedup_key": "k"}'),
    "twilio-sms": (201, '{"sid": "SM1"}'),
    "opsgenie-webhook": (202, '{"result": "Request will be processed", "requestId": "43a29c5c"}'),
    "mattermost-webhook": (200, "ok"),
    "discord-webhook": (204, ""),
    "custom-webhook": (200, ""),
    "sendgrid-email": (202, ""),
}

#: Texts that every block gets, by name: subject and body.
TEXTS: dict[str, tuple[str | None, str]] = {
    "plain": ("Flow run failed", "It took 3 minutes."),
    "no subject": (None, "It took 3 minutes."),
    "empty subject": ("", "It took 3 minutes."),
    "spaces around": ("  Flow run failed \n", "\n  It took 3 minutes. \n\n"),
    "unicode": ("Läuft … 🎉", "Größe: 5 €, 数据, \u202eright to left, \u0000 null, 👩‍👩‍👧"),
    "lines": ("Two\nlines", "one\r\ntwo\nthree\r\n\r\nfour"),
    "markdown": (
        "# *Bold* subject",
        "# Heading\n\n**bold** _it_ `code <b>` [link](https://example.com/?a=1&b=2)\n- item",
    ),
    "html": ("<b>Subject</b> & more", "<p>Body & <i>more</i></p> &amp; a > b < c"),
    "slack's own": (
        "<!here>",
        "<!channel|everybody> <@U6TTX1F9R> <https://example.com?a=1&b=2|link> <https://example.com> !here",
    ),
    "more of slack's own": (
        "x",
        "<@U1> and <@u1>, <@U2|Bob > <!here> <!here|here> <mailto://a@b.c|Mail> https://a.b|x> @c d> &lt;",
    ),
    "mention": ("x", "Hello <at>a@example.com</at> and <AT> b </AT>, again <at>a@example.com</at> <at></at>"),
    "placeholders": ("{{ body }}", "{{subject}} {{name}} {% if x %} ${HOME} {0} %s"),
    "quotes": ('"quoted"', "\\ back \"slash\" 'single' \t tab"),
    "percent": ("100 %", "100% sure, 50%25, a+b=c&d;e#f?g"),
    "long": ("s" * 300, "0123456789" * 500),
    "only a body of spaces": ("Subject", "   "),
    "nothing": (None, ""),
    "empty body": ("Subject", ""),
}

#: More data for each block, by name: what is changed of its minimal data.
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "slack-webhook": {
        "success": {"notify_type": "success"},
        "warning": {"notify_type": "warning"},
        "failure": {"notify_type": "failure"},
        "gov": {"url": SLACK_URL.replace("slack.com", "slack-gov.com")},
        "gov with a query": {"url": SLACK_URL.replace("slack.com", "slack-gov.com") + "?footer=no"},
        "http": {"url": SLACK_URL.replace("https", "http")},
        "final slash": {"url": SLACK_URL + "/"},
        "upper case host": {"url": SLACK_URL.replace("hooks.slack.com", "HOOKS.Slack.com")},
        "options in the query": {"url": SLACK_URL + "?footer=no&image=no"},
        "no time": {"url": SLACK_URL + "?timestamp=no"},
        "image without footer": {"url": SLACK_URL + "?footer=no"},
        "blocks": {"url": SLACK_URL + "?blocks=yes"},
        "blocks without footer": {"url": SLACK_URL + "?blocks=yes&footer=no"},
        "workflow": {"url": "https://hooks.slack.com/workflows/T1AB/A2CD/3456/xYz7"},
        "trigger": {"url": "https://hooks.slack.com/triggers/T1AB/3456/xYz7"},
        "workflow of the wrong length": {"url": "https://hooks.slack.com/workflows/T1AB/A2CD"},
        "slack scheme": {"url": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7F"},
        "slack scheme with a bot and channels": {
            "url": "slack://bot@T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7F/%23general/@me",
        },
        "spaces around": {"url": f"  {SLACK_URL} "},
        "somebody else's": {"url": "https://hooks.example.com/services/A/B/C"},
        "another service's": {"url": "https://discord.com/api/webhooks/1234567890/t0k3n-T0K3N_t"},
        "a mattermost": {"url": "https://mattermost.example.com/hooks/t0k3nt0k3n"},
        "missing token": {"url": "https://hooks.slack.com/services/A/B"},
        "no address": {"url": "nonsense"},
        "private address": {"url": "http://10.0.0.1/services/A/B/C", "allow_private_urls": False},
        "empty": {"url": ""},
    },
    "ms-teams-webhook": {
        "no image": {"include_image": False},
        "no wrap": {"wrap": False},
        "failure": {"notify_type": "failure"},
        "success": {"notify_type": "success"},
        "power automate": {"url": POWER_AUTOMATE_URL},
        "power automate with a route": {"url": POWER_AUTOMATE_URL.replace("/workflows", "/cu/12/workflows")},
        "power automate of another version": {
            "url": POWER_AUTOMATE_URL.replace("api-version=1", "api-version=2022-03-01-preview"),
        },
        "without a port": {"url": TEAMS_URL.replace(":443", "")},
        "http and another port": {"url": TEAMS_URL.replace("https", "http").replace(":443", ":8443")},
        "another version": {"url": TEAMS_URL.replace("2016-06-01", "2019-05-01")},
        "no version": {"url": TEAMS_URL.replace("api-version=2016-06-01&", "")},
        "no signature": {"url": TEAMS_URL.replace("&sig=abc_DEF-123", "")},
        "bad signature": {"url": TEAMS_URL + "%21"},
        "no query": {"url": TEAMS_URL.split("?")[0]},
        "upper case host": {"url": TEAMS_URL.replace("prod", "PROD")},
        "somebody else's": {"url": "https://example.com/hook?x=1"},
    },
    "pager-duty-webhook": {
        "failure": {"notify_type": "failure"},
        "success": {"notify_type": "success"},
        "warning": {"notify_type": "warning"},
        "europe": {"region_name": "eu"},
        "all": {
            "source": "Ours",
            "component": "Backup",
            "group": "night",
            "class_id": "deploy",
            "clickable_url": "https://example.com",
            "include_image": False,
            "custom_details": {"disk": "145GB", "Zone": "b"},
        },
        "spaces": {
            "source": "Our server",
            "component": "Night backup",
            "group": "g h",
            "class_id": "c d",
            "custom_details": {"disk left": "145 GB", "a%41": "b%42+"},
        },
        "no source": {"source": None},
        "empty source": {"source": ""},
        "slashes": {"source": "a/b", "component": "c/d"},
        "unicode": {"source": "Zürich", "group": "数据", "custom_details": {"Größe": "5€"}},
        "a click with a query": {"clickable_url": "https://example.com/a?b=c&d=e"},
        "keys with signs": {"integration_key": "a b", "api_key": "c/d@e:f"},
        "empty key": {"integration_key": ""},
        "key of spaces": {"api_key": "  "},
    },
    "twilio-sms": {
        "many": {"to_phone_numbers": ["+1 (800) 424-2424", "4915112345678", "18004242425"]},
        "doubled": {"to_phone_numbers": ["18004242424", "+18004242424"]},
        "short code": {"from_phone_number": "12345"},
        "with a plus": {"from_phone_number": "+1 800 123 4567"},
        "nobody": {"to_phone_numbers": []},
        "nobody from a short code": {"from_phone_number": "123456", "to_phone_numbers": []},
        "bad number": {"to_phone_numbers": ["12", "18004242424"]},
        "only bad numbers": {"to_phone_numbers": ["12"]},
        "bad sender": {"from_phone_number": "abc"},
        "sender of the wrong length": {"from_phone_number": "12345678"},
        "bad account": {"account_sid": "XX12"},
        "bad token": {"auth_token": "with space"},
        "whatsapp": {"from_phone_number": "whatsapp:18001234567"},
        "whatsapp recipient": {"to_phone_numbers": ["w:18004242424", "18004242425"]},
        "two in one": {"to_phone_numbers": ["18004242424, 18004242425"]},
    },
    "opsgenie-webhook": {
        "all": {
            "target_user": ["ann@example.com", "0f1e2d3c-4b5a-4697-8877-665544332211"],
            "target_team": ["ops", "0f1e2d3c-4b5a-4697-8877-665544332212"],
            "target_schedule": ["night"],
            "target_escalation": ["boss"],
            "region_name": "eu",
            "batch": True,
            "tags": ["two", "one", "two"],
            "priority": 5,
            "alias": "alias",
            "entity": "entity",
            "details": {"Key": "Value", "b": "2"},
        },
        "one by one": {"target_user": ["bob", "ann"], "target_team": ["ops"]},
        "failure": {"notify_type": "failure"},
        "a type of its own": {"details": {"type": "ours"}},
        "no priority": {"priority": None},
        "priority 1": {"priority": 1},
        "priority 2": {"priority": 2},
        "priority 4": {"priority": 4},
        "priority 9": {"priority": 9},
        "spaces": {
            "tags": ["a b", "c,d"],
            "alias": "a b",
            "entity": "c d",
            "details": {"k e": "v w"},
            "target_team": ["our ops"],
        },
        "unicode": {"tags": ["ä"], "alias": "数", "details": {"ö": "ü"}, "target_team": ["Größe"]},
        "short names": {"target_user": ["", "x"]},
        "empty key": {"apikey": " "},
    },
    "mattermost-webhook": {
        "all": {
            "secure": True,
            "botname": "Bot name",
            "channels": ["#general", "random", "+abc"],
            "include_image": True,
            "path": "/a/b/",
            "port": 8443,
        },
        "https at its port": {"secure": True, "port": 443},
        "failure with an image": {"include_image": True, "notify_type": "failure"},
        "bad channel": {"channels": ["not a channel!", "ok"]},
        "channel with spaces": {"channels": ["our channel"]},
        "only bad channels": {"channels": ["!"]},
        "no channels": {"channels": []},
        "doubled channels": {"channels": ["b", "a", "b", "#a"]},
        "path without a slash": {"path": "sub"},
        "path with spaces": {"path": " /sub "},
        "token of spaces": {"token": " "},
        "host with a port": {"hostname": "mattermost.example.com:99"},
        "host in capitals": {"hostname": "Mattermost.Example.COM"},
        "unicode bot": {"botname": "Bötchen"},
    },
    "discord-webhook": {
        "all": {
            "botname": "Bot name",
            "tts": True,
            "include_image": True,
            "avatar": True,
            "avatar_url": "https://example.com/a.png?b=c&d=e f",
        },
        "avatar": {"avatar": True},
        "avatar of a failure": {"avatar": True, "notify_type": "failure"},
        "avatar address alone": {"avatar_url": "https://example.com/a.png"},
        "unicode bot": {"botname": "Bötchen/ß@:%41"},
        "token of spaces": {"webhook_token": " "},
        "id with a slash": {"webhook_id": "12/34"},
    },
    "custom-webhook": {
        "get": {"method": "GET", "params": {"a": "{{subject}}", "b": "x y&z"}},
        "json": {
            "json_data": {
                "text": "{{subject}}\n{{body}}",
                "title": "{{name}}",
                "n": {"l": ["{{ body }}", 1, True, None]},
            },
        },
        "form": {"form_data": {"text": "{{subject}}", "body": "{{body}}"}},
        "raw form": {"form_data": "text={{subject}}&body={{ body }}"},
        "headers": {
            "headers": {"X-Subject": "one {{name}}", "User-Agent": "ours", "Content-Type": "text/x-ours"},
            "form_data": "x",
        },
        "headers with json": {
            "headers": {"content-type": "application/x-ours", "Accept": "text/plain"},
            "json_data": {},
        },
        "cookies": {"cookies": {"a": "1", "b": "{{token}}"}, "secrets": {"token": "s3cr3t"}},
        "cookie in a header as well": {"cookies": {"a": "1"}, "headers": {"Cookie": "c=3"}},
        "secrets": {
            "url": "https://hooks.example.com/{{token}}",
            "json_data": {"t": "{{token}}"},
            "secrets": {"token": "s3cr3t"},
        },
        "a nested secret": {"json_data": {"t": "{{a.b}}"}, "secrets": {"a": {"b": "deep"}}},
        "a secret that is no text": {
            "json_data": {"t": "{{n}}", "u": "x{{n}}", "v": "{{b}} {{z}} {{f}}", "w": "{{l}}"},
            "secrets": {"n": 5, "b": True, "z": None, "f": 1.5, "l": [1, {"a": None}]},
        },
        "a secret that is a list in a text": {"json_data": {"v": "-{{l}}"}, "secrets": {"l": [1, "a", None]}},
        "a number as a parameter": {
            "params": {"n": "{{n}}", "b": "{{b}}", "z": "{{z}}"},
            "secrets": {"n": 5, "b": True, "z": None},
        },
        "a number as a header": {"headers": {"X-N": "{{n}}"}, "secrets": {"n": 5}},
        "braces": {
            "json_data": {
                "a": "{{{name}}}",
                "b": "{{ {{name}} }}",
                "c": "{{}} {{a b}} {{name",
                "d": ["{{ name}}x{{name }}"],
            },
        },
        "a secret called body": {"json_data": {"t": "{{body}}"}, "secrets": {"body": "s3cr3t"}},
        "unknown placeholder": {"json_data": {"t": "{{nobody}}"}},
        "unknown placeholder in a key": {"json_data": {"{{nobody}}": "{{ name }}"}},
        "environment": {"json_data": {"t": "{{$HOME}} x"}},
        "both bodies": {"json_data": {}, "form_data": {}},
        "put": {"method": "PUT", "json_data": {"a": "ü", "b": 1.5, "c": 1e20}},
        "delete": {"method": "DELETE"},
        "delete with json": {"method": "DELETE", "json_data": {"a": 1}},
        "get with json": {"method": "GET", "json_data": {"a": 1}},
        "patch": {"method": "PATCH", "form_data": {"ä": "ö ü&"}},
        "empty form": {"form_data": {}},
        "empty raw form": {"form_data": ""},
        "params and a query": {"url": "https://hooks.example.com/a?x=1", "params": {"y": "2"}},
        "no params and a query": {"url": "https://hooks.example.com/a?x=1", "params": {}},
        "a fragment": {"url": "https://hooks.example.com/a#b"},
        "credentials in the address": {"url": "https://user:p%40ss@hooks.example.com/a"},
        "credentials and a header": {
            "url": "https://user:pass@hooks.example.com/a",
            "headers": {"Authorization": "Bearer x"},
        },
        "unicode address": {"url": "https://hooks.example.com/ä ö?q=ü ß"},
        "unicode host": {"url": "https://höst.example/a"},
        "unicode header": {"headers": {"X-A": "ü"}},
        "a header with a line break": {"headers": {"X-A": "{{body}}"}},
        "ftp": {"url": "ftp://example.com/a"},
        "no scheme": {"url": "hooks.example.com/a"},
        "unknown method": {"method": "HEAD"},
        "private": {"url": "http://10.0.0.1/a", "allow_private_urls": False},
        "public": {"url": "http://93.184.215.14/a", "allow_private_urls": False},
        "the subject in the address": {"url": "https://hooks.example.com/{{subject}}?b={{body}}"},
    },
    "sendgrid-email": {
        "many": {"to_emails": ["two@example.com", "one+label@example.com", "two@example.com"]},
        "to oneself": {"to_emails": ["from@example.com"]},
        "bad recipient": {"to_emails": ["nobody", "ok@example.com"]},
        "only bad recipients": {"to_emails": ["nobody"]},
        "nobody": {"to_emails": []},
        "bad sender": {"sender_email": "nobody"},
        "label": {"sender_email": "label+from@example.com"},
        "bad key": {"api_key": "with space"},
        "name": {"to_emails": ["Ann <ann@example.com>"]},
        "failure": {"notify_type": "failure"},
    },
}

#: What a webhook's block is changed to, and its payload.
WEBHOOKS: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({}, "some text"),
    "json in a text": ({}, '{"a": 1}'),
    "empty text": ({}, ""),
    "nothing": ({}, None),
    "object": ({}, {"a": "ü", "b": [1, 2.5, None, True], "c": {}}),
    "empty object": ({}, {}),
    "unicode": ({}, "Größe 🎉 \u0000"),
    "get": ({"method": "GET"}, "text"),
    "get nothing": ({"method": "GET"}, None),
    "get an empty text": ({"method": "GET"}, ""),
    "put": ({"method": "PUT"}, "text"),
    "put nothing": ({"method": "PUT"}, None),
    "patch": ({"method": "PATCH"}, "text"),
    "delete": ({"method": "DELETE"}, "text"),
    "delete nothing": ({"method": "DELETE"}, ""),
    "headers": ({"headers": {"X-Token": "t", "accept": "text/plain", "Content-Type": "application/json"}}, '{"a": 1}'),
    "headers and an object": ({"headers": {"content-type": "application/x-ours"}}, {"a": 1}),
    "a host": ({"headers": {"Host": "other.example.com"}}, "x"),
    "a content length": ({"headers": {"Content-Length": "3"}}, "some text"),
    "a user agent": ({"headers": {"User-Agent": "ours"}}, "x"),
    "a header that is a number": ({"headers": {"X-N": 5}}, "x"),
    "a header that is null": ({"headers": {"X-N": None}}, "x"),
    "query and fragment": ({"url": "https://hooks.example.com/a b/ü?q=1&r=ü+%2B#f"}, "x"),
    "credentials": ({"url": "https://user:p%40ss@hooks.example.com/"}, "x"),
    "no path": ({"url": "https://hooks.example.com"}, "x"),
    "port": ({"url": "https://hooks.example.com:8443/a"}, "x"),
    "default port": ({"url": "https://hooks.example.com:443/a"}, "x"),
    "capitals": ({"url": "HTTPS://Hooks.Example.COM/A"}, "x"),
    "dots": ({"url": "https://hooks.example.com/a/../b/./c"}, "x"),
    "unicode host": ({"url": "https://höst.example/a"}, "x"),
    "not verified": ({"verify": False}, "x"),
    "ftp": ({"url": "ftp://example.com/a"}, "x"),
    "no scheme": ({"url": "example.com/a"}, "x"),
    "empty address": ({"url": ""}, "x"),
    "private, allowed": ({"url": "http://10.0.0.1/a"}, "x"),
    "private, not allowed": ({"url": "http://10.0.0.1/a", "allow_private_urls": False}, "x"),
    "loopback, not allowed": ({"url": "http://[::1]:9/a", "allow_private_urls": False}, "x"),
    "public, not allowed private": ({"url": "http://93.184.215.14/a", "allow_private_urls": False}, "x"),
    "unknown method": ({"method": "OPTIONS"}, "x"),
    "lower case method": ({"method": "post"}, "x"),
    "extra fields": ({"nothing": "of ours"}, "x"),
    "flags as texts": ({"verify": "no", "allow_private_urls": "yes"}, "x"),
}

#: Answers that may not be success.
STATUSES = [200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 429, 500, 503]


def notifications() -> Iterator[dict[str, Any]]:
    """Yields every case of a notification, without what the recorder finds out."""
    for slug, minimal in MINIMAL.items():
        for name, (subject, body) in TEXTS.items():
            data = {**minimal, "json_data": {"s": "{{subject}}", "b": "{{body}}", "x": "{{subject}}: {{body}}"}}
            data = data if slug == "custom-webhook" else minimal
            yield case(slug, f"text: {name}", data, subject, body)
        for name, options in OPTIONS[slug].items():
            yield case(slug, f"option: {name}", {**minimal, **options}, "Flow run failed", "It took\n3 minutes.")
        for status in STATUSES:
            made = case(slug, f"status: {status}", minimal, "Subject", "Body")
            content = ANSWERS[slug][1]
            yield {**made, "answer": {"status": status, "body": "" if status == 204 else content}}
    slack = case("slack-webhook", "answer: not ok", MINIMAL["slack-webhook"], "S", "B")
    yield {**slack, "answer": {"status": 200, "body": "no"}}
    opsgenie = case("opsgenie-webhook", "answer: without an id", MINIMAL["opsgenie-webhook"], "S", "B")
    yield {**opsgenie, "answer": {"status": 202, "body": "{}"}}
    two = {**MINIMAL["twilio-sms"], "to_phone_numbers": ["18004242424", "18004242425"]}
    both = case("twilio-sms", "answer: both fail", two, "S", "B")
    yield {**both, "answer": {"status": 400, "body": '{"code": 21211}'}}


def case(slug: str, name: str, data: dict[str, Any], subject: str | None, body: str) -> dict[str, Any]:
    """Returns one case whose service is content."""
    status, content = ANSWERS[slug]
    answer = {"status": status, "body": content}
    return {"name": f"{slug}: {name}", "block": slug, "data": data, "subject": subject, "body": body, "answer": answer}


def webhooks() -> Iterator[dict[str, Any]]:
    """Yields every case of a webhook's call, without what the recorder finds out."""
    for name, (options, payload) in WEBHOOKS.items():
        data = {"url": "https://hooks.example.com/a", **options}
        answer = {"status": 200, "body": "fine"}
        yield {"name": f"webhook: {name}", "block": "webhook", "data": data, "payload": payload, "answer": answer}
    for status in STATUSES:
        data = {"url": "https://hooks.example.com/a"}
        answer = {"status": status, "body": "text"}
        yield {"name": f"webhook: status {status}", "block": "webhook", "data": data, "payload": "x", "answer": answer}
