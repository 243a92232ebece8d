"""`python .ci/mappings_test.py TRANSFORMED.json`: the template as it is has nothing wrong, and each mistake is found."""

import copy
import json
import sys
import unittest

from mappings import complaints

with open(sys.argv.pop(1), encoding="utf-8") as file:
    TEMPLATE = json.load(file)

PARTIAL = ["ReportBatchItemFailures"]
NOTHING = {"Ref": "AWS::NoValue"}


class Mappings(unittest.TestCase):
    def found(self, **changed):
        """What is found when the first mapping is changed so; `None` takes a property away."""
        template = copy.deepcopy(TEMPLATE)
        mapping = next(r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::EventSourceMapping")
        for name, value in changed.items():
            if value is None:
                mapping["Properties"].pop(name, None)
            else:
                mapping["Properties"][name] = value
        return "\n".join(complaints(template))

    def test_the_template_has_nothing_wrong(self):
        self.assertEqual(self.found(), "")

    def test_what_loses_records_is_refused_at_any_value(self):
        for name, value in [("MaximumRetryAttempts", -1), ("MaximumRecordAgeInSeconds", 60), ("BisectBatchOnFunctionError", False)]:
            self.assertIn(f"{name} loses records", self.found(**{name: value}))
            self.assertIn(f"{name} loses records", self.found(**{name: {"Fn::If": ["HasPollers", value, NOTHING]}}))

    def test_a_destination_of_failures_is_refused(self):
        found = self.found(DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::lost"}})
        self.assertIn("DestinationConfig loses records", found)
        self.assertIn("OnFailure loses records", found)

    def test_partial_answers_go_with_provisioned_pollers(self):
        self.assertIn("provisioned pollers alone", self.found(FunctionResponseTypes=PARTIAL, ProvisionedPollerConfig=None))
        self.assertIn("the same condition", self.found(FunctionResponseTypes=PARTIAL))
        self.assertIn("the same condition", self.found(FunctionResponseTypes={"Fn::If": ["HasKafka", PARTIAL, NOTHING]}))

    def test_a_template_without_mappings_is_not_ours(self):
        self.assertEqual(list(complaints({"Resources": {}})), ["there is no mapping"])


unittest.main()
