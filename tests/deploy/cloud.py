"""AWS as the steps see it: its clients, `sam deploy`, tokens, sockets and REST requests."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import boto3
from websockets.sync.client import connect

# Whatever is waited for has to happen within this time. It is waited for in vain only when something is wrong.
PATIENCE = 180


class Cloud:
    """An emulated AWS, and the stack that is looked at."""

    stack = "livefold"

    def __init__(self, build, architecture, log):
        self.build, self.architecture, self.log = build, architecture, log
        self.endpoint = os.environ["AWS_ENDPOINT_URL"]
        self.outputs = {}

        eventually("the emulator answers", lambda: self.client("sts").get_caller_identity())

    def client(self, service):
        return boto3.client(service)

    # ─── Stacks ───

    def parameters(self, **given):
        """What a user gives to `sam deploy`; here also where the APIs are reached, for they are not at AWS's names."""
        return {
            "Architecture": self.architecture,
            "ExecuteApiUrl": f"{self.endpoint}/_aws/execute-api",
            "Kafka": "none",
            **given,
        }

    def deploy(self, stack, **given):
        """`sam deploy`, as the README has it."""
        overrides = [f"{name}={value}" for name, value in self.parameters(**given).items()]
        command = [
            "sam", "deploy", "--template-file", str(self.build / "template.yaml"), "--stack-name", stack, "--resolve-s3",
            "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "--no-confirm-changeset",
            "--no-progressbar", "--parameter-overrides", *overrides,
        ]
        log = self.log / f"deploy-{stack}.log"
        with log.open("a") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=900)
        assert done.returncode == 0, f"sam deploy of {stack} ended with {done.returncode}, see {log}"
        return self.outputs_of(stack)

    def outputs_of(self, stack):
        described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def resources(self, stack):
        """Physical ids by logical ids."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }

    # ─── The APIs ───

    def api(self, url):
        """An API's path here, from the URL that it has at AWS."""
        return url.split("//")[1].split(".")[0]

    def socket(self, query):
        url = self.outputs["SocketUrl"]
        stage = url.rsplit("/", 1)[-1]
        host = self.endpoint.removeprefix("http://")
        return connect(f"ws://{host}/_aws/execute-api/{self.api(url)}/{stage}{query}", open_timeout=PATIENCE)

    def get(self, path, token=None):
        """Status and JSON of a REST request."""
        url = f"{self.endpoint}/_aws/execute-api/{self.api(self.outputs['RestUrl'])}/$default{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"null")

    def token(self, secret=None, **claims):
        """A token, signed with the stack's own secret, as whoever issues them does it."""
        if secret is None:
            value = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["TokenSecret"])
            secret = value["SecretString"]
        now = int(time.time())
        claims = {
            "sub": "ada", "tenant_id": "acme", "iat": now, "exp": now + 3600, "permissions": ["dashboard:read:live"], **claims,
        }
        signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{signed}.{_base64(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"

    # ─── Kafka ───

    def ingest(self, events, first_offset, topic="campaign.events.v1"):
        """Invokes ingest as MSK's mapping does."""
        records = [
            {
                "topic": topic, "partition": 0, "offset": first_offset + n, "timestamp": int(time.time() * 1000),
                "timestampType": "CREATE_TIME", "key": _plain_base64(b"c-17"), "headers": [],
                "value": _plain_base64(event if isinstance(event, bytes) else json.dumps(event).encode()),
            }
            for n, event in enumerate(events)
        ]
        payload = {"eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka:…", "bootstrapServers": "b-1:9098",
                   "records": {f"{topic}-0": records}}
        answer = self.client("lambda").invoke(
            FunctionName=self.resources(self.stack)["Ingest"], Payload=json.dumps(payload).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()


def eventually(what, condition):
    """Waits until the condition gives something."""
    begun, last = time.monotonic(), None
    while time.monotonic() - begun < PATIENCE:
        try:
            if value := condition():
                return value
        except Exception as error:  # It may not be there yet; what it said last is told in the end.
            last = error
        time.sleep(0.2)
    raise AssertionError(f"never happened: {what}" + (f" (last: {last})" if last else ""))


def receive(socket, what, wanted):
    """The next message that is wanted; others are passed over."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        message = json.loads(socket.recv(timeout=left))
        if wanted(message):
            return message
    raise AssertionError(f"never came: {what}")


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain_base64(data):
    return base64.b64encode(data).decode()
