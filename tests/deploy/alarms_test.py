"""Which alarms of infra/observability.yaml ring at what, by CloudWatch's rules (cloudwatch.py).

`python tests/deploy/alarms_test.py`, with the Python of tests/deploy/tools.
"""

import pathlib
import sys
import unittest

from samcli.yamlhelper import yaml_parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cloudwatch import Alarm  # noqa: E402

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "infra/observability.yaml"
TOPICS = ["campaign.events.v1", "dialer.health.v1", "platform.analytics.check-in.v1", "platform.analytics.events.v1"]

MINUTE = 60
# Something changes at noon; what is looked at is half an hour before and more than one after.
NOON = 720 * MINUTE
BEFORE, AFTER = 30, 75

# How many more points than it needs CloudWatch asks for, in these tests.
EXTRA = (0, 2, 5)

# Metrics of which a longer period has the sum; of all others the greatest value.
TOTALS = {"RecordsIn", "Posts", "PostsThrottled", "ReadsFailed", "RecordsQuarantined", "RecordsUnknown"}

# How late a metric of AWS's comes at worst in these tests.
LATE = 4 * MINUTE


def alarms():
    """By the ends of their names, which are the names that docs/operations.md has for them."""
    resources = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"].values()
    made = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm"]
    return {properties["AlarmName"]["Fn::Sub"].removeprefix("${StackLabel}-"): properties for properties in made}


def per_topic(name, value, topics=TOPICS):
    return {(name, topic): value for topic in topics}


# A system at work, minute by minute. Of the cluster's metrics those of Serverless; of Connections, how many lines there are.
HEALTHY = {
    ("RecordsIn",): 600, ("RecordAge",): 400, ("Connections",): 1, ("OffsetLag",): 3, ("Posts",): 300,
    **per_topic("EstimatedMaxTimeLag", 0), **per_topic("SumOffsetLag", 3), **per_topic("MessagesInPerSec", 10),
}
# Nobody produces, nobody watches: the publisher's pulse, and a cluster that has nothing to tell.
IDLE = {("Connections",): 1, **per_topic("EstimatedMaxTimeLag", 0), **per_topic("SumOffsetLag", 0)}
NOTHING_FROM_LAMBDA = {("RecordsIn",): None, ("RecordAge",): None, ("OffsetLag",): None}


def growing(rate):
    """A value that grows by so much a minute from noon on."""
    return lambda time: max(0, (time - NOON) // MINUTE) * rate


def rung(before, after, late=0, ends=None):
    """The alarms that ring at any time after noon, and those that still ring at the end."""
    ever, last = set(), set()
    # How many more points CloudWatch asks for is not documented; the verdict has to be the same.
    for extra in EXTRA:
        made = {name: Alarm(properties, late) for name, properties in alarms().items()}
        ringing = set()
        for minute in range(-BEFORE, AFTER + 1):
            now = NOON + minute * MINUTE

            def series(name, time, period, now=now):
                values = []
                for begin in range(time, min(time + period, now - late), MINUTE):
                    state = before if begin < NOON or (ends is not None and begin >= ends) else after
                    value = state.get(name)
                    if value is not None:
                        values.append(value(begin) if callable(value) else value)
                return (sum if name[0] in TOTALS else max)(values) if values else None

            for name, alarm in made.items():
                if now % min(alarm.period, 5 * MINUTE) == 0:
                    (ringing.add if alarm.evaluate(series, now, extra) == "ALARM" else ringing.discard)(name)
            assert minute >= 0 or not ringing, f"{ringing} ring before anything has happened"
            ever |= {(extra, name) for name in ringing}
        last |= {(extra, name) for name in ringing}
    return by_all(ever), by_all(last)


def by_all(found):
    ranges = [{name for seen, name in found if seen == extra} for extra in EXTRA]
    assert ranges[0] == ranges[1] == ranges[2], f"the range that CloudWatch looks at decides: {ranges}"
    return ranges[0]


class Alarms(unittest.TestCase):
    def test_nothing_rings_while_all_is_well_or_nobody_is_there(self):
        for late in (0, MINUTE, LATE):
            self.assertEqual(rung(HEALTHY, HEALTHY, late), (set(), set()))
            self.assertEqual(rung(IDLE, IDLE, late), (set(), set()))
        self.assertEqual(rung(HEALTHY, IDLE | NOTHING_FROM_LAMBDA), (set(), set()))

    def test_lag_rings_whether_its_metric_comes_on_time_or_late_and_stops_when_it_is_over(self):
        behind = HEALTHY | per_topic("EstimatedMaxTimeLag", 300, TOPICS[:1])
        for late in (0, MINUTE, 3 * MINUTE, LATE):
            self.assertEqual(rung(HEALTHY, behind, late), ({"lag"}, {"lag"}), f"{late} s late")
            self.assertEqual(rung(HEALTHY, behind, late, ends=NOON + 30 * MINUTE), ({"lag"}, set()), f"{late} s late")

    def test_lag_rings_where_the_metric_has_serverlesss_other_name(self):
        named = {(("MaxEstimatedTimeLag",) + k[1:] if k[0] == "EstimatedMaxTimeLag" else k): v for k, v in HEALTHY.items()}
        behind = named | per_topic("MaxEstimatedTimeLag", 300, TOPICS[2:3])
        self.assertEqual(rung(named, behind, MINUTE), ({"lag"}, {"lag"}))

    def test_a_moment_of_lag_does_not_ring(self):
        behind = HEALTHY | per_topic("EstimatedMaxTimeLag", 300)
        self.assertEqual(rung(HEALTHY, behind, MINUTE, ends=NOON + 3 * MINUTE), (set(), set()))

    def test_one_mapping_that_is_switched_off_rings_by_the_lag_of_its_group(self):
        """The others go on, so that ingest's own metrics show nothing. A group without members is still measured."""
        off = HEALTHY | {
            ("EstimatedMaxTimeLag", TOPICS[1]): growing(60), ("SumOffsetLag", TOPICS[1]): growing(600),
        }
        self.assertEqual(rung(HEALTHY, off, MINUTE), ({"lag"}, {"lag"}))

    def test_mappings_that_are_all_dead_ring_while_records_come(self):
        dead = HEALTHY | NOTHING_FROM_LAMBDA | per_topic("EstimatedMaxTimeLag", growing(60)) | per_topic(
            "SumOffsetLag", growing(600))
        for late in (0, LATE):
            self.assertEqual(rung(HEALTHY, dead, late), ({"lag", "not-read"}, {"lag", "not-read"}))

    def test_mappings_that_are_dead_ring_on_a_provisioned_cluster_which_tells_no_topics_rate(self):
        provisioned = {name: value for name, value in HEALTHY.items() if name[0] != "MessagesInPerSec"}
        dead = provisioned | NOTHING_FROM_LAMBDA | per_topic("SumOffsetLag", growing(600)) | per_topic(
            "EstimatedMaxTimeLag", None)
        self.assertEqual(rung(provisioned, dead, MINUTE), ({"not-read"}, {"not-read"}))

    def test_mappings_that_never_read_a_record_ring_by_what_comes_in(self):
        """Of a group that has committed nothing the cluster tells no lag."""
        never = {("Connections",): 1, **per_topic("MessagesInPerSec", 0.5, TOPICS[3:])}
        self.assertEqual(rung(IDLE, never, MINUTE), ({"not-read"}, {"not-read"}))

    def test_not_read_stops_when_reading_begins_again(self):
        dead = HEALTHY | NOTHING_FROM_LAMBDA | per_topic("SumOffsetLag", 50_000)
        self.assertEqual(rung(HEALTHY, dead, MINUTE, ends=NOON + 30 * MINUTE), ({"not-read"}, set()))

    def test_the_end_of_a_transaction_that_waits_for_the_next_record_does_not_ring(self):
        self.assertEqual(rung(HEALTHY, IDLE | NOTHING_FROM_LAMBDA | per_topic("SumOffsetLag", 3)), (set(), set()))

    def test_a_backlog_that_is_no_longer_told_goes_on_ringing_and_ends_when_it_is_told_to_be_gone(self):
        behind = HEALTHY | {("OffsetLag",): lambda time: 50_000 if time < NOON + 20 * MINUTE else None}
        self.assertEqual(rung(HEALTHY, behind), ({"backlog"}, {"backlog"}))
        self.assertEqual(rung(HEALTHY, behind, ends=NOON + 40 * MINUTE), ({"backlog"}, set()))

    def test_no_pulse_of_a_publisher_rings(self):
        silent = {name: value for name, value in HEALTHY.items() if name != ("Connections",)}
        self.assertEqual(rung(HEALTHY, silent, MINUTE), ({"publisher-silent"}, {"publisher-silent"}))

    def test_a_publisher_that_cannot_read_rings_within_two_minutes_and_a_single_read_that_fails_does_not(self):
        blind = {**HEALTHY, ("ReadsFailed",): 6, ("Connections",): None}
        rings = {"publisher-blind", "publisher-silent"}
        self.assertEqual(rung({**HEALTHY, ("ReadsFailed",): 0}, blind), (rings, rings))
        alarm = alarms()["publisher-blind"]
        self.assertLessEqual(alarm["Period"] * alarm["EvaluationPeriods"], MINUTE, "its metric comes every half minute")
        self.assertEqual(rung({**HEALTHY, ("ReadsFailed",): 0}, {**HEALTHY, ("ReadsFailed",): 2})[0], set())

    def test_posts_that_are_held_up_ring_although_the_newest_minutes_have_not_come(self):
        held = HEALTHY | {("PostsThrottled",): 300}
        for late in (0, LATE):
            self.assertEqual(rung(HEALTHY, held, late), ({"posts-held-up"}, {"posts-held-up"}))

    def test_a_record_that_cannot_be_decoded_rings_and_one_of_an_unknown_type_does_not(self):
        self.assertEqual(rung(HEALTHY, HEALTHY | {("RecordsQuarantined",): 1})[0], {"quarantine"})
        self.assertEqual(rung(HEALTHY, HEALTHY | {("RecordsUnknown",): 50, ("GaugesBelowZero",): 5}), (set(), set()))

    def test_what_is_filled_where_it_is_only_late_does_not_have_to_be_bad_to_the_newest_minute(self):
        for name, properties in alarms().items():
            filled = any("FILL" in entry.get("Expression", "") for entry in properties.get("Metrics", []))
            if filled and properties["EvaluationPeriods"] > 1:
                self.assertLess(properties.get("DatapointsToAlarm", 1000), properties["EvaluationPeriods"], name)

    def test_no_alarm_looks_at_more_metrics_than_cloudwatch_takes(self):
        for name, properties in alarms().items():
            self.assertLessEqual(sum("MetricStat" in entry for entry in properties.get("Metrics", [])), 10, name)

    def test_the_manual_says_what_to_do_at_every_alarm(self):
        manual = (TEMPLATE.parents[1] / "docs/operations.md").read_text(encoding="utf-8")
        for name, properties in alarms().items():
            self.assertIn(f"docs/operations.md#alarm-{name}", properties["AlarmDescription"])
            self.assertTrue(f"\n### Alarm: {name}\n" in manual, f"there is no heading for {name}")


if __name__ == "__main__":
    unittest.main()
