"""Self-contained HTML pages of the model side."""

from typing import Any

import jinja2

from pipeline.rules.hs_codes import HSCode
from pipeline.rules.nomenclature import description


def render(template: str, **values: Any) -> str:
    """Fills a template of `model/templates`; what is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("model"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def class_name(label: str) -> str:
    """What a class stands for, in words; empty where the nomenclature has none."""
    if label.endswith("*"):
        return f"the rest of {label.rstrip('*')}"
    return description(HSCode(label)) or ""
