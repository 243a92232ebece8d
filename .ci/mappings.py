"""Refuses what must not stand on an event source mapping of Kafka, in a template as CloudFormation gets it.

`python .ci/mappings.py TRANSFORMED.json`. Its own test is mappings_test.py.

A batch is tried again until it is stored. Lambda's limits of tries and age drop records when they are reached; a destination
for failures makes ten tries of unlimited ones; bisecting multiplies the tries of a batch that waits for DynamoDB. And an answer that
names failed records is read where pollers are provisioned: elsewhere it would be taken for success.
https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html
"""

import json
import sys

LOSES_RECORDS = [
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "OnFailure",
]


def names_in(value):
    """Every property name within a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def condition_of(value):
    """The condition under which a property is there: `!If [Condition, …, !Ref AWS::NoValue]`."""
    branches = value.get("Fn::If") if isinstance(value, dict) else None
    if branches and branches[2] == {"Ref": "AWS::NoValue"}:
        return branches[0]
    return None


def complaints(template):
    """What is wrong with the mappings, a line each."""
    mappings = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::EventSourceMapping"
    }
    if not mappings:
        yield "there is no mapping"
    for name, mapping in mappings.items():
        for found in sorted(set(names_in(mapping)) & set(LOSES_RECORDS)):
            yield f"{name}: {found} loses records"
        answers, pollers = mapping.get("FunctionResponseTypes"), mapping.get("ProvisionedPollerConfig")
        if answers is None:
            continue
        if pollers is None:
            yield f"{name}: FunctionResponseTypes is read by provisioned pollers alone, and there are none"
        elif condition_of(answers) != condition_of(pollers):
            yield f"{name}: FunctionResponseTypes and ProvisionedPollerConfig have to be there under the same condition"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        found = list(complaints(json.load(file)))
    for complaint in found:
        print(complaint)
    sys.exit(1 if found else 0)
