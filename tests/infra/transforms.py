"""What the emulator wants otherwise than AWS: each a small, named change of the templates, with its reason.

What each leaves unproven is written down in infra/README.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Template = dict[str, Any]


def routes_end_with_a_slash(template: Template, _port: int) -> None:
    """Turns `{proxy+}` behind a slash into the slash alone.

    API Gateway takes no route key that ends with a slash. The emulator takes it, and wants something to stand where
    `{proxy+}` is, so that collections would all be answered by the fallback and not by their own functions.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            properties = resource["Properties"]
            properties["RouteKey"] = properties["RouteKey"].removesuffix("{proxy+}")


def cloudfront_stays_on_this_machine(template: Template, port: int) -> None:
    """Leads the distribution to the emulator's own address of the HTTP API.

    The emulator looks up an origin's host name like any other, and on this machine none leads to the API.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFront::Distribution":
            origin = resource["Properties"]["DistributionConfig"]["Origins"][0]
            origin["DomainName"] = "localhost"
            origin["OriginPath"] = {"Fn::Sub": "/_aws/execute-api/${HttpApi}"}
            origin["CustomOriginConfig"] = {"OriginProtocolPolicy": "http-only", "HTTPPort": port}


def origins_are_asked_alone(template: Template, _port: int) -> None:
    """Leads what has a second origin to the first alone.

    The emulator knows no groups of origins. `distribution.py` asks the second one in its place.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFront::Distribution":
            config = resource["Properties"]["DistributionConfig"]
            groups = config.pop("OriginGroups")["Items"]
            firsts = {group["Id"]: group["Members"]["Items"][0]["OriginId"] for group in groups}
            for behaviour in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]:
                if origin := behaviour.get("TargetOriginId"):  # the relay's is there under a condition alone
                    behaviour["TargetOriginId"] = firsts.get(origin, origin)


# What CloudFront has beside the event of a function, made of the event.
RAW_QUERY_STRING = """
function withQuery(event) {
  event.request.rawQueryString = function () {
    var query = event.request.querystring;
    return Object.keys(query).map(function (name) {
      return name + '=' + encodeURIComponent(query[name].value);
    }).join('&');
  };
  return event;
}
"""


def functions_have_the_query_as_it_came(template: Template, _port: int) -> None:
    """Gives the functions at the edge the method `rawQueryString`, which the emulator lacks."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFront::Function":
            code = resource["Properties"]["FunctionCode"]
            if isinstance(code, dict):
                head = "function handler(event) {"
                text = code["Fn::Sub"].replace(head, f"{head}\n  withQuery(event);")
                resource["Properties"]["FunctionCode"] = {"Fn::Sub": text + RAW_QUERY_STRING}


def uploads_need_no_encryption(template: Template, _port: int) -> None:
    """Leaves out that buckets refuse what comes without TLS: the emulator is asked without."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::S3::BucketPolicy":
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [one for one in document["Statement"] if one["Effect"] == "Allow"]


def connections_are_cut_on_this_machine(template: Template, port: int) -> None:
    """Leads the functions that reach websockets' clients to the emulator's own address of their connections.

    On this machine no name leads to the API.
    """
    for resource in template["Resources"].values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        if address := variables.get("PROCTOR_CONNECTIONS_URL"):
            api, stage = re.match(r"https://(\$\{\w+\}).*/(.+)", address["Fn::Sub"]).groups()
            address["Fn::Sub"] = f"http://127.0.0.1:{port}/_aws/execute-api/{api}/{stage}"


def answers_need_no_declaration(template: Template, _port: int) -> None:
    """Leaves out route responses.

    API Gateway sends the client what a function answers to a message only where a route response is declared. The
    emulator always sends it, and does not know that type of resource.
    """
    resources = template["Resources"]
    for name in [name for name, one in resources.items() if one["Type"] == "AWS::ApiGatewayV2::RouteResponse"]:
        del resources[name]


def batches_are_actions_of_their_own(template: Template, _port: int) -> None:
    """Allows batches of messages where messages may be sent.

    To AWS a batch is allowed by the action of one message, and no action has the batch's name. The emulator asks for it.
    """
    for resource in template["Resources"].values():
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if "sqs:SendMessage" in statement.get("Action", []):
                    statement["Action"].append("sqs:SendMessageBatch")


# The properties that the emulator takes as numbers alone.
NUMBERS = {"MaximumConcurrency", "ParallelizationFactor"}
ROOT = Path(__file__).resolve().parent.parent.parent / "infra" / "templates" / "proctor.json"


def numbers_are_no_text(template: Template, _port: int) -> None:
    """Puts the defaults of parameters where the emulator compares numbers.

    CloudFormation makes a number of a parameter of the type `Number`. The emulator leaves it the text that it is.
    """
    parameters = json.loads(ROOT.read_text())["Parameters"]

    def work_in(value: Any) -> None:
        for name, part in value.items() if isinstance(value, dict) else ():
            if name in NUMBERS and isinstance(part, dict) and "Ref" in part:
                value[name] = parameters[part["Ref"]]["Default"]
            else:
                work_in(part)
        for part in value if isinstance(value, list) else ():
            work_in(part)

    work_in(template["Resources"])


def shards_have_no_names(template: Template, _port: int) -> None:
    """Leaves out the mapping of the consumer that counts.

    Lambda tells a function with a tumbling window of which shard its records are. The emulator has no windows, and the
    consumer refuses to count what it could not recognise when it comes again.
    """
    resources = template["Resources"]
    for name in [name for name, one in resources.items() if "TumblingWindowInSeconds" in one["Properties"]]:
        del resources[name]


def layers_lie_on_this_machine(template: Template, layer: Path) -> None:
    """Tells functions where the folder of their layer is.

    Lambda unpacks a layer under `/opt`. The emulator takes it with the function, and starts a binary without it.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function" and "Layers" in resource["Properties"]:
            variables = resource["Properties"]["Environment"]["Variables"]
            mounted = Path(variables["PROCTOR_ASSETS"])
            variables["PROCTOR_ASSETS"] = str(layer / mounted.relative_to("/opt"))


TRANSFORMS: list[Callable[[Template, int], None]] = [
    routes_end_with_a_slash,
    cloudfront_stays_on_this_machine,
    origins_are_asked_alone,
    functions_have_the_query_as_it_came,
    uploads_need_no_encryption,
    connections_are_cut_on_this_machine,
    answers_need_no_declaration,
    batches_are_actions_of_their_own,
    numbers_are_no_text,
    shards_have_no_names,
]
