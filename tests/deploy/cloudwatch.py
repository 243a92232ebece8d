"""CloudWatch's rules for alarms, as far as this project's alarms need them; the emulator of AWS evaluates none.

What is modelled, and from which pages:
- An alarm looks at the last N = EvaluationPeriods points and rings at M = DatapointsToAlarm of them. It asks for more points
  than N; where at least N of those are there, the newest N that are there decide, and otherwise what is missing counts as
  TreatMissingData says, all that is there being taken. How many more it asks for AWS does not say, so callers try several.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
- Metric math is computed point by point before that. FILL replaces what is missing, also what has only not come yet; with
  what is missing nothing can be computed, but functions of several series leave it out.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
- Alarms on DynamoDB's metrics keep their state while data are missing, whatever TreatMissingData says.

Not modelled: percentiles and units (a series holds the values of its statistic), anomaly detection, composite alarms.
"""

import operator
import re

OPERATORS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class Value:
    """A number at one time, or none. What is computed with none is none."""

    def __init__(self, number):
        self.number = number

    def _with(self, other, compute):
        other = other.number if isinstance(other, Value) else other
        return Value(None if self.number is None or other is None else compute(self.number, other))


def _operation(compute, is_reflected=False):
    if is_reflected:
        return lambda self, other: self._with(other, lambda a, b: compute(b, a))
    return lambda self, other: self._with(other, compute)


for _name, _compute in {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "truediv": lambda a, b: a / b if b else None, "ge": operator.ge, "gt": operator.gt, "eq": operator.eq,
    "and": lambda a, b: bool(a) and bool(b), "or": lambda a, b: bool(a) or bool(b),
}.items():
    setattr(Value, f"__{_name}__", _operation(_compute))
    setattr(Value, f"__r{_name}__", _operation(_compute, is_reflected=True))


def _fill(what, number):
    if isinstance(what, list):
        return [_fill(value, number) for value in what]
    return Value(number) if what.number is None else what


def _of_several(compute):
    def function(values):
        numbers = [value.number for value in values if value.number is not None]
        return Value(compute(numbers) if numbers else None)

    return function


def _if(condition, then, otherwise):
    if condition.number is None:
        return Value(None)
    chosen = then if condition.number else otherwise
    return chosen if isinstance(chosen, Value) else Value(chosen)


class Metric:
    """One of the metrics that an alarm looks at, by what a series is called: its name, and the topic where it has one."""

    def __init__(self, metric, period):
        topics = [d["Value"] for d in metric.get("Dimensions", []) if d["Name"] == "Topic"]
        self.name = (metric["MetricName"], *topics)
        self.namespace, self.period = metric["Namespace"], period


class Alarm:
    """An alarm of a template, and the state that it is in. `late` is how many seconds after its period a value comes."""

    def __init__(self, properties, late):
        self.properties, self.state, self.late, self.points = properties, "OK", late, {}
        self.periods = properties["EvaluationPeriods"]
        self.needed = properties.get("DatapointsToAlarm", self.periods)
        entries = properties.get("Metrics", [])
        self.expressions = {entry["Id"]: entry["Expression"] for entry in entries if "Expression" in entry}
        self.metrics = {
            entry["Id"]: Metric(entry["MetricStat"]["Metric"], entry["MetricStat"]["Period"])
            for entry in entries if "MetricStat" in entry
        }
        self.result = next((entry["Id"] for entry in entries if entry.get("ReturnData", True)), None)
        if not entries:
            self.metrics, self.result = {"m": Metric(properties, properties["Period"])}, "m"
        [self.period] = {metric.period for metric in self.metrics.values()}

    def point(self, series, time, now):
        """As `compute`; what cannot change any more is computed once."""
        if time not in self.points:
            point = self.compute(series, time)
            if now < time + self.period + self.late:
                return point
            self.points[time] = point
        return self.points[time]

    def compute(self, series, time):
        """The alarm's value of the period that begins at `time` (seconds)."""
        values = {name: Value(series(metric.name, time, self.period)) for name, metric in self.metrics.items()}
        stats = list(values.values())
        functions = {
            "FILL": _fill, "IF": _if, "MAX": _of_several(max), "SUM": _of_several(sum), "METRICS": lambda: stats,
        }

        def compute(name):
            if name not in values:
                # `&` and `|` bind more tightly than comparisons in Python, so these are put in brackets.
                text = re.sub(r"(\w+ (?:==|>=|>) \w+)", r"(\1)", self.expressions[name])
                text = text.replace(" AND ", " & ").replace(" OR ", " | ")
                names = {other: compute(other) for other in set(re.findall(r"[a-z]\w*", text)) & set(self.expressions)}
                values[name] = eval(text, {"__builtins__": {}}, {**functions, **values, **names})  # the template's own
            return values[name]

        return compute(self.result).number

    def evaluate(self, series, now, extra):
        """Looks at the points that are there at `now`, `extra` more of them than it needs, and returns its state."""
        newest = now // self.period * self.period - self.period
        times = [newest - n * self.period for n in range(self.periods + extra)]
        there = [point for time in times if (point := self.point(series, time, now)) is not None]
        is_over = OPERATORS[self.properties["ComparisonOperator"]]
        breaching = [is_over(point, self.properties["Threshold"]) for point in there][: self.periods]
        if missing := self.periods - len(breaching):
            treatment = self.properties.get("TreatMissingData", "missing")
            if any(metric.namespace == "AWS/DynamoDB" for metric in self.metrics.values()) and not self.expressions:
                treatment = "ignore"
            if treatment in ("ignore", "missing"):
                if sum(breaching) >= self.needed:
                    self.state = "ALARM"
                elif not breaching and treatment == "missing":
                    self.state = "INSUFFICIENT_DATA"
                elif breaching.count(False) > self.periods - self.needed:
                    self.state = "OK"
                return self.state
            breaching += [treatment == "breaching"] * missing
        self.state = "ALARM" if sum(breaching) >= self.needed else "OK"
        return self.state
