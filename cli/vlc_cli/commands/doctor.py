"""``vlc doctor``: whether this machine can train, and what would make it slow."""

from __future__ import annotations

import typer

from vlc_cli import options


def doctor(json: options.Json = False, debug: options.Debug = False) -> None:
    """Examine this machine: can it train, and is it slow?

    Devices, libraries, plugins, threads and memory are looked at. Ends with 1 where something is broken.
    """
    from vlc_cli import console
    from vlc_core.plan.doctor import as_json, examine
    from vlc_core.plugins import plugins

    with console.waiting("looking at this machine …"):
        findings = examine(plugins())
    if json:
        console.say_json(as_json(findings))
    else:
        rows = [(f.subject, f.verdict, f"{f.found}; {f.cure}" if f.cure else f.found) for f in findings]
        console.say(console.table(("what", "is", "found, and what to do"), rows))
    if any(f.verdict == "broken" for f in findings):
        raise typer.Exit(1)
