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

#: The address of a mail server that answers every question, and who gets the mail.
MAIL_URL = "mailtos://user:pass@smtp.example.com?from=from@example.com&to=to@example.com"

#: Addresses of mail in the block `slack-webhook`, by name.
MAILS: dict[str, str] = {
    "all defaults": "mailtos://user:pass@example.com",
    "unencrypted": "mailto://user:pass@example.com",
    "nobody logs in": "mailto://example.com?from=from@example.com&to=to@example.com",
    "a user without a password": "mailtos://user@example.com",
    "no sender": "mailtos://smtp.example.com?to=to@example.com",
    "ses": "mailtos://AKIA0123:Ab%2Bc%2F1%3D@email-smtp.eu-west-1.amazonaws.com?from=ops@example.com&to=a@example.com",
    "port": "mailtos://user:pass@smtp.example.com:2525?to=to@example.com",
    "port in the query": "mailtos://user:pass@smtp.example.com?to=to@example.com&port=2587",
    "port that is none": "mailtos://user:pass@smtp.example.com:abc?to=to@example.com",
    "mode ssl": f"{MAIL_URL}&mode=ssl",
    "mode starttls": MAIL_URL.replace("mailtos", "mailto") + "&mode=STARTTLS",
    "mode insecure": f"{MAIL_URL}&mode=insecure",
    "mode of our own": f"{MAIL_URL}&mode=tls",
    "not verified": f"{MAIL_URL}&verify=no",
    "another server": "mailtos://user:pass@example.com?smtp=relay.example.net&to=to@example.com",
    "encoded credentials": "mailtos://us%40er:p%40s%3As%2F%25@smtp.example.com?from=from@example.com",
    "credentials in the query": "mailtos://smtp.example.com?user=me@example.com&pass=s3cr3t&from=from@example.com",
    "a user in the query and a password": "mailtos://s3cr3t@smtp.example.com?user=me@example.com",
    "a user that is an address": "mailtos://me%40example.com:pass@smtp.example.com",
    "an at sign in the password": "mailtos://user:p@ss@smtp.example.com?from=from@example.com",
    "a colon in the password": "mailtos://user:p:ss@smtp.example.com?from=from@example.com",
    "no host, but a user": "mailtos://_?user=me@example.com&pass=s3cr3t",
    "capitals": "MAILTOS://User:Pass@SMTP.Example.COM?From=From@Example.com&TO=To@Example.com",
    "targets in the path": "mailtos://user:pass@example.com/a@example.com/b%40example.com",
    "targets in the path and the query": "mailtos://user:pass@example.com/a@example.com?to=b@example.com",
    "many targets": "mailtos://user:pass@example.com?to=a@example.com,b@example.com%20c@example.com",
    "targets with names": (
        "mailtos://user:pass@example.com?to=Ann%20%3Ca@example.com%3E,%22Doe,%20Bob%22%20%3Cb@example.com%3E"
    ),
    "a target with a colon": "mailtos://user:pass@example.com/Ann:a@example.com",
    "a name beyond ascii": "mailtos://user:pass@example.com?to=J%C3%B6rg%20%3Cj@example.com%3E&name=K%C3%B6nig",
    "a doubled target": "mailtos://user:pass@example.com?to=a@example.com,a@example.com",
    "two times to": "mailtos://user:pass@example.com?to=a@example.com&to=b@example.com",
    "a bad target": "mailtos://user:pass@example.com?to=nobody,a@example.com",
    "only bad targets": "mailtos://user:pass@example.com?to=nobody",
    "label": "mailtos://user:pass@example.com?to=label+a@example.com",
    "from that is a name": "mailtos://user:pass@example.com?from=Ours",
    "from with a name": "mailtos://user:pass@example.com?from=Ours%20%3Cfrom@example.com%3E",
    "from and name": "mailtos://user:pass@example.com?from=from@example.com&name=Our%20Server",
    "name with a comma": "mailtos://user:pass@example.com?from=from@example.com&name=Server,%20Our",
    "name alone": "mailtos://user:pass@example.com?name=Our%20Server",
    "cc": f"{MAIL_URL}&cc=c@example.com",
    "cc with a name": f"{MAIL_URL}&cc=Cy%20%3Cc@example.com%3E",
    "bcc": f"{MAIL_URL}&bcc=d@example.com",
    "cc, bcc and reply": f"{MAIL_URL}&cc=c@example.com&bcc=d@example.com&reply=r@example.com",
    "cc that is a target": f"{MAIL_URL}&cc=to@example.com,c@example.com",
    "cc that is in bcc": f"{MAIL_URL}&cc=c@example.com,d@example.com&bcc=d@example.com",
    "two targets and a cc": "mailtos://user:pass@example.com?to=a@example.com,b@example.com&cc=c@example.com",
    "two targets and reply": "mailtos://user:pass@example.com?to=a@example.com,b@example.com&reply=r@example.com",
    "a header": f"{MAIL_URL}&+X-Priority=1&+X-Word=W%C3%B6rt",
    "a header with a line break": f"{MAIL_URL}&+X-Word=a%0d%0aBcc:%20evil@example.com",
    "a name with a line break": f"{MAIL_URL}&name=a%0d%0aBcc:%20evil@example.com",
    "format text": f"{MAIL_URL}&format=text",
    "format html": f"{MAIL_URL}&format=html",
    "format markdown": f"{MAIL_URL}&format=markdown",
    "pgp": f"{MAIL_URL}&pgp=encrypt",
    "gmail": "mailto://me:pass@gmail.com",
    "gmail with targets": "mailtos://me:pass@gmail.com/to@example.com",
    "gmail on another port": "mailtos://me:pass@gmail.com:465?mode=ssl",
    "googles server": "mailtos://me%40gmail.com:pass@smtp.gmail.com?to=to@example.com",
    "yandex": "mailto://me:pass@yandex.ru",
    "hotmail": "mailto://me:pass@hotmail.com",
    "outlook": "mailto://me:pass@outlook.com",
    "office": "mailto://me%40example.com:pass@office365.com?from=me@example.com",
    "yahoo": "mailto://me:pass@yahoo.com",
    "gmx": "mailto://me:pass@gmx.de",
    "fastmail": "mailto://me:pass@fastmail.com",
    "zoho": "mailto://me:pass@zoho.com",
    "sendgrid": "mailto://apikey:SG.x@sendgrid.com?from=from@example.com",
    "163": "mailto://me:pass@163.com",
    "qq": "mailto://me:pass@qq.com",
    "comcast": "mailto://me:pass@comcast.net",
    "this machine": "mailto://localhost",
    "this machine with a user": "mailto://me@localhost?to=to@example.com",
    "address in figures": "mailto://127.0.0.1:1025?from=from@example.com&to=to@example.com",
    "address in figures of ipv6": "mailto://[::1]:1025?from=from@example.com&to=to@example.com",
    "no host": "mailto://?from=from@example.com&to=to@example.com",
    "one slash": "mailto:/user:pass@example.com",
    "no slash": "mailto:to@example.com",
    "spaces around": f"  {MAIL_URL} ",
    "a host beyond ascii": "mailtos://user:pass@h%C3%B6st.example?from=from@example.com",
}

#: Texts for mails alone.
MAIL_TEXTS: dict[str, tuple[str | None, str]] = {
    "a page": (
        "S",
        "<html><head><title>T</title><style>p {}</style></head><body><h1>Head</h1><p>One<br>two<br/>three</p>"
        "<ul><li>a</li><li>b &amp; c</li></ul><hr><blockquote>said</blockquote><!-- no -->end</body></html>",
    ),
    "a header in the subject": ("S\r\nBcc: evil@example.com", "B"),
    "dots": ("S", ".\n..\n.a\nend\n.\n"),
    "a long line": ("word " * 60, "word " * 400),
    "entities": ("S &amp; T", "5 &euro; &#8364; &#x20AC; &nbsp; &lt;b&gt; &unknown; & &copy"),
    "unclosed": ("S", "a < b and c <d"),
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
    yield from mails()
    two = {**MINIMAL["twilio-sms"], "to_phone_numbers": ["18004242424", "18004242425"]}
    both = case("twilio-sms", "answer: both fail", two, "S", "B")
    yield {**both, "answer": {"status": 400, "body": '{"code": 21211}'}}


def mails() -> Iterator[dict[str, Any]]:
    """Yields every case of a mail by SMTP, whose server is content."""
    for name, url in MAILS.items():
        yield case("slack-webhook", f"mail: {name}", {"url": url}, "Flow run failed", "It took\n3 minutes.")
    for name, (subject, body) in {**TEXTS, **MAIL_TEXTS}.items():
        for form in ("html", "text"):
            url = f"{MAIL_URL}&format={form}"
            yield case("slack-webhook", f"mail as {form}: {name}", {"url": url}, subject, body)
    refused = {"url": MAIL_URL, "allow_private_urls": False}
    yield case("slack-webhook", "mail: not to private addresses", refused, "S", "B")


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
