"""What is done with the deployed system, step by step, and what has to come of it. Each returns what was seen."""

import json
import subprocess
import time

from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus

from cloud import eventually, receive

TOPICS = {"campaign.events.v1", "dialer.health.v1", "platform.analytics.check-in.v1", "platform.analytics.events.v1"}
CLUSTER = "arn:aws:kafka:us-east-1:123456789012:cluster/orders/0123-4567"
VPC, SUBNETS = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0,subnet-0123456789abcdef1"

# Parameters that make no sense, and what the template has to say of them.
NONSENSE = [
    ({"Kafka": "sometimes"}, "Kafka"),
    ({"Kafka": "existing"}, "needs KafkaClusterArn"),
    ({"Kafka": "existing", "KafkaClusterArn": "orders"}, "the ARN of an MSK cluster"),
    ({"Kafka": "none", "KafkaClusterArn": CLUSTER}, "goes with Kafka=existing"),
    ({"Kafka": "existing", "KafkaClusterArn": CLUSTER, "VpcId": VPC, "SubnetIds": SUBNETS}, "VpcId is for a cluster that is made"),
    ({"Kafka": "existing", "KafkaClusterArn": CLUSTER, "SubnetIds": SUBNETS}, "need SecurityGroupIds"),
    ({"Kafka": "serverless", "VpcId": VPC}, "VpcId needs SubnetIds"),
    ({"Kafka": "serverless", "SubnetIds": SUBNETS}, "SubnetIds needs their VpcId"),
    ({"Kafka": "serverless", "VpcId": "my-vpc", "SubnetIds": SUBNETS}, "the id of a VPC"),
    ({"Kafka": "provisioned", "KafkaVersion": "2.8.1"}, "3.6 or newer"),
    ({"Kafka": "provisioned", "BrokerType": "t3.small"}, "type of MSK"),
    ({"Kafka": "serverless", "VpcCidr": "10.0.0.0/30"}, "a private range"),
    ({"RetentionDays": "3"}, "0 (for ever) or more than 7"),
    ({"TopicEpoch": "-1"}, "TopicEpoch"),
    ({"TickMs": "5"}, "TickMs"),
    ({"Shards": "0"}, "Shards"),
    ({"DefaultTenant": "a#b"}, "DefaultTenant"),
    ({"TokenSigning": "issuer"}, "needs TokenIssuer"),
    ({"TokenSigning": "issuer", "TokenIssuer": "http://issuer.example"}, "TokenIssuer"),
    ({"AllowedOrigins": "*"}, "origins as browsers send them"),
    ({"Stage": "$default"}, "API Gateway allows no $default"),
    ({"Architecture": "mips"}, "Architecture"),
    ({"LogLevel": "loud"}, "LogLevel"),
    ({"LogRetentionDays": "2"}, "LogRetentionDays"),
    ({"DeletionProtection": "maybe"}, "DeletionProtection"),
    ({"AlarmEmail": "nobody"}, "an e-mail address"),
    ({"AlarmEmail": "ops@example.com", "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:ops"}, "not both"),
]


def nonsense_is_refused(aws):
    """By the template and at once, not by a function that fails later."""
    packaged = aws.log / "packaged.yaml"
    with (aws.log / "package.log").open("w") as log:
        subprocess.run(
            ["sam", "package", "--template-file", str(aws.build / "template.yaml"), "--resolve-s3", "--output-template-file",
             str(packaged)],
            check=True, stdout=log, stderr=subprocess.STDOUT,
        )
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    s3.create_bucket(Bucket="nonsense")
    s3.put_object(Bucket="nonsense", Key="template.yaml", Body=packaged.read_bytes())
    for given, expected in NONSENSE:
        parameters = [{"ParameterKey": k, "ParameterValue": v} for k, v in aws.parameters(**given).items()]
        try:
            cloudformation.create_stack(
                StackName="nonsense", TemplateURL=f"{aws.endpoint}/nonsense/template.yaml", Parameters=parameters,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as refused:
            assert expected in str(refused), f"{given} is refused with {refused}, not with “{expected}”"
        else:
            raise AssertionError(f"{given} is taken")
    return f"{len(NONSENSE)} of {len(NONSENSE)} refused"


def deploy(aws):
    aws.outputs = aws.deploy(aws.stack, AlarmEmail="ops@example.com")
    assert aws.outputs["SocketUrl"].startswith("wss://") and aws.outputs["SocketUrl"].endswith("/ws"), aws.outputs
    assert aws.outputs["RestUrl"].startswith("https://"), aws.outputs
    assert "dashboards" in aws.outputs["Dashboard"], aws.outputs
    table = aws.client("dynamodb").describe_table(TableName=aws.outputs["ChannelsTable"])["Table"]
    assert table["DeletionProtectionEnabled"], table
    return f"{len(aws.resources(aws.stack))} resources"


def alarms_and_dashboard(aws):
    cloudwatch = aws.client("cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert alarms, "there is no alarm"
    mute = [alarm["AlarmName"] for alarm in alarms if not alarm["AlarmActions"]]
    assert not mute, f"nobody is told of {mute}"
    unexplained = [alarm["AlarmName"] for alarm in alarms if "docs/operations.md" not in alarm.get("AlarmDescription", "")]
    assert not unexplained, f"nothing says what to do about {unexplained}"
    [dashboard] = cloudwatch.list_dashboards()["DashboardEntries"]
    body = cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    assert "${" not in body, "a name in the dashboard is not filled in"
    return f"{len(alarms)} alarms, {len(widgets)} widgets"


def health(aws):
    def ready():
        status, body = aws.get("/health/ready")
        return status == 200 and body

    eventually("the system is ready", ready)
    assert aws.get("/health")[0] == 200 and aws.get("/health/live")[0] == 200


def bad_tokens_are_refused(aws):
    good, now = aws.token(), int(time.time())
    cases = [
        ("none", None, 401),
        ("garbage", "garbage", 401),
        ("another secret", aws.token(secret="x" * 64), 401),
        ("changed", good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), 401),
        ("expired", aws.token(iat=now - 7200, exp=now - 3600), 401),
        ("no tenant", aws.token(tenant_id=None), 401),
        ("no permission", aws.token(permissions=[]), 403),
    ]
    for name, token, expected in cases:
        status, body = aws.get("/analytics/metrics", token)
        assert (status, body["success"]) == (expected, False), f"REST, {name}: {status} {body}"
        try:
            aws.socket(f"?token={token}" if token else "").close()
        except InvalidStatus as refused:
            # Whatever the function says, ministack says 403; tests/tokens.rs looks at what the function says.
            assert refused.response.status_code == 403, f"socket, {name}: {refused.response.status_code}"
        else:
            raise AssertionError(f"a socket is opened with {name}")
    assert aws.get("/analytics/metrics", good)[0] == 200
    return f"{len(cases)} tokens, over REST and socket"


def call(event_type, **more):
    return {"eventType": event_type, "campaignId": "c-17", "callId": "call-1", "tenantId": "acme", "phoneNumber": "+15550100", **more}


def records_are_counted_once(aws):
    batch = [
        call("campaign_status_changed", status="active", name="Spring appeal"), call("call_queued"), call("call_initiated"),
        call("call_answered"), b"no JSON", call("call_ended", status="completed", outcome="converted", duration=40, cost=0.25),
    ]
    # Kafka delivers at least once; so does this.
    for _ in range(3):
        aws.ingest(batch, first_offset=100)
    status, body = aws.get("/analytics/campaigns/c-17/metrics", aws.token())
    assert status == 200, body
    seen = {name: body["data"][name] for name in ("totalAttempts", "answered", "converted", "activeCalls", "averageCallDuration")}
    assert seen == {"totalAttempts": 1, "answered": 1, "converted": 1, "activeCalls": 0, "averageCallDuration": 40}, seen
    assert "5550100" not in json.dumps(body)
    status, body = aws.get("/analytics/campaigns/c-17/metrics", aws.token(tenant_id="globex"))
    assert status == 404, f"another tenant sees {body}"
    # Spread over eight keys, several records an item: docs/operations.md.
    quarantined = [
        record["M"]["offset"]["N"]
        for place in range(8)
        for item in aws.client("dynamodb").query(
            TableName=aws.outputs["ChannelsTable"], KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"quarantine#campaign.events.v1#0#{place}"}},
        )["Items"]
        for record in item["records"]["L"]
    ]
    assert quarantined == ["104"], quarantined
    return "6 records, delivered 3 times, one in quarantine"


def subscribe_is_answered(aws):
    with aws.socket(f"?token={aws.token()}") as socket:
        socket.send(json.dumps({"action": "subscribe", "campaignId": "c-17"}))
        view = receive(socket, "the view", lambda m: m["type"] == "metrics_update" and m.get("channel") == "campaign:c-17")
        assert view["data"]["totalAttempts"] == 1, view
        socket.send(json.dumps({"action": "ping"}))
        receive(socket, "the pong", lambda m: m["type"] == "pong")
        socket.send("no JSON")
        error = receive(socket, "the error", lambda m: m["type"] == "error")
    return f"and garbage with {error['data']['code']}"


def lease(aws):
    item = aws.client("dynamodb").get_item(
        TableName=aws.outputs["ConnectionsTable"], Key={"pk": {"S": "lease#0"}, "sk": {"S": "#lease"}}, ConsistentRead=True
    ).get("Item")
    return item and int(item["token"]["N"])


def scheduled_publisher_pushes(aws):
    """The first publisher is woken by who connects; the next one comes by the schedule, and takes over."""
    with aws.socket(f"?token={aws.token()}") as socket:
        socket.send(json.dumps({"action": "subscribe", "campaignId": "c-17"}))
        attempts, pushed, offset = 1, 0, 200

        def push():
            nonlocal attempts, pushed, offset
            aws.ingest([call("call_initiated", callId=f"call-{offset}")], first_offset=offset)
            attempts, offset = attempts + 1, offset + 1
            receive(
                socket, f"a view with {attempts} attempts",
                lambda m: m["type"] == "metrics_update" and m["data"]["totalAttempts"] == attempts,
            )
            pushed += 1

        push()
        woken = lease(aws)

        def relieved():
            push()
            return lease(aws) > woken

        eventually("the schedule's publisher takes over", relieved)
        for _ in range(3):
            push()
    return f"{pushed} pushes, none missed across the hand-over"


# A function, what its role must not do, and to what.
FORBIDDEN = [
    ("MetricsApi", "dynamodb:PutItem", "ChannelsTable"),
    ("HealthApi", "dynamodb:Query", "ChannelsTable"),
    ("WsDisconnect", "dynamodb:GetItem", "ChannelsTable"),
    ("WsMessage", "dynamodb:PutItem", "ChannelsTable"),
    ("Publisher", "dynamodb:PutItem", "ChannelsTable"),
    ("Ingest", "dynamodb:GetItem", "ConnectionsTable"),
    ("Ingest", "dynamodb:DeleteItem", "ChannelsTable"),
    ("WsConnect", "dynamodb:Query", "ConnectionsTable"),
    ("Ingest", "secretsmanager:GetSecretValue", "TokenSecret"),
    ("Publisher", "secretsmanager:GetSecretValue", "TokenSecret"),
    ("WsConnect", "execute-api:ManageConnections", None),
    ("MetricsApi", "lambda:InvokeFunction", None),
]
ALLOWED = [
    ("Ingest", "dynamodb:PutItem", "ChannelsTable"),
    ("Publisher", "dynamodb:Query", "ChannelsTable"),
    ("WsConnect", "secretsmanager:GetSecretValue", "TokenSecret"),
]


def roles_are_narrow(aws):
    """The emulator asks IAM for every request of a function, so all else that passes shows that a role has what it needs."""
    iam, resources = aws.client("iam"), aws.resources(aws.stack)
    tables = {
        name: aws.client("dynamodb").describe_table(TableName=aws.outputs[name])["Table"]["TableArn"]
        for name in ("ChannelsTable", "ConnectionsTable")
    }
    arns = {**tables, "TokenSecret": aws.outputs["TokenSecret"], None: "*"}
    for expected, cases in (("implicitDeny", FORBIDDEN), ("allowed", ALLOWED)):
        for function, action, target in cases:
            role = iam.get_role(RoleName=resources[f"{function}Role"])["Role"]["Arn"]
            [result] = iam.simulate_principal_policy(
                PolicySourceArn=role, ActionNames=[action], ResourceArns=[arns[target]]
            )["EvaluationResults"]
            assert result["EvalDecision"] == expected, f"{function}, {action} on {target}: {result['EvalDecision']}"
    return f"{len(FORBIDDEN)} actions refused to {len({function for function, *_ in FORBIDDEN})} roles"


def metrics_are_logged(aws):
    """In the embedded metric format, from which CloudWatch makes metrics."""

    def names(function):
        events = aws.client("logs").filter_log_events(logGroupName=f"/{aws.stack}/{function}")["events"]
        lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
        directives = [directive for line in lines if "_aws" in line for directive in line["_aws"]["CloudWatchMetrics"]]
        assert all(directive["Namespace"] == f"Livefold/{aws.stack}" for directive in directives), directives
        assert all(directive["Dimensions"] == [[]] for directive in directives), directives
        return {metric["Name"] for directive in directives for metric in directive["Metrics"]}

    ingest, publisher = names("ingest"), names("publisher")
    assert {"RecordsIn", "RecordsQuarantined", "RecordAge"} <= ingest, ingest
    assert {"Posts", "Connections", "PublishLatency"} <= publisher, publisher
    return f"{len(ingest | publisher)} names"


def update(aws):
    """A cluster of one's own, after the fact; nothing that was counted is lost."""
    kafka = aws.client("kafka")
    cluster = kafka.create_cluster(
        ClusterName="orders", KafkaVersion="3.9.0", NumberOfBrokerNodes=3,
        BrokerNodeGroupInfo={"ClientSubnets": SUBNETS.split(","), "InstanceType": "kafka.m7g.large"},
    )["ClusterArn"]
    aws.outputs = aws.deploy(
        aws.stack, AlarmEmail="ops@example.com", Kafka="existing", KafkaClusterArn=cluster, TickMs="200", TopicPartitions="6"
    )
    assert aws.outputs["KafkaCluster"] == cluster, aws.outputs
    assert aws.outputs["TopicInstructions"] == "nothing to do", aws.outputs
    topics = {topic["TopicName"]: topic["PartitionCount"] for topic in kafka.list_topics(ClusterArn=cluster)["Topics"]}
    assert topics == dict.fromkeys(TOPICS, 6), topics
    functions = aws.client("lambda")
    mappings = functions.list_event_source_mappings(FunctionName=aws.resources(aws.stack)["Ingest"])["EventSourceMappings"]
    assert len(mappings) == 4 and {mapping["EventSourceArn"] for mapping in mappings} == {cluster}, mappings
    publisher = functions.get_function_configuration(FunctionName=aws.resources(aws.stack)["Publisher"])
    variables = publisher["Environment"]["Variables"]
    assert (variables["TICK_MS"], variables["KAFKA_CLUSTER_ARN"]) == ("200", cluster), variables
    status, body = aws.get("/analytics/campaigns/c-17/metrics", aws.token())
    assert status == 200 and body["data"]["converted"] == 1, body
    # The functions are new ones by now; the next record is counted on top.
    attempts = body["data"]["totalAttempts"]
    aws.ingest([call("call_initiated", callId="call-after")], first_offset=900)
    status, body = aws.get("/analytics/campaigns/c-17/metrics", aws.token())
    assert body["data"]["totalAttempts"] == attempts + 1, body
    return "4 topics of 6 partitions made, 4 mappings, counts kept"


def whole_with_serverless_kafka(aws):
    """What `sam deploy` makes in an empty account. Its brokers are not there, so the topics are left to be made."""
    outputs = aws.deploy("whole", Kafka="serverless")
    resources = aws.resources("whole")
    network = aws.outputs_of(resources["NetworkStack"])
    subnets = aws.client("ec2").describe_subnets(SubnetIds=network["SubnetIds"].split(","))["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3, subnets
    endpoints = aws.client("ec2").describe_vpc_endpoints(
        Filters=[{"Name": "vpc-id", "Values": [network["VpcId"]]}]
    )["VpcEndpoints"]
    services = {endpoint["ServiceName"].rsplit(".", 1)[-1] for endpoint in endpoints}
    assert services == {"s3", "lambda", "sts"}, services
    assert outputs["KafkaCluster"] == aws.outputs_of(resources["KafkaStack"])["ClusterArn"], outputs
    told = outputs["TopicInstructions"]
    assert "kafka-topics.sh" in told and "--create" in told and all(topic in told for topic in TOPICS), told
    return f"{len(subnets)} zones, endpoints {', '.join(sorted(services))}, instructions for {len(TOPICS)} topics"


def whole_with_provisioned_kafka_in_own_vpc(aws):
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = ",".join(
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for n, zone in enumerate("abc")
    )
    outputs = aws.deploy("own", Kafka="provisioned", VpcId=vpc, SubnetIds=subnets, Pollers="1", DeletionProtection="false")
    resources = aws.resources("own")
    assert "NetworkStack" not in resources, resources
    assert outputs["TopicInstructions"] == "nothing to do", outputs
    topics = aws.client("kafka").list_topics(ClusterArn=outputs["KafkaCluster"])["Topics"]
    assert {topic["TopicName"] for topic in topics} == TOPICS, topics
    return "topics made through MSK"


def delete(aws):
    """What was counted stays, and so does a cluster with its network; all else goes."""
    cloudformation, dynamodb = aws.client("cloudformation"), aws.client("dynamodb")
    table, resources = aws.outputs["ChannelsTable"], aws.resources(aws.stack)
    nested = [aws.resources("whole")[name] for name in ("NetworkStack", "KafkaStack")]
    for stack in (aws.stack, "whole", "own"):
        cloudformation.delete_stack(StackName=stack)

    def is_gone(stack):
        try:
            status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError:
            return True
        assert status != "DELETE_FAILED", f"{stack} cannot be deleted"
        return status == "DELETE_COMPLETE"

    for stack in (aws.stack, "whole", "own"):
        eventually(f"{stack} is deleted", lambda stack=stack: is_gone(stack))
    kept = dynamodb.query(
        TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "acme#campaign:c-17"}}
    )["Items"]
    assert kept, "the counts are gone"
    for name in ("Ingest", "Publisher", "WsConnect"):
        try:
            aws.client("lambda").get_function(FunctionName=resources[name])
        except ClientError as gone:
            assert gone.response["Error"]["Code"] == "ResourceNotFoundException", gone
        else:
            raise AssertionError(f"{name} is still there")
    assert not any(is_gone(stack) for stack in nested), "a cluster or its network is deleted"
    return "counts, clusters and their network stay"
