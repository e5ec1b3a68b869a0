"""Prints templates as SAM would hand them to CloudFormation, as one JSON object a line.

translate.py TEMPLATE ENVIRONMENT [TEMPLATE ENVIRONMENT]...   what is packaged later is given a place to be at
"""
import json
import sys

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """Every policy is written out, so nobody has to be asked for one."""

    def load(self):
        return {}


for name, environment in zip(sys.argv[1::2], sys.argv[2::2]):
    with open(name, encoding="utf-8") as template:
        source = yaml_parse(template.read())
    validator = SamTemplateValidator(
        source, NoManagedPolicies(), region="us-east-1", parameter_overrides={"Environment": environment}
    )
    print(json.dumps(yaml_parse(validator.get_translated_template_if_valid())))
