"""Prints the CloudFormation template that AWS makes of a SAM template. Needs no account."""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())

# `sam package` puts the addresses of what it uploads here.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::CloudFormation::Stack":
        resource["Properties"]["TemplateURL"] = "https://bucket.s3.amazonaws.com/nested.yaml"

parameters = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
print(json.dumps(Translator({}, Parser()).translate(template, parameters), indent=1))
