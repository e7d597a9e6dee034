"""What axe-core finds on a page that is open: violations of WCAG 2.2 AA and of best practice."""

from tests.browser.chromium import Desk

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ASK = """
const [rules, done] = arguments;
axe.run({ runOnly: rules }).then((found) => done(found.violations.map((one) =>
  `${one.impact}: ${one.id} at ${one.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(", ")}`)));
"""


def violations(at: Desk, axe: str) -> list[str]:
    """Rule and places of each; `axe` is the source of axe-core."""
    at.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})  # the policy binds pages, not this
    return at.driver.execute_async_script(_ASK, _RULES)


def look_in(at: Desk, scheme: str) -> None:
    """Gives the browser a colour scheme, `light` or `dark`; nothing gives it back its own."""
    features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
    at.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
