"""ministack, and what it lacks of CloudFormation and MSK for this project's template.

Everything that the checks look at is ministack's own: the change sets, IAM's decisions, the APIs, DynamoDB, the schedule,
and the processes of the functions. Added here are resource types that it refuses to know and that have no effect of their
own in an emulator (route responses, rules of security groups, MSK's clusters); the import of an HTTP API's routes from
OpenAPI, which is how SAM writes them; alarms that compute with several metrics, of which the first is kept; the attributes of
what an update leaves alone in a nested stack, which it forgets; and the few answers of MSK that the function `topics` asks for,
with the resources that IAM decides about.
"""

import json
import re
import urllib.parse

from ministack.app import main
from ministack.core import iam_actions
from ministack.core.responses import new_uuid
from ministack.services import apigateway, ec2, msk
from ministack.services.cloudformation import provisioners

# Topics that were made, by the ARN of their cluster.
topics = {}


def answer_of(response):
    """The JSON of a service's answer; a refusal fails the resource, as it does at AWS."""
    status, _, body = response
    if status >= 400:
        raise ValueError(body.decode() if isinstance(body, bytes) else body)
    return json.loads(body) if body else {}


def make_route_response(_, properties, __):
    # A route's `Ref` is `{api}/{route}` here, and `{route}` at AWS.
    route = properties["RouteId"].rsplit("/", 1)[-1]
    response = apigateway._create_route_response(
        properties["ApiId"], route, {"routeResponseKey": properties["RouteResponseKey"]}
    )
    return answer_of(response)["routeResponseId"], {}


def make_ingress(_, properties, __):
    rule = {
        "GroupId": properties["GroupId"],
        "IpPermissions.1.IpProtocol": properties["IpProtocol"],
        "IpPermissions.1.FromPort": str(properties["FromPort"]),
        "IpPermissions.1.ToPort": str(properties["ToPort"]),
        "IpPermissions.1.Groups.1.GroupId": properties["SourceSecurityGroupId"],
    }
    status, _, body = ec2._authorize_sg_ingress(rule)
    if status >= 400:
        raise ValueError(body)
    return f"sgr-{new_uuid()[:17]}", {}


def make_cluster(_, properties, __):
    """A cluster of either kind; `ServerlessCluster` has no brokers to describe."""
    made = answer_of(msk._create_cluster(json.dumps({
        "clusterName": properties["ClusterName"],
        "kafkaVersion": properties.get("KafkaVersion"),
    })))
    arn = made["ClusterArn"] if "ClusterArn" in made else made["clusterArn"]
    msk._clusters[arn]["Kind"] = "PROVISIONED" if "BrokerNodeGroupInfo" in properties else "SERVERLESS"
    return arn, {"Arn": arn}


def delete_cluster(arn, _):
    msk._delete_cluster(arn)


def make_configuration(_, properties, __):
    arn = f"arn:aws:kafka:us-east-1:000000000000:configuration/{properties['Name']}/{new_uuid()}"
    return arn, {"Arn": arn, "LatestRevision.Revision": 1}


def keep(physical_id, _, __, ___):
    """An update that changes nothing but what it says."""
    return physical_id, {"Arn": physical_id}


def import_routes(api, properties):
    """Makes routes and integrations of an HTTP API's OpenAPI document."""
    for path, methods in properties.get("Body", {}).get("paths", {}).items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            made = answer_of(apigateway._create_integration(api, {
                "integrationType": integration["type"].upper(),
                "integrationUri": integration["uri"],
                "integrationMethod": integration["httpMethod"],
                "payloadFormatVersion": integration["payloadFormatVersion"],
            }))
            method = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            key = "$default" if operation.get("isDefaultRoute") else f"{method} {path}"
            route = {"routeKey": key, "target": f"integrations/{made['integrationId']}"}
            answer_of(apigateway._create_route(api, route))


def make_api(name, properties, stack):
    api, attributes = ministacks_api["create"](name, properties, stack)
    import_routes(api, properties)
    return api, attributes


ministacks_api = dict(provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"])
provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]["create"] = make_api


def alarm_record(name, properties):
    """An alarm that computes, as one of the first metric that it computes with: the emulator evaluates none at all."""
    if metrics := properties.get("Metrics"):
        first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
        properties = {key: value for key, value in properties.items() if key != "Metrics"} | {
            **first["Metric"], "Statistic": "Sum", "Period": first["Period"],
        }
    return ministacks_alarm_record(name, properties)


ministacks_alarm_record = provisioners._cw_metric_alarm_record
provisioners._cw_metric_alarm_record = alarm_record

provisioners._RESOURCE_HANDLERS.update({
    "AWS::ApiGatewayV2::RouteResponse": {"create": make_route_response, "update": keep, "delete": lambda *_: None},
    "AWS::EC2::SecurityGroupIngress": {"create": make_ingress, "update": keep, "delete": lambda *_: None},
    "AWS::MSK::Cluster": {"create": make_cluster, "update": keep, "delete": delete_cluster},
    "AWS::MSK::ServerlessCluster": {"create": make_cluster, "update": keep, "delete": delete_cluster},
    "AWS::MSK::Configuration": {"create": make_configuration, "update": keep, "delete": lambda *_: None},
})


# Attributes of resources, by stack and name.
attributes_of = {}


def provision(kind, name, properties, stack):
    physical_id, attributes = ministacks_provision(kind, name, properties, stack)
    attributes_of[stack, name] = attributes
    return physical_id, attributes


def update(kind, physical_id, old, new, stack, name=None, attributes=None):
    attributes = attributes or attributes_of.get((stack, name))
    return ministacks_update(kind, physical_id, old, new, stack, name, attributes)


ministacks_provision, provisioners._provision_resource = provisioners._provision_resource, provision
ministacks_update, provisioners._update_resource = provisioners._update_resource, update


def describe_cluster_v2(arn):
    cluster = msk._clusters.get(arn)
    if cluster is None:
        return 404, {"message": f"no cluster {arn}", "errorType": "NotFoundException"}
    kind = cluster.get("Kind", "PROVISIONED")
    info = {"clusterArn": arn, "clusterName": cluster["ClusterName"], "state": "ACTIVE", "clusterType": kind}
    if kind == "PROVISIONED":
        version = cluster["CurrentBrokerSoftwareInfo"]["KafkaVersion"]
        info["provisioned"] = {"numberOfBrokerNodes": 3, "currentBrokerSoftwareInfo": {"kafkaVersion": version}}
    else:
        info["serverless"] = {"vpcConfigs": []}
    return 200, {"clusterInfo": info}


def topics_of(method, arn, body):
    made = topics.setdefault(arn, {})
    if method == "GET":
        return 200, {"topics": [
            {"topicName": name, "partitionCount": topic["partitionCount"], "replicationFactor": topic["replicationFactor"]}
            for name, topic in made.items()
        ]}
    topic = json.loads(body)
    if topic["topicName"] in made:
        return 409, {"message": "it exists", "errorType": "TopicExistsException"}
    made[topic["topicName"]] = topic
    return 200, {"topicArn": arn.replace(":cluster/", ":topic/") + "/" + topic["topicName"], "status": "CREATING"}


def resource_of(service, method, path, *more):
    """What IAM decides about, as the service authorization reference has it; ministack misreads an ARN in MSK's paths."""
    match = re.fullmatch(r"/(?:api/v2|v1)/clusters/(arn:[^/]+/[^/]+/[^/]+)(/.*)?", urllib.parse.unquote(path))
    if service != "kafka" or match is None:
        return ministacks_resource_of(service, method, path, *more)
    if match[2] == "/bootstrap-brokers":
        return "*"
    if match[2] == "/topics" and method == "POST":
        return match[1].replace(":cluster/", ":topic/") + "/*"
    return match[1]


ministacks_resource_of, iam_actions.extract_resource_arn = iam_actions.extract_resource_arn, resource_of


async def handle_msk(method, path, headers, body, query):
    path = urllib.parse.unquote(path)
    if match := re.fullmatch(r"/api/v2/clusters/(arn:.+)", path):
        status, answer = describe_cluster_v2(match[1])
    elif match := re.fullmatch(r"/v1/clusters/(arn:.+)/topics", path):
        status, answer = topics_of(method, match[1], body)
    else:
        return await ministacks_msk(method, path, headers, body, query)
    headers = {"Content-Type": "application/json"}
    if status >= 400:
        headers["x-amzn-errortype"] = answer["errorType"]
    return status, headers, json.dumps(answer).encode()


ministacks_msk, msk.handle_request = msk.handle_request, handle_msk

if __name__ == "__main__":
    main()
