"""What mappings.py refuses: changes to the project's own template. `python .ci/mappings_test.py TRANSFORMED.json`."""

import copy
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from mappings import faults  # noqa: E402

with open(sys.argv.pop(1), encoding="utf-8") as file:
    TEMPLATE = json.load(file)
MAPPINGS = [name for name, it in TEMPLATE["Resources"].items() if it["Type"] == "AWS::Lambda::EventSourceMapping"]
NOTHING = {"Ref": "AWS::NoValue"}
PARTIAL = ["ReportBatchItemFailures"]


def changed(name, **properties):
    template = copy.deepcopy(TEMPLATE)
    template["Resources"][name]["Properties"].update(properties)
    return list(faults(template))


class Mappings(unittest.TestCase):
    def test_the_template_as_it_is_passes_and_has_mappings(self):
        self.assertEqual(list(faults(TEMPLATE)), [])
        self.assertEqual(len(MAPPINGS), 4)

    def test_whatever_diverts_records_is_refused_on_each_mapping_also_under_a_condition(self):
        destination = {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:lost"}}
        for name in MAPPINGS:
            for diverting, value in [
                ("DestinationConfig", destination), ("MaximumRetryAttempts", -1), ("MaximumRecordAgeInSeconds", 3600),
                ("BisectBatchOnFunctionError", True),
            ]:
                for given in (value, {"Fn::If": ["HasPollers", value, NOTHING]}):
                    self.assertEqual(changed(name, **{diverting: given}), [f"{name} has {diverting}, which diverts good records"])

    def test_partial_answers_are_refused_where_there_may_be_no_provisioned_pollers(self):
        pollers = TEMPLATE["Resources"][MAPPINGS[0]]["Properties"]["ProvisionedPollerConfig"]
        for partial in (
            PARTIAL,
            {"Fn::If": ["HasOrigins", PARTIAL, NOTHING]},
            {"Fn::If": ["HasPollers", NOTHING, PARTIAL]},
            {"Fn::If": ["HasPollers", PARTIAL, PARTIAL]},
        ):
            self.assertEqual(len(changed(MAPPINGS[0], FunctionResponseTypes=partial)), 1, partial)
        given = {"Fn::If": ["HasPollers", PARTIAL, NOTHING]}
        self.assertEqual(len(changed(MAPPINGS[0], FunctionResponseTypes=given, ProvisionedPollerConfig=NOTHING)), 1)
        self.assertEqual(changed(MAPPINGS[0], FunctionResponseTypes=given, ProvisionedPollerConfig=pollers), [])

    def test_partial_answers_pass_where_pollers_are_always_provisioned(self):
        pollers = {"MinimumPollers": 1}
        self.assertEqual(changed(MAPPINGS[0], FunctionResponseTypes=PARTIAL, ProvisionedPollerConfig=pollers), [])


if __name__ == "__main__":
    unittest.main()
