"""Refuses what would lose records on an event source mapping. Takes the file that transform.py has made.

A mapping of Kafka tries a batch again until it is stored. Limits of age or number end that, a destination makes ten of
unlimited retries, and bisecting belongs to the two: each diverts good records while DynamoDB is down. Partial answers
(ReportBatchItemFailures) exist with provisioned pollers only; without, one that names failed records is taken for success.
https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html
"""

import json
import sys

DIVERTING = ["DestinationConfig", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError"]
NOTHING = {"Ref": "AWS::NoValue"}


def condition_of(value):
    """Under which condition a property is there: its name, True for always, False for never. None if it cannot be told."""
    if value is None or value == NOTHING:
        return False
    if not (isinstance(value, dict) and "Fn::If" in value):
        return True
    condition, there, otherwise = value["Fn::If"]
    return condition if there != NOTHING and "Fn::If" not in there and otherwise == NOTHING else None


def faults(template):
    """What is wrong with the mappings of a template, a sentence each."""
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        properties = resource["Properties"]
        for diverting in DIVERTING:
            if diverting in properties:
                yield f"{name} has {diverting}, which diverts good records"
        if "FunctionResponseTypes" in properties:
            partial = condition_of(properties["FunctionResponseTypes"])
            if partial is None or partial != condition_of(properties.get("ProvisionedPollerConfig")):
                yield f"{name} has FunctionResponseTypes not exactly where it has ProvisionedPollerConfig"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = list(faults(json.load(file)))
    print("\n".join(found) or "mappings lose no records")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
