"""Deploys Livefold's own template to an emulator of AWS, and uses what comes of it. The last line is a verdict."""

import argparse
import pathlib
import sys
import time
import traceback

import cloud
import steps

STEPS = [
    steps.nonsense_is_refused,
    steps.deploy,
    steps.alarms_and_dashboard,
    steps.health,
    steps.bad_tokens_are_refused,
    steps.records_are_counted_once,
    steps.subscribe_is_answered,
    steps.scheduled_publisher_pushes,
    steps.roles_are_narrow,
    steps.metrics_are_logged,
    steps.update,
    steps.whole_with_serverless_kafka,
    steps.whole_with_provisioned_kafka_in_own_vpc,
    steps.delete,
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", type=pathlib.Path, required=True, help="what `sam build` has made")
    arguments.add_argument("--architecture", required=True)
    arguments.add_argument("--log", type=pathlib.Path, required=True, help="folder for what sam prints")
    arguments = arguments.parse_args()

    started = time.monotonic()
    aws = cloud.Cloud(arguments.build, arguments.architecture, arguments.log)
    for step in STEPS:
        name = step.__name__.replace("_", " ")
        begun = time.monotonic()
        try:
            told = step(aws)
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            print(f"deploy: FAILED at “{name}”: {error} (logs in {arguments.log})")
            return 1
        print(f"  ✓ {name:<44} {time.monotonic() - begun:6.1f} s  {told or ''}", flush=True)
    print(f"deploy: passed, {len(STEPS)} steps in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
