"""Self-contained HTML pages: templates that trust no text, and numbers as people read them."""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from hs.text import counted

if TYPE_CHECKING:
    import jinja2

_MOST_CHARACTERS = 120

# Controls, and what is invisible or turns the direction of writing: U+202E shows 0180 as 0810.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(value: object) -> object:
    r"""Shows the characters of a text that hide.

    >>> visible("08\u202e10")
    '08[U+202E]10'
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)


def shortened(text: str) -> str:
    """The beginning of a long text, and how long it is."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"


def percent(share: float) -> str:
    """A share as people read it; only none is 0 and only all is 100.

    >>> percent(0.125), percent(0.00001), percent(0.99999), percent(1.0)
    ('12.5%', '<0.1%', '>99.9%', '100.0%')
    """
    if 0 < share < 0.001:
        return "<0.1%"
    return ">99.9%" if 0.999 < share < 1 else f"{share:.1%}"


def amount(value: float, decimals: int = 2) -> str:
    """An amount as people read it; only none is 0.

    >>> amount(1234.5), amount(0.001), amount(0.0)
    ('1,234.50', '<0.01', '0.00')
    """
    least = 10**-decimals
    return f"<{least:.{decimals}f}" if 0 < value < least else f"{value:,.{decimals}f}"


def chance(probability: float) -> str:
    """A probability as people read it: never none, never certain.

    >>> chance(0.0), chance(1.0)
    ('<0.1%', '>99.9%')
    """
    return percent(min(max(probability, 1e-9), 1 - 1e-9))


def as_json(value: object) -> Markup:
    r"""JSON for a `<script type="application/json">`: ASCII alone, and nothing that ends or opens an element.

    >>> as_json("</script><!--\u2028")
    Markup('"\\u003c/script\\u003e\\u003c!--\\u2028"')
    """
    written = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(written)


def sentence(words: str, **values: object) -> Markup:
    """A sentence of a catalogue with its gaps filled: values are shown as text, and `…` as the name of a thing.

    >>> sentence("`{name}` has {n} rows & more", name="a<b", n=3)
    Markup('<code>a&lt;b</code> has 3 rows &amp; more')
    """
    marked = re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(words)))
    return Markup(marked).format(**{name: visible(value) for name, value in values.items()})


@dataclass(frozen=True)
class Inline:
    """The style or the script of a page, in the page itself.

    Attributes:
        content: ours, no stranger's.
        source: what the page's Content-Security-Policy allows: this content and no other.
    """

    content: Markup
    source: str

    @classmethod
    def of(cls, package: str, names: Sequence[str]) -> "Inline":
        """Files from the folder `templates` of a package, one after the other."""
        folder = files(package) / "templates"
        content = "".join((folder / name).read_text(encoding="utf-8") for name in names)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        return cls(Markup(content), f"'sha256-{digest}'")


@functools.cache
def template(package: str, name: str) -> "jinja2.Template":
    """A template from the folder `templates` of a package; whatever it is given and is no markup is escaped.

    What the template uses and is not given is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,  # of whatever stands in braces, so that no template can forget it
    )
    environment.globals["inline"] = Inline.of
    environment.filters |= {
        "chance": chance,
        "counted": counted,
        "percent": percent,
        "shortened": shortened,
    }
    return environment.get_template(name)
