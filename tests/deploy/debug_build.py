"""Makes the folder that `sam build` makes, of binaries that cargo has built already: for steps that ask what the system does,
not what its release build is like. Binaries are stripped, for what is deployed is packed and unpacked."""

import argparse
import pathlib
import subprocess

from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binaries", type=pathlib.Path, required=True, help="folder of what cargo has built")
    arguments.add_argument("--build", type=pathlib.Path, required=True, help="folder to make")
    arguments = arguments.parse_args()

    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::CloudFormation::Stack":
            properties["TemplateURL"] = str(ROOT / properties["TemplateURL"])
        if resource["Type"] == "AWS::Serverless::Function":
            folder = arguments.build / name
            folder.mkdir(parents=True)
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            subprocess.run(["strip", "-o", folder / "bootstrap", arguments.binaries / binary], check=True)
            properties["CodeUri"] = name
    (arguments.build / "template.yaml").write_text(yaml_dump(template), encoding="utf-8")


if __name__ == "__main__":
    main()
